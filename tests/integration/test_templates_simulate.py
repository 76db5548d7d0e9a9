"""Every template launched as Dataflow's launcher does it, without a cloud, and what comes out."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from connectors.storage import ARCHIVE_SCHEMA
from templates import command
from templates.catalogue import find
from templates.image.own_wheel import PACKAGES
from templates.rehearsal import flex_launcher
from templates.rehearsal.finding import WrongError
from templates.rehearsal.flex_launcher import Launched
from templates.rehearsal.graph_checks import CHECKS
from templates.rehearsal.launch_checks import ended
from templates.rehearsal.simulate import Outcome, Simulation, code_of
from tests.commands import ROOT
from tests.examples import TEMPLATE_NAMES, in_the_cloud
from transforms.failure import FAILURE_SCHEMA

pytestmark = pytest.mark.integration

BEFORE, AFTER = ["objects", "distribution", "launch", "job file"], ["staged files", "modules"]


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built once, and installed in a clean folder."""
    return code_of(tmp_path_factory.mktemp("code"))


@pytest.fixture
def samples(tmp_path: Path) -> dict[str, Path]:
    """What templates that end read already when their graph is built."""
    made = {"archive": ARCHIVE_SCHEMA, "dead_letters": FAILURE_SCHEMA}
    for name, schema in made.items():
        (tmp_path / name).mkdir()
        pq.write_table(schema.empty_table(), tmp_path / name / "sample.parquet")
    return {f"gs://my-bucket/{name}": tmp_path / name for name in made}


@pytest.fixture(autouse=True)
def _in_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of the examples are those of the clone."""
    monkeypatch.chdir(ROOT)


def simulated(name: str, code: Path | None, **more: object) -> Outcome:
    asked = Simulation(find(name), in_the_cloud(name), code=code)
    return dataclasses.replace(asked, **more).run()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_template_passes_every_check(name: str, code: Path, samples: dict[str, Path]) -> None:
    """With the parameters of its examples for the cloud."""
    outcome = simulated(name, code, objects=samples)
    assert not outcome.problems
    assert [(each.name, each.problem) for each in outcome.findings if each.problem] == []
    assert [each.name for each in outcome.findings] == [*BEFORE, *CHECKS, *AFTER]
    assert outcome.is_good


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the clone: setup.py leaves something in its folder."""
    for name in PACKAGES:
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "clone" / name, ignore=without)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "clone")
    return tmp_path / "clone"


def test_code_is_staged_for_workers_without_it(code: Path, sources: Path) -> None:
    """By setup.py; what they will install holds every module that the graph names."""
    image = "gcr.io/cloud-dataflow/v1beta3/beam_python3.11_sdk:2.77.0"
    outcome = simulated("pubsub_to_pubsub", code, setup_file=sources / "setup.py", image=image)
    seen = {each.name: each.seen for each in outcome.findings}
    assert outcome.is_good, outcome.findings
    assert "workflow.tar.gz" in seen["staged files"]
    assert "1 to install" in seen["staged files"]


def test_a_replay_of_a_subscription_streams(code: Path, tmp_path: Path) -> None:
    """Although that of a folder ends."""
    more = tmp_path / "more.yaml"
    more.write_text("failures: projects/my-project/subscriptions/dead\n")
    outcome = simulated("deadletter_replay", code, paths=(*in_the_cloud("deadletter_replay"), more))
    seen = {each.name: each.seen for each in outcome.findings}
    assert outcome.is_good, outcome.findings
    assert seen["streaming"] == "goes on without end"


def test_command_prints_findings_and_steps(
    code: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each check; steps within steps. A check that fails is the exit code."""
    monkeypatch.setattr(
        "templates.rehearsal.simulate.code_of", lambda folder: _linked(folder, code)
    )
    files = [f"--params={path}" for path in in_the_cloud("pubsub_to_pubsub")]
    assert command.main(["simulate", "pubsub-to-pubsub", *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "ok     streaming: goes on without end" in lines
    assert lines[lines.index("steps:") + 1 :][:3] == ["  Read", "    Messages", "      Read"]


def _linked(folder: Path, code: Path) -> Path:
    (folder / "installed").symlink_to(code)
    return code


def test_missing_sample_is_told(code: Path, tmp_path: Path) -> None:
    """Before anything is started, with the parameter and the flag that gives one."""
    only = tmp_path / "only.yaml"
    only.write_text(
        "subscription: projects/my-project/subscriptions/some\n"
        "schema: gs://my-bucket/nowhere/columns.json\n"
        "output_topic: projects/my-project/topics/out\n"
        "dead_letter: projects/my-project/topics/dead\n"
    )
    (found,) = simulated("pubsub_to_pubsub", code, paths=[only]).findings
    assert found.name == "objects"
    assert found.problem.startswith("schema names gs://my-bucket/nowhere/columns.json, and no ")
    assert found.fix == "Give one: --object gs://my-bucket/nowhere/columns.json=PATH"


def test_what_the_launch_reads_and_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher's own words, and what to give; here with the code of an installed package."""
    monkeypatch.setattr("templates.rehearsal.simulate._is_clone", lambda: False)
    overlay = tmp_path / "elsewhere.yaml"
    overlay.write_text("archive: gs://my-bucket/nothing")
    paths = [*in_the_cloud("archive_replay"), overlay]
    _, installed, found = simulated("archive_replay", None, paths=paths).findings
    assert installed.seen == "the code is that of the package that is installed here"
    assert found.name == "launch"
    assert "exit code 2" in found.problem
    assert "gs://my-bucket/nothing" in found.problem
    assert "--object" in found.fix


def test_parameter_that_is_wrong_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, line and rule, and exit code 2, as with validate."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("output_topic: projects/my-project/topics/again\nwindow: soon\n")
    assert command.main(["simulate", "pubsub_to_pubsub", f"--params={wrong}"]) == 2
    assert f"{wrong}:2" in capsys.readouterr().err


def test_secret_is_not_read(code: Path, tmp_path: Path) -> None:
    """A rehearsal has no use for it."""
    overlay = tmp_path / "secret.yaml"
    overlay.write_text("id_attribute: ${secret:projects/my-project/secrets/name}")
    paths = [*in_the_cloud("pubsub_to_pubsub"), overlay]
    outcome = simulated("pubsub_to_pubsub", code, paths=paths)
    (problem,) = outcome.problems
    assert "id_attribute" in str(problem)
    assert "has a secret" in str(problem)
    assert not outcome.is_good


@pytest.fixture
def launched(tmp_path: Path) -> Callable[..., Launched]:
    """Run the launcher's command with a pipeline of a test."""

    def run(text: str, timeout_s: float = 60.0) -> Launched:
        (tmp_path / "bad.py").write_text(textwrap.dedent(text))
        launcher = flex_launcher.Launcher(
            "my-project", "europe-west1", "a-job", "a-bucket", "1", {"a": "b"}
        )
        image = {flex_launcher.PY_FILE: "bad.py"}
        command = flex_launcher.command_line(launcher, image, ["--window=1m"])
        with flex_launcher.launch_environment(
            ROOT, "my-project", "http://127.0.0.1:9", image
        ) as environment:
            return flex_launcher.run(command, environment, tmp_path, timeout_s)

    return run


def test_command_line_is_the_launchers(launched: Callable[..., Launched]) -> None:
    """In its order, with its labels, and as the only arguments."""
    found = launched("import sys; print(*sys.argv[1:], sep='|')")
    assert found.code == 0
    assert found.log.strip().split("|") == [
        "--runner=DataflowRunner", "--project=my-project", "--region=europe-west1",
        "--job_name=a-job", "--staging_location=gs://a-bucket/staging",
        "--temp_location=gs://a-bucket/temp",
        "--template_location=gs://a-bucket/staging/template_launches/1/job_object",
        '--labels={\n   "a": "b"\n}\n', "--window=1m",
    ]  # fmt: skip


def test_launcher_has_credentials_and_no_network(launched: Callable[..., Launched]) -> None:
    """A token comes from its machine; all else fails at once."""
    found = launched(
        """
        import google.auth, google.auth.transport.requests, requests
        credentials, project = google.auth.default()
        credentials.refresh(google.auth.transport.requests.Request())
        print(project, credentials.token)
        try:
            requests.get("https://dataflow.googleapis.com", timeout=20)
        except requests.exceptions.ProxyError:
            print("no network")
        """
    )
    assert found.log.splitlines()[-2:] == ["my-project none", "no network"]
    assert found.seconds < 20


def test_pipeline_that_waits_is_ended(launched: Callable[..., Launched]) -> None:
    """By the time that a launch may take."""
    found = launched("import time; print('waits for the job', flush=True); time.sleep(600)", 3.0)
    assert found.code is None
    with pytest.raises(WrongError, match=r"has not ended after 3 s\. It said:\nwaits for the job"):
        ended(found, 3.0)


def test_pipeline_that_fails_is_told_with_its_last_words(launched: Callable[..., Launched]) -> None:
    """And not as one that has made a job."""
    found = launched("raise SystemExit('no such column')")
    with pytest.raises(WrongError, match=r"exit code 1\. It said:\nno such column"):
        ended(found, 3.0)
