"""Which requests of a browser are refused."""

import pytest

from connectors.broker.http.guard import trespass

OWN = {"Host": "127.0.0.1:8086"}


@pytest.mark.parametrize("host", [
    "127.0.0.1:8086", "[::1]:8086", "localhost:8086", "LOCALHOST", "pubsub:8086",
    "a.localhost:8086", "10.0.0.7", "broker.example.org:8086", "",
])  # fmt: skip
def test_trusted_hosts_pass(host: str) -> None:
    """Addresses, names that no page of the internet can have, and what was allowed."""
    assert trespass({"Host": host}, {"broker.example.org"}) is None


@pytest.mark.parametrize(
    "host", ["evil.com", "evil.com:8086", "127.0.0.1.evil.com", "localhost.evil.com", "evil.com."]
)
def test_rebound_names_are_refused(host: str) -> None:
    """A page may point its own name at loopback; the name gives it away."""
    assert "--allow-host" in (trespass({"Host": host}, {"broker.example.org"}) or "")


@pytest.mark.parametrize("origin", [
    "http://evil.com", "null", "http://127.0.0.1:9999", "http://127.0.0.1", "",
])  # fmt: skip
def test_other_origins_are_refused(origin: str) -> None:
    """A page of another site, or of another port, may not ask."""
    assert trespass({**OWN, "Origin": origin}, ()) is not None


def test_our_own_page_may_ask() -> None:
    """Its origin is the host that it asks, with or without TLS in front."""
    for scheme in ("http", "https"):
        own = {**OWN, "Origin": f"{scheme}://127.0.0.1:8086", "Sec-Fetch-Site": "same-origin"}
        assert trespass(own, ()) is None


def test_links_are_followed_and_nothing_else() -> None:
    """A foreign page may link to ours; it may not load from us, as an image or a script."""
    foreign = {**OWN, "Sec-Fetch-Site": "cross-site"}
    assert trespass({**foreign, "Sec-Fetch-Mode": "navigate"}, ()) is None
    assert trespass({**foreign, "Sec-Fetch-Mode": "no-cors"}, ()) is not None
