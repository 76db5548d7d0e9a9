"""What Dataflow refuses, said with the flag that is to be changed, and how."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus as _Http
from typing import Any

import google.auth.exceptions
from google.api_core import exceptions as api

from connectors import retry
from pipelines.errors import HeadraceError, TransientError
from pipelines.params import ConfigError

__all__ = [
    "ENDPOINT", "Asked", "FlagsRefusedError", "NameTakenError", "ParametersRefusedError",
    "explained", "plain",
]  # fmt: skip

ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW"
"""The variable by which gcloud, too, finds a private endpoint or a local server."""
_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
_LATE = "DEADLINE_EXCEEDED"
"""Found in answers 404 of the service, when it was itself that got no answer in time:
https://github.com/hashicorp/terraform-provider-google/issues/26893."""
_QUOTAS = "https://console.cloud.google.com/iam-admin/quotas"


@dataclass(frozen=True)
class Asked:
    """What a call was about.

    Attributes:
        project: of the jobs.
        region: of the jobs.
        address: of the API.
        name: of a job, or its id.
        spec: of the template that is launched.
    """

    project: str
    region: str
    address: str
    name: str = ""
    spec: str = ""

    def of(self, name: str, spec: str = "") -> Asked:
        """Return the same of one job."""
        return replace(self, name=name, spec=spec)

    @property
    def unreachable(self) -> str:
        """What to do when nobody answers."""
        if self.address.endswith(".googleapis.com"):
            return "Check the network and https://status.cloud.google.com"
        return f"Does a server listen there? The address is of {ENDPOINT}; unset it to reach Google"

    @property
    def subject(self) -> retry.Subject:
        """For errors that are none of the service."""
        return retry.Subject("Dataflow at", self.address, "", self.unreachable)


class NameTakenError(ConfigError):
    """A job of that name has not ended."""


class FlagsRefusedError(ConfigError):
    """Flags break their rules: the error of the first, and with it those of all of them."""

    def __init__(self, broken: Sequence[ConfigError]) -> None:
        first = broken[0]
        super().__init__(first.name, first.value, first.rule, first.fix)
        self.broken = tuple(broken)


class ParametersRefusedError(ConfigError):
    """The service's own check of the parameters found mistakes.

    Attributes:
        violations: the parameter and what is wrong with it.
    """

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        names = ", ".join(name for name, _ in violations)
        super().__init__(
            "--spec", None, f"the template at that place refuses parameters: {names}",
            "Build it anew: python -m templates build",
        )  # fmt: skip
        self.violations = violations


def plain(text: str) -> str:
    """Return a message of the service without what only the service can read.

    That is the method and URL before it, and ids such as ``(78f666ea16e50f79):``.
    """
    text = re.sub(r"^[A-Z]+ https?://\S+: ", "", text)
    return re.sub(r"\([0-9a-f]{12,16}\): ", "", " ".join(text.split())).rstrip(". ")


def explained(error: Exception, asked: Asked) -> HeadraceError:
    """Return an error of Google's client as one of ours."""
    if isinstance(error, HeadraceError):
        return error
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        return _of_credentials(error, asked)
    if not isinstance(error, api.GoogleAPICallError):
        return retry.translate(error, asked.subject)
    text = plain(str(error.message or error))
    for applies, answer in _ANSWERS:
        if applies(error, text, asked):
            return answer(error, text, asked)
    if _may_pass(error):
        return _late(error, text, asked)
    return ConfigError(
        "launch", asked.name or None, f"Dataflow refuses it ({text})",
        "Correct what it names; --dry_run shows the request",
    )  # fmt: skip


def _of_credentials(error: Exception, asked: Asked) -> HeadraceError:
    if retry.kind(error) is TransientError:
        return retry.translate(error, asked.subject)
    if asked.address.startswith("http://"):
        return ConfigError(
            ENDPOINT, asked.address, "asks for credentials, which are sent over https:// only",
            "Write https://, if that server has it",
        )  # fmt: skip
    return ConfigError(
        _CREDENTIALS, os.environ.get(_CREDENTIALS),
        f"gives no credentials for {asked.address} ({plain(str(error))})",
        "Run gcloud auth application-default login; --dry_run needs none",
    )  # fmt: skip


def _details(error: Any) -> Iterator[Mapping[str, Any]]:
    for each in error.details or ():
        if isinstance(each, Mapping):
            yield each


def _violations(error: Any) -> list[tuple[str, str]]:
    return [
        (str(one.get("parameter", "")), plain(str(one.get("description", ""))))
        for each in _details(error)
        for one in each.get("parameterViolations", ())
    ]


def _is_disabled(error: Any, text: str, _asked: Asked) -> bool:
    return error.reason == "SERVICE_DISABLED" or "has not been used in project" in text


def _is(error: Any, code: _Http) -> bool:
    return bool(error.code == code)


def _may_pass(error: Exception) -> bool:
    return retry.kind(error) is TransientError


def _is_about_spec(error: Exception, text: str, asked: Asked) -> bool:
    return bool(asked.spec) and asked.spec in text and not _may_pass(error)


def _late(_error: Any, text: str, asked: Asked) -> HeadraceError:
    return TransientError(f"Dataflow at {asked.address}: {text}. {asked.unreachable}")


def _disabled(error: Any, _text: str, asked: Asked) -> ConfigError:
    found = (each.get("metadata", {}).get("service") for each in _details(error))
    service = next(filter(None, found), "dataflow.googleapis.com")
    return ConfigError(
        "--project", asked.project, f"has not enabled {service}",
        f"Run gcloud services enable {service} --project={asked.project}, and wait a minute",
    )  # fmt: skip


def _not_as_workers(_error: Any, text: str, _asked: Asked) -> ConfigError:
    return ConfigError(
        "--service_account_email", None, f"you may not start workers as that account ({text})",
        "Grant yourself roles/iam.serviceAccountUser on it",
    )  # fmt: skip


def _denied(_error: Any, text: str, asked: Asked) -> ConfigError:
    return ConfigError(
        "--project", asked.project, f"access is denied ({text})",
        "Grant the account that launches roles/dataflow.developer on the project",
    )  # fmt: skip


def _unknown_account(_error: Any, text: str, asked: Asked) -> ConfigError:
    return ConfigError(
        _CREDENTIALS, os.environ.get(_CREDENTIALS),
        f"is not accepted by {asked.address} ({text})",
        "Run gcloud auth application-default login",
    )  # fmt: skip


def _taken(_error: Any, _text: str, asked: Asked) -> ConfigError:
    return NameTakenError(
        "--job_name", asked.name, "is the name of a job that has not ended",
        "Give --update to replace it, --drain to end it first, or another --job_name",
    )  # fmt: skip


def _no_spec(_error: Any, text: str, asked: Asked) -> ConfigError:
    return ConfigError(
        "--spec", asked.spec, f"can't be read by Dataflow ({text})",
        f"See whether it is there: gcloud storage ls {asked.spec}; python -m templates build makes "
        "it",
    )  # fmt: skip


def _absent(_error: Any, text: str, asked: Asked) -> ConfigError:
    return ConfigError(
        "--project", asked.project, f"and --region={asked.region} have no such thing ({text})",
        "Check the two and the name of the job",
    )  # fmt: skip


def _exhausted(_error: Any, text: str, asked: Asked) -> HeadraceError:
    return TransientError(
        f"Dataflow at {asked.address}: {text}. Try again later, or ask for more: "
        f"{_QUOTAS}?project={asked.project}"
    )


def _refused(error: Any, _text: str, _asked: Asked) -> ConfigError:
    return ParametersRefusedError(_violations(error))


_Applies = Callable[[Any, str, Asked], bool]
_Answer = Callable[[Any, str, Asked], HeadraceError]

_ANSWERS: tuple[tuple[_Applies, _Answer], ...] = (
    (lambda error, _t, _a: bool(_violations(error)), _refused),
    (_is_disabled, _disabled),
    (lambda error, text, _a: _is(error, _Http.NOT_FOUND) and _LATE in text, _late),
    (_is_about_spec, _no_spec),
    (lambda error, _t, _a: _is(error, _Http.CONFLICT), _taken),
    (lambda error, text, _a: _is(error, _Http.FORBIDDEN) and "actAs" in text, _not_as_workers),
    (lambda error, _t, _a: _is(error, _Http.FORBIDDEN) and not _may_pass(error), _denied),
    (lambda error, _t, _a: _is(error, _Http.UNAUTHORIZED), _unknown_account),
    (lambda error, _t, _a: _is(error, _Http.NOT_FOUND), _absent),
    (lambda error, _t, _a: _is(error, _Http.TOO_MANY_REQUESTS), _exhausted),
)
"""Which answer applies; the first one counts."""
