"""The command ``build-classic``: a classic template, and how its jobs are started."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from templates.catalogue import find
from templates.files.checking import Place, check
from templates.files.render import Launch
from templates.rehearsal.classic import METADATA, ClassicTemplate, launch_body, launch_url
from templates.rehearsal.job_graph import Objects
from templates.rehearsal.simulation import lines_of
from templates.rehearsal.storage_server import client

__all__ = ["add_flags", "build_classic"]

_GOOD, _WRONG, _BAD = 0, 1, 2


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``build-classic`` beside NAME and ``--params``."""
    parser.add_argument(
        "--template_location", required=True, metavar="gs://BUCKET/OBJECT",
        help="where the template is put",
    )  # fmt: skip
    parser.add_argument("--project", required=True, help="in which its jobs run")
    parser.add_argument("--region", required=True, help="in which its jobs run")
    parser.add_argument("--job_name", help="by default the template's name")
    parser.add_argument("--image", help="of the workers, as build has made it")
    parser.add_argument(
        "--setup_file", type=Path, metavar="FILE",
        help="setup.py by which workers install the code, if their image does not have it",
    )  # fmt: skip
    parser.add_argument(
        "--staging_location", metavar="gs://BUCKET/FOLDER",
        help="for what workers fetch, as long as the template is used (staging, in its bucket)",
    )  # fmt: skip
    parser.add_argument(
        "--temp_location", metavar="gs://BUCKET/FOLDER",
        help="for temporary objects of its jobs (temp, in its bucket)",
    )  # fmt: skip


def build_classic(options: argparse.Namespace) -> int:
    """Build a classic template; print what was found, and how to start a job.

    Raises:
        ConfigError: a flag is wrong.
    """
    template = find(options.name)
    checked = check(template, options.params, place=Place(in_cloud=True)).without_secrets(
        "has a secret, which would lie in the template", "Give the parameter without it"
    )
    for problem in checked.problems:
        print(f"error: {problem}", file=sys.stderr)
    if checked.problems:
        return _BAD
    launch = Launch(None, options.job_name, options.region)
    wanted = ClassicTemplate(
        template=template,
        texts=checked.texts,
        location=options.template_location,
        project=options.project,
        region=options.region,
        staging=options.staging_location,
        temp=options.temp_location,
        image=options.image,
        setup_file=options.setup_file,
        launch=launch,
    )
    found = wanted.build(Objects(client()))
    for each in found:
        print("\n".join(lines_of(each)))
    if any(each.problem for each in found):
        return _WRONG
    print(f"\n{wanted.location}\n{wanted.location}{METADATA}\n")
    print("Start a job of it:\n")
    print(_command(wanted, launch.name_for(template)))
    return _GOOD


def _command(built: ClassicTemplate, job_name: str) -> str:
    body = json.dumps(launch_body(job_name, built.temp_location), indent=2)
    return (
        f"  gcloud dataflow jobs run {job_name} --gcs-location={built.location} \\\n"
        f"    --project={built.project} --region={built.region}\n\n"
        f"or POST {launch_url(built.project, built.region, built.location)}\n{body}"
    )
