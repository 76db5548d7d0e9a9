"""The status page as a file."""

import base64
import hashlib
import re

from connectors.broker.http.page import page

TEXT = page().body.decode()


def test_the_policy_knows_the_script_and_the_style_by_their_digests() -> None:
    """So that a browser runs these, and nothing that came into the page on another way."""
    policy = page().headers["Content-Security-Policy"]
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}>(.*)</{tag}>", TEXT, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_nothing_comes_from_elsewhere() -> None:
    """No address of another server, and no text that is taken for a program or for elements."""
    assert not re.findall(r"https?://|//[a-z]", TEXT)
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " on"):
        assert not re.findall(rf"{re.escape(name)}\w*=", TEXT), name
    assert "style=" not in TEXT
