"""The file of principals and project policies."""

import hashlib
from pathlib import Path

import pytest

from connectors.broker.access.authority import Authority, authority_in
from connectors.broker.access.policy import Principal, permitted
from connectors.broker.errors import BadFile, Unauthenticated

TOKEN = "0123456789abcdef-of-ingest"
DIGEST = hashlib.sha256(b"another token of some length").hexdigest()
GOOD = f"""
principals:
  - member: serviceAccount:ingest@demo.iam.gserviceaccount.com
    token_env: INGEST_TOKEN
    groups: [group:pipelines@example.com]
  - member: user:ann@example.com
    token_sha256: {DIGEST}
projects:
  demo:
    - role: roles/pubsub.publisher
      members: [group:pipelines@example.com]
    - role: roles/pubsub.viewer
      members: [allAuthenticatedUsers]
  empty: []
"""


def authority(tmp_path: Path, text: str) -> Authority:
    """Return what a file says."""
    path = tmp_path / "auth.yaml"
    path.write_text(text)
    return authority_in(path, {"INGEST_TOKEN": TOKEN, "SHORT": "abc"})


def test_tokens_name_principals(tmp_path: Path) -> None:
    """By a variable or a digest; the scheme is told apart from others, in any case."""
    found = authority(tmp_path, GOOD)
    ingest = found.principal(f"Bearer {TOKEN}")
    assert ingest.member == "serviceAccount:ingest@demo.iam.gserviceaccount.com"
    assert ingest.groups == {"group:pipelines@example.com"}
    assert found.principal("bearer another token of some length").member == "user:ann@example.com"
    assert found.principal("") == Principal("")


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_unknown_tokens_are_refused(tmp_path: Path, header: str) -> None:
    """A wrong token is not taken for none."""
    with pytest.raises(Unauthenticated):
        authority(tmp_path, GOOD).principal(header)


def test_projects_grant_roles(tmp_path: Path) -> None:
    """To members and groups; other projects grant nothing."""
    found = authority(tmp_path, GOOD)
    ingest, ann = found.principal(f"Bearer {TOKEN}"), Principal("user:ann@example.com")
    demo = [found.policy("projects/demo")]
    assert permitted(demo, ingest, "pubsub.topics.publish")
    assert not permitted(demo, ann, "pubsub.topics.publish")
    assert permitted(demo, ann, "pubsub.topics.get")
    assert not permitted(demo, Principal(""), "pubsub.topics.get")
    for name in ("projects/empty", "projects/other"):
        assert not permitted([found.policy(name)], ingest, "pubsub.topics.publish")


@pytest.mark.parametrize(
    ("text", "line", "rule"),
    [
        ("- a", 1, "must be an object"),
        ("people: []", 1, "people is not known"),
        ("principals:\n  - token_env: INGEST_TOKEN", 2, "member must be"),
        ("principals:\n  - member: ann", 2, "member must be"),
        ("principals:\n  - member: user:a@b.c", 2, "needs one of token_env, token_sha256"),
        ("principals:\n  - member: user:a@b.c\n    token_env: SHORT", 3, "at least 16"),
        ("principals:\n  - member: user:a@b.c\n    token_env: MISSING", 3, "at least 16"),
        ("principals:\n  - member: user:a@b.c\n    token_sha256: abc", 3, "64 digits"),
        ("principals:\n  - member: user:a@b.c\n    token: x", 3, "token is not known"),
        ("projects:\n  demo:\n    role: x", 2, "must be a list"),
        ("projects:\n  demo:\n    - role: roles/none\n      members: [allUsers]", 3, "role"),
        ("projects:\n  demo:\n    - role: roles/pubsub.admin\n      members: [ann]", 3, "ann"),
    ],
)
def test_faults_name_file_line_and_rule(tmp_path: Path, text: str, line: int, rule: str) -> None:
    """Before anything is served."""
    with pytest.raises(BadFile, match=rf"auth\.yaml:{line}: .*{rule}"):
        authority(tmp_path, text)


def test_one_token_is_of_one_principal(tmp_path: Path) -> None:
    """Two of them could not be told apart."""
    text = "principals:\n"
    for name in ("ann", "bob"):
        text += f"  - member: user:{name}@example.com\n    token_sha256: {DIGEST}\n"
    with pytest.raises(BadFile, match="has the token of another one"):
        authority(tmp_path, text)
