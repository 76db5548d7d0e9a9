"""Names of images: what a registry would refuse is refused before anything is built."""

import pytest

from templates.catalogue import find
from templates.image.name import by_digest, image_of, is_latest
from transforms.errors import ConfigError

LAKE = find("pubsub_to_lake")
REGISTRY = "europe-west1-docker.pkg.dev/my-project/headrace"
DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "image"),
    [
        (f"{REGISTRY}/{{name}}:0.1.0", f"{REGISTRY}/pubsub-to-lake:0.1.0"),
        (f"{REGISTRY}/lake:2026-11-23_rc1", f"{REGISTRY}/lake:2026-11-23_rc1"),
        (
            "us-docker.pkg.dev/example.com/my-project/headrace/{name}:1",
            "us-docker.pkg.dev/example.com/my-project/headrace/pubsub-to-lake:1",
        ),
        ("gcr.io/my-project/{name}:1", "gcr.io/my-project/pubsub-to-lake:1"),
        ("localhost:5000/{name}:1", "localhost:5000/pubsub-to-lake:1"),
        ("registry.example.com/a/b__c:V.1", "registry.example.com/a/b__c:V.1"),
    ],
)
def test_names_that_a_registry_takes(text: str, image: str) -> None:
    """With the template's name in them, if asked."""
    assert image_of(text, LAKE) == image


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("lake:1", "must be HOST/PATH:TAG"),
        ("my-project/lake:1", "must be HOST/PATH:TAG"),  # docker.io's, by its form
        (f"{REGISTRY}/Lake:1", "must be HOST/PATH:TAG in lower case"),
        (f"{REGISTRY}/pubsub_-lake:1", "must be HOST/PATH:TAG"),
        (f"{REGISTRY}/lake:-1", "must be HOST/PATH:TAG"),
        (f"{REGISTRY}/lake:" + "1" * 129, "must be HOST/PATH:TAG"),
        (f"{REGISTRY}/" + "lake/" * 50 + "lake:1", "must be HOST/PATH:TAG"),
        (f"https://{REGISTRY}/lake:1", "must be HOST/PATH:TAG"),
        (f"{REGISTRY}/lake:1 ", "must be HOST/PATH:TAG"),
        ("europe-west1-docker.pkg.dev/my-project/lake:1", "PROJECT/REPOSITORY/IMAGE:TAG"),
        (f"{REGISTRY}/lake", "has no tag"),
        (f"{REGISTRY}/lake@{DIGEST}", "names a digest"),
        (f"{REGISTRY}/lake:1@{DIGEST}", "names a digest"),
    ],
)
def test_names_that_are_refused(text: str, rule: str) -> None:
    """With the rule, and a name that would do."""
    with pytest.raises(ConfigError) as caught:
        image_of(text, LAKE)
    assert caught.value.name == "--image"
    assert caught.value.value == text
    assert rule in caught.value.rule
    assert "docker.pkg.dev/my-project" in caught.value.fix


def test_an_image_that_is_built_has_a_digest() -> None:
    """By which it is named for good, with or without the tag."""
    assert image_of(f"{REGISTRY}/lake@{DIGEST}", LAKE, is_built=True).endswith(DIGEST)
    assert by_digest(f"{REGISTRY}/lake:0.1.0", DIGEST) == f"{REGISTRY}/lake@{DIGEST}"
    assert by_digest("localhost:5000/lake:1", DIGEST) == f"localhost:5000/lake@{DIGEST}"
    with pytest.raises(ConfigError, match="must be HOST/PATH:TAG"):
        image_of(f"{REGISTRY}/lake@sha256:0123", LAKE, is_built=True)


def test_the_tag_that_moves_is_known() -> None:
    """``latest`` is another image tomorrow."""
    assert is_latest(f"{REGISTRY}/lake:latest")
    assert not is_latest(f"{REGISTRY}/lake:latest-1")
    assert not is_latest(f"{REGISTRY}/latest:1")
