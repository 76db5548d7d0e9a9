"""Who callers are, and what they may do in whole projects: from a file.

    principals:
      - member: serviceAccount:ingest@demo.iam.gserviceaccount.com
        token_env: INGEST_TOKEN         # or token_sha256: what sha256sum prints of the token
        groups: [group:pipelines@example.com]
    projects:
      demo:
        - role: roles/pubsub.editor
          members: [serviceAccount:ingest@demo.iam.gserviceaccount.com]

The file holds no token: an environment variable or a digest does.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.broker import schema
from connectors.broker.access.policy import Policy, Principal, read
from connectors.broker.declared.marked import Marked, read_marked
from connectors.broker.errors import BadFile, Refusal, Unauthenticated

__all__ = ["Authority", "authority_in"]

_SECTIONS = ("principals", "projects")
_PRINCIPAL = {"member", "groups", "token_env", "token_sha256"}
_MEMBER = re.compile(r"(user|serviceAccount):[^\s@:/]+@[^\s@:/]+")
_DIGEST = re.compile("[0-9a-f]{64}")
_TOKEN_CHARS_MIN = 16
_SCHEME = "bearer "


class Authority:
    """Knows tokens and project policies.

    Args:
        principals: by the SHA-256 of their tokens, in hexadecimal.
        projects: policies by names such as ``projects/demo``.
    """

    def __init__(self, principals: Mapping[str, Principal], projects: Mapping[str, Policy]) -> None:
        self._principals, self._projects = principals, projects

    def principal(self, authorization: str) -> Principal:
        """Return who makes a call; without a token it is somebody unknown.

        Args:
            authorization: the header, ``Bearer TOKEN``; empty if there is none.

        Raises:
            Unauthenticated: the token is of nobody.
        """
        if not authorization:
            return Principal("")
        known = None
        if authorization.lower().startswith(_SCHEME):
            known = self._principals.get(_digest(authorization[len(_SCHEME) :].strip()))
        if known is None:
            raise Unauthenticated("The bearer token of the call is of no principal of the broker.")
        return known

    def policy(self, project: str) -> Policy:
        """Return what is granted on all resources of a project."""
        return self._projects.get(project, Policy())


def authority_in(path: Path, environment: Mapping[str, str] | None = None) -> Authority:
    """Return what a file says.

    Args:
        path: of a YAML or JSON file, as above.
        environment: variables that hold tokens; those of the process unless given.

    Raises:
        BadFile: it breaks a rule.
        OSError: it can't be read.
    """
    variables = os.environ if environment is None else environment
    sections = _object(path, read_marked(path), _SECTIONS)
    principals: dict[str, Principal] = {}
    for entry in _list(path, sections.get("principals")):
        digest, principal = _principal(path, entry, variables)
        if digest in principals:
            raise BadFile(path, entry.line, f"{principal.member} has the token of another one")
        principals[digest] = principal
    projects = sections.get("projects")
    given = _object(path, projects, None) if projects else {}
    return Authority(
        principals, {f"projects/{name}": _policy(path, each) for name, each in given.items()}
    )


def _principal(path: Path, entry: Marked, environment: Mapping[str, str]) -> tuple[str, Principal]:
    fields = _object(path, entry, _PRINCIPAL)
    member = fields.get("member", Marked(None, entry.line))
    if not isinstance(member.value, str) or not _MEMBER.fullmatch(member.value):
        raise BadFile(path, member.line, "member must be user:EMAIL or serviceAccount:EMAIL")
    groups = frozenset(str(each.value) for each in _list(path, fields.get("groups")))
    if len(fields.keys() & {"token_env", "token_sha256"}) != 1:
        raise BadFile(path, entry.line, f"{member.value} needs one of token_env, token_sha256")
    principal = Principal(member.value, groups)
    if "token_sha256" in fields:
        digest = fields["token_sha256"]
        if not isinstance(digest.value, str) or not _DIGEST.fullmatch(digest.value):
            raise BadFile(path, digest.line, "token_sha256 must be 64 digits of 0-9a-f")
        return digest.value, principal
    variable = fields["token_env"]
    token = environment.get(str(variable.value), "")
    if len(token) < _TOKEN_CHARS_MIN:
        raise BadFile(
            path, variable.line,
            f"the environment variable {variable.value} must hold a token of at least"
            f" {_TOKEN_CHARS_MIN} characters",
        )  # fmt: skip
    return _digest(token), principal


def _policy(path: Path, entry: Marked) -> Policy:
    wanted = schema.message("google.iam.v1.Policy")()
    for each in _list(path, entry):
        binding = _object(path, each, ("role", "members"))
        members = [str(member.value) for member in _list(path, binding.get("members"))]
        role = binding.get("role", Marked("", each.line))
        wanted.bindings.add(role=str(role.value), members=members)
        try:
            policy = read(wanted, b"")
        except Refusal as refusal:
            raise BadFile(path, each.line, str(refusal)) from None
    return policy if wanted.bindings else Policy()


def _object(path: Path, marked: Marked, names: Any) -> dict[str, Marked]:
    if not isinstance(marked.value, dict):
        raise BadFile(path, marked.line, f"must be an object{_of(names)}")
    for name, each in marked.value.items():
        if names is not None and name not in names:
            raise BadFile(path, each.line, f"{name} is not known: must be an object{_of(names)}")
    return marked.value


def _of(names: Any) -> str:
    return f" with {', '.join(sorted(names))}" if names else ""


def _list(path: Path, marked: Marked | None) -> list[Marked]:
    if marked is None or marked.value is None:
        return []
    if not isinstance(marked.value, list):
        raise BadFile(path, marked.line, "must be a list")
    return marked.value


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
