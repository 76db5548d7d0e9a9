"""The broker's status page, in a real browser."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from connectors.broker import Broker
from tests.browser import chromium
from tests.processes import BrokerProcess, free_port

pytestmark = pytest.mark.integration

T = "projects/p/topics/orders"
S = "projects/p/subscriptions/orders"
WAIT_S = 20


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a browser that all tests of this file share."""
    with chromium(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Run a broker of our own for one test, with HTTP; in memory, for a page shows a thousand."""
    with Broker(None, http_port=0) as broker:
        yield broker


@pytest.fixture
def page(broker: Broker, window: Any) -> Iterator[Any]:
    """Open the page of a broker with one topic and one subscription; its console stays silent."""
    put(broker, T, {})
    put(broker, S, {"topic": T})
    window.get(broker.http_address + "/ui")
    until(window, lambda: rows(window, "subscriptions"))
    yield window
    said = [each for each in window.get_log("browser") if each["level"] in ("SEVERE", "WARNING")]
    assert said == []


def put(broker: Broker, name: str, body: dict[str, Any]) -> None:
    answer = requests.put(f"{broker.http_address}/v1/{name}", json=body, timeout=WAIT_S)
    assert answer.status_code == 200, answer.text


def post(broker: Broker, path: str, body: dict[str, Any]) -> Any:
    answer = requests.post(f"{broker.http_address}/v1/{path}", json=body, timeout=WAIT_S)
    assert answer.status_code == 200, answer.text
    return answer.json()


def publish(broker: Broker, *messages: dict[str, Any]) -> None:
    post(broker, T + ":publish", {"messages": list(messages)})


def text(data: str) -> dict[str, Any]:
    return {"data": base64.b64encode(data.encode()).decode()}


def until(window: Any, condition: Any) -> None:
    WebDriverWait(window, WAIT_S, 0.05).until(lambda _: condition())


def element(window: Any, selector: str) -> WebElement:
    found: WebElement = window.find_element(By.CSS_SELECTOR, selector)
    return found


def rows(window: Any, table: str) -> list[list[str]]:
    """Return the texts of a table's cells; in one script, for the page goes on meanwhile."""
    found: list[list[str]] = window.execute_script(
        f"return [...document.querySelectorAll('#{table} tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return found


def card(window: Any, title: str) -> str:
    found: str = window.execute_script(
        "return [...document.querySelectorAll('#cards dt')]"
        ".find((term) => term.textContent === arguments[0]).nextSibling.textContent",
        title,
    )
    return found


def test_what_happens_is_shown_while_it_happens(broker: Broker, page: Any) -> None:
    """Backlog, leases and acks, without loading the page again."""
    assert element(page, "#state").text.endswith("serving")
    assert rows(page, "subscriptions")[0][0].startswith("orders")
    publish(broker, text("a"), text("b"), text("c"))
    until(page, lambda: rows(page, "subscriptions")[0][1:3] == ["3", "0"])
    pulled = post(broker, S + ":pull", {"maxMessages": 2})["receivedMessages"]
    until(page, lambda: rows(page, "subscriptions")[0][1:3] == ["3", "2"])
    post(broker, S + ":acknowledge", {"ackIds": [each["ackId"] for each in pulled]})
    until(page, lambda: rows(page, "subscriptions")[0][1:3] == ["1", "0"])
    assert rows(page, "topics")[0][3] == "3"
    assert card(page, "Backlog") == "1"


def test_rates_are_shown(broker: Broker, page: Any) -> None:
    """Published per second, over the last refresh."""
    page.execute_script(
        "const pace = document.getElementById('pace'); pace.value = '1000';"
        "pace.dispatchEvent(new Event('change'))"
    )
    publish(broker, *[text("x")] * 1000)
    until(page, lambda: float(rows(page, "topics")[0][2].replace(",", "")) > 100)
    until(page, lambda: card(page, "Published/s") == "0")


def test_a_message_is_published(broker: Broker, page: Any) -> None:
    """Its data, attributes and ordering key arrive as they were typed."""
    element(page, "#topics tbody button").click()
    element(page, "#publish-data").send_keys("héllo")
    element(page, "#publish-attributes").send_keys("a=1\nb= x=y")
    element(page, "#publish-key").send_keys("k")
    element(page, "#publish-form button[type=submit]").click()
    until(page, lambda: element(page, "#publish-told").text == "Published with id 1.")
    (received,) = post(broker, S + ":pull", {"maxMessages": 5})["receivedMessages"]
    message = received["message"]
    assert base64.b64decode(message["data"]).decode() == "héllo"
    assert message["attributes"] == {"a": "1", "b": " x=y"}
    assert message["orderingKey"] == "k"


def test_a_refused_message_is_told(broker: Broker, page: Any) -> None:
    """In the words of the broker, or of the page where it is not even sent."""
    element(page, "#topics tbody button").click()
    element(page, "#publish-attributes").send_keys("googx=1")
    element(page, "#publish-form button[type=submit]").click()
    until(page, lambda: "may not start with goog" in element(page, "#publish-told").text)
    element(page, "#publish-attributes").send_keys("\nnonsense")
    element(page, "#publish-form button[type=submit]").click()
    until(page, lambda: "name=value" in element(page, "#publish-told").text)
    # the browser says in its console that a request was refused
    assert all("400" in each["message"] for each in page.get_log("browser"))


def test_a_backlog_is_looked_at_and_left_alone(broker: Broker, page: Any) -> None:
    """Messages with subscribers are marked; bytes are shown as numbers; nothing is leased."""
    publish(broker, {**text("first"), "attributes": {"a": "1"}, "orderingKey": "k"})
    post(broker, S + ":pull", {"maxMessages": 1})
    publish(broker, {"data": "/wAB"}, text("x" * 5_000))
    until(page, lambda: rows(page, "subscriptions")[0][1] == "3")
    element(page, "#subscriptions tbody button").click()
    until(page, lambda: len(page.find_elements(By.CSS_SELECTOR, "#look article")) == 3)
    first, second, third = (
        each.text for each in page.find_elements(By.CSS_SELECTOR, "#look article")
    )
    assert "key k" in first
    assert "with a subscriber" in first
    assert "a = 1" in first
    assert first.endswith("first")
    assert "with a subscriber" not in second
    assert second.endswith("ff 00 01")
    assert "4.9 KiB" in third
    assert third.endswith("x …")
    element(page, "#look-settings summary").click()
    until(page, lambda: '"ackDeadlineSeconds": 10' in element(page, "#look-resource").text)
    assert len(post(broker, S + ":pull", {"maxMessages": 5})["receivedMessages"]) == 2


def test_what_others_wrote_is_text(broker: Broker, page: Any) -> None:
    """A message can't bring a script, nor an element, into the page."""
    evil = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
    publish(broker, {**text(evil), "attributes": {evil[:200]: evil}, "orderingKey": evil})
    until(page, lambda: rows(page, "subscriptions")[0][1] == "1")
    element(page, "#subscriptions tbody button").click()
    until(page, lambda: evil in element(page, "#look article").text)
    assert page.find_elements(By.CSS_SELECTOR, "img, #look script") == []
    assert page.title == "Headrace broker"


def test_a_thousand_subscriptions(broker: Broker, page: Any) -> None:
    """All are shown, sorted by any column, and found by a part of their name."""
    for number in range(1, 1_000):
        put(broker, f"{S}-{number:04}", {"topic": T})
    until(page, lambda: element(page, "#count").text == "1,000 of 1,000")
    assert len(rows(page, "subscriptions")) == 1_000
    first_column = "#subscriptions thead th:first-child"
    element(page, first_column + " button").click()
    assert rows(page, "subscriptions")[0][0].startswith("orders")
    assert element(page, first_column).get_attribute("aria-sort") == "ascending"
    element(page, first_column + " button").click()
    assert rows(page, "subscriptions")[0][0].startswith("orders-0999")
    element(page, "#find").send_keys("s-050")
    until(page, lambda: len(rows(page, "subscriptions")) == 10)
    took_ms = page.execute_async_script(
        "const done = arguments[0], began = performance.now();"
        "document.getElementById('find').value = '';"
        "refresh().then(() => done(performance.now() - began))"
    )
    assert took_ms < 2_000


def test_a_lost_broker_is_told(window: Any, tmp_path: Path) -> None:
    """And so is its return, on the same page."""
    with Broker(data_dir=tmp_path, http_port=0) as broker:
        window.get(broker.http_address + "/ui")
        until(window, lambda: element(window, "#state").text.endswith("serving"))
        port = int(broker.http_address.rpartition(":")[2])
    until(window, lambda: "no answer" in element(window, "#state").text)
    with Broker(data_dir=tmp_path, http_port=port):
        until(window, lambda: element(window, "#state").text.endswith("serving"))
    window.get_log("browser")


def test_every_control_has_a_name(broker: Broker, page: Any) -> None:
    """As a screen reader says it; a table has a caption, its cells have headers."""
    nameless = page.execute_script(
        "return [...document.querySelectorAll('button, input, select, textarea, dialog, table')]"
        ".filter((each) => !(each.textContent.trim() || each.labels?.length"
        " || each.getAttribute('aria-labelledby') || each.caption)).map((each) => each.outerHTML)"
    )
    assert nameless == []
    looks = page.find_elements(By.CSS_SELECTOR, "#subscriptions tbody button")
    assert [each.accessible_name for each in looks] == [f"Look {S}"]
    assert element(page, "#subscriptions tbody th").get_attribute("scope") == "row"
    assert page.switch_to.active_element.tag_name == "body"


def test_only_our_own_page_is_served_with_a_policy(broker: Broker) -> None:
    """No other script, no frame around it, nothing cached."""
    answer = requests.get(broker.http_address + "/ui", timeout=WAIT_S)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"


AUTH = """
principals:
  - {member: "user:admin@example.com", token_env: ADMIN}
projects:
  p:
    - {role: roles/pubsub.admin, members: ["user:admin@example.com"]}
"""


def test_who_is_asking_is_asked(window: Any, tmp_path: Path) -> None:
    """Where a broker asks for tokens, its page does so before it shows anything."""
    (tmp_path / "auth.yaml").write_text(AUTH)
    port = free_port()
    flags = ["--auth", str(tmp_path / "auth.yaml"), "--http-port", str(port)]
    (tmp_path / "topics.yaml").write_text(f"topics:\n- name: {T}\n")
    flags += ["--config", str(tmp_path / "topics.yaml")]
    token = "the-administrators-token"
    with BrokerProcess(tmp_path / "data", *flags, environment={"ADMIN": token}):
        window.get(f"http://127.0.0.1:{port}/ui")
        for typed in ("wrong", token):
            until(window, lambda: element(window, "#access").is_displayed())
            assert rows(window, "topics") == []
            element(window, "#access-token").clear()
            element(window, "#access-token").send_keys(typed)
            element(window, "#access-form button").click()
        until(window, lambda: rows(window, "topics"))
        assert not element(window, "#access").is_displayed()
        element(window, "#topics tbody button").click()
        element(window, "#publish-data").send_keys("x")
        element(window, "#publish-form button[type=submit]").click()
        until(window, lambda: element(window, "#publish-told").text == "Published with id 1.")
    window.get_log("browser")
