"""The broker with an authority and with TLS: who may do what, by gRPC, stream, REST and pages."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from pipelines import launch, pubsub_to_pubsub
from tests.certificates import certificate
from tests.processes import BrokerProcess, free_port

pytestmark = pytest.mark.integration

WAIT_S = 30.0
TOKENS = {"ADMIN": "token-of-the-administrator", "WRITER": "token-of-the-writer-of-events"}
AUTH = """
principals:
  - {member: "user:admin@example.com", token_env: ADMIN}
  - {member: "serviceAccount:writer@demo.iam.gserviceaccount.com", token_env: WRITER}
projects:
  demo:
    - {role: roles/pubsub.admin, members: ["user:admin@example.com"]}
"""
WRITER = "serviceAccount:writer@demo.iam.gserviceaccount.com"
TOPIC, SUBSCRIPTION = "projects/demo/topics/events", "projects/demo/subscriptions/events"


class Api(NamedTuple):
    """The stock clients of one caller."""

    publisher: Any
    subscriber: Any


class Served(NamedTuple):
    """A broker with authority and TLS."""

    address: str
    http: str
    cert: Path

    def api(self, token: str = "") -> Api:
        """Return the clients of whoever has a token, or of a stranger."""
        credentials = grpc.ssl_channel_credentials(self.cert.read_bytes())
        if token:
            credentials = grpc.composite_channel_credentials(
                credentials, grpc.access_token_call_credentials(token)
            )
        channel = grpc.secure_channel(self.address, credentials)
        return Api(
            pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=channel)),
            pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)),
        )

    def get(self, path: str, token: str = "") -> requests.Response:
        """Return what HTTP answers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.http + path
        return requests.get(url, headers=headers, verify=str(self.cert), timeout=WAIT_S)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve one, with a topic and a subscription of the administrator."""
    directory = tmp_path_factory.mktemp("broker")
    cert, key = certificate(directory)
    (directory / "auth.yaml").write_text(AUTH)
    flags = ["--auth", f"{directory / 'auth.yaml'}", "--tls-cert", f"{cert}", "--tls-key", f"{key}"]
    port = free_port()
    flags += ["--http-port", f"{port}"]
    with BrokerProcess(directory / "data", *flags, environment=TOKENS) as broker:
        found = Served(broker.address, f"https://127.0.0.1:{port}", cert)
        admin = found.api(TOKENS["ADMIN"])
        admin.publisher.create_topic(name=TOPIC)
        admin.subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        yield found


def publish(api: Api) -> None:
    """Publish one message, without the batching of the client."""
    PublisherClient.publish(api.publisher, topic=TOPIC, messages=[{"data": b"x"}])


def allow(served: Served, *bindings: tuple[str, str]) -> None:
    """Set the policy of the topic."""
    policy = {"bindings": [{"role": role, "members": [member]} for role, member in bindings]}
    admin = served.api(TOKENS["ADMIN"])
    admin.publisher.set_iam_policy(request={"resource": TOPIC, "policy": policy})


def test_role_on_a_resource_permits_just_that(served: Served) -> None:
    """A publisher publishes, and does nothing else."""
    writer = served.api(TOKENS["WRITER"])
    with pytest.raises(exceptions.PermissionDenied, match=r"pubsub\.topics\.publish on .*events"):
        publish(writer)
    allow(served, ("roles/pubsub.publisher", WRITER))
    publish(writer)
    with pytest.raises(exceptions.PermissionDenied):
        writer.publisher.delete_topic(topic=TOPIC)
    with pytest.raises(exceptions.PermissionDenied):
        writer.subscriber.pull(subscription=SUBSCRIPTION, max_messages=1)
    with pytest.raises(exceptions.PermissionDenied):
        writer.publisher.create_topic(name="projects/demo/topics/other")
    with pytest.raises(exceptions.PermissionDenied):
        list(writer.publisher.list_topics(project="projects/demo"))
    allow(served)
    with pytest.raises(exceptions.PermissionDenied):
        publish(writer)


def test_strangers_and_wrong_tokens_are_unauthenticated(served: Served) -> None:
    """Unless everybody may."""
    for api in (served.api(), served.api("no such token at all")):
        with pytest.raises(exceptions.Unauthenticated):
            publish(api)
    allow(served, ("roles/pubsub.publisher", "allUsers"))
    publish(served.api())
    allow(served)


def test_stream_and_leases_are_checked_too(served: Served) -> None:
    """They are not in the table of unary methods."""
    writer = served.api(TOKENS["WRITER"])
    future = writer.subscriber.subscribe(SUBSCRIPTION, lambda message: message.ack())
    with pytest.raises(exceptions.PermissionDenied, match="consume"):
        future.result(timeout=WAIT_S)
    channel = writer.publisher.transport.grpc_channel
    lease = channel.unary_unary("/headrace.broker.v1.Batches/Lease")
    with pytest.raises(grpc.RpcError) as refusal:
        lease(json.dumps({"subscription": SUBSCRIPTION}).encode(), timeout=WAIT_S)
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_what_one_may_do_can_be_asked(served: Served) -> None:
    """With what the project grants."""
    asked = ["pubsub.topics.publish", "pubsub.topics.delete"]
    for token, expected in ((TOKENS["ADMIN"], asked), (TOKENS["WRITER"], []), ("", [])):
        request = {"resource": TOPIC, "permissions": asked}
        found = served.api(token).publisher.test_iam_permissions(request=request)
        assert list(found.permissions) == expected


def test_rest_and_pages_are_checked(served: Served) -> None:
    """Health is for everybody; metrics and what the page shows are for those who are known."""
    path = f"/v1/{TOPIC}"
    assert served.get(path).status_code == 401
    assert served.get(path, TOKENS["WRITER"]).status_code == 403
    assert served.get(path, TOKENS["ADMIN"]).json()["name"] == TOPIC
    for page in ("/metrics", "/ui/status"):
        assert served.get(page).status_code == 401
        assert served.get(page, TOKENS["WRITER"]).status_code == 200
    backlog = f"/ui/backlog?subscription={SUBSCRIPTION}"
    assert served.get(backlog, TOKENS["WRITER"]).status_code == 403
    assert served.get(backlog, TOKENS["ADMIN"]).status_code == 200
    for page in ("/", "/healthz", "/ui", "/oauth2/v1/certs"):
        assert served.get(page).status_code == 200


def test_plain_clients_are_not_served(served: Served) -> None:
    """Both ports are encrypted."""
    with grpc.insecure_channel(served.address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        with pytest.raises(grpc.RpcError):
            check(b"", timeout=WAIT_S)
    with pytest.raises(requests.ConnectionError):
        requests.get(served.http.replace("https", "http") + "/healthz", timeout=WAIT_S)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--auth", "{}/missing.yaml"], "error: --auth='{}/missing.yaml': can't be read (No such"),
        (["--auth", "{}/bad.yaml"], "error: --auth: {}/bad.yaml:1: people is not known"),
        (["--config", "{}"], "error: --config='{}': can't be read (Is a directory)"),
        (["--config", "{}/bad.yaml"], "error: --config: {}/bad.yaml:1: people is not one of"),
        (
            ["--tls-cert", "{}/cert.pem", "--tls-key", "{}/bad.yaml"],
            "error: --tls-cert='{}/cert.pem': can't be read",
        ),
        (["--data-dir", "/proc/none"], "error: --data-dir='/proc/none': can't be used (No such"),
        (["--tls-cert", "{}/cert.pem"], "--tls-cert and --tls-key: give both or none"),
        (
            ["--tls-cert", "{}/bad.yaml", "--tls-key", "{}/bad.yaml"],
            "error: --tls-cert: {}/bad.yaml and {}/bad.yaml are no certificate and its key",
        ),
    ],
)
def test_bad_files_are_told_before_anything_starts(
    tmp_path: Path, flags: list[str], text: str
) -> None:
    """In one line, without a traceback."""
    (tmp_path / "bad.yaml").write_text("people: []")
    command = [sys.executable, "-m", "connectors.broker", "--port", "0", "--data-dir"]
    arguments = [str(tmp_path / "data"), *(each.format(tmp_path) for each in flags)]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 2
    assert text.replace("{}", str(tmp_path)) in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_help_is_plain_text() -> None:
    """It is read in a terminal: no marks, and each default is told as one."""
    command = [sys.executable, "-m", "connectors.broker", "--help"]
    text = subprocess.run(
        command, capture_output=True, text=True, timeout=WAIT_S, check=True
    ).stdout
    assert "``" not in text
    assert "Default: 8085" in text
    assert "(8085)" not in text


@pytest.fixture
def routing(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], int]:
    """Run a pipeline from the subscription to a topic, with a token in a file."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", served.address)
    monkeypatch.setenv("PUBSUB_EMULATOR_CA_FILE", str(served.cert))
    token_file = tmp_path / "token"
    argv = [
        f"--subscription={SUBSCRIPTION}", f"--output_topic={TOPIC}-routed",
        f"--dead_letter={tmp_path / 'dead'}",
    ]  # fmt: skip

    def run(token: str) -> int:
        if token:
            token_file.write_text(f"{token}\n")
            monkeypatch.setenv("PUBSUB_EMULATOR_TOKEN_FILE", str(token_file))
        return launch.status(pubsub_to_pubsub, argv)

    return run


def test_pipeline_has_a_token(
    served: Served, routing: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without one, and with a wrong one, the error says where to put it; with it messages pass."""
    admin = served.api(TOKENS["ADMIN"])
    admin.publisher.create_topic(name=f"{TOPIC}-routed")
    admin.subscriber.create_subscription(name=f"{SUBSCRIPTION}-routed", topic=f"{TOPIC}-routed")
    publish(admin)
    for token in ("", "no-such-token-at-all"):
        assert routing(token) == 2
        error = capsys.readouterr().err
        assert f"error: --subscription='{SUBSCRIPTION}': the account is not known" in error
        assert "Set PUBSUB_EMULATOR_TOKEN_FILE to a file" in error
        assert "gcloud" not in error
    assert routing(TOKENS["WRITER"]) == 2
    assert "access is denied" in capsys.readouterr().err
    assert routing(TOKENS["ADMIN"]) == 0
    pulled = admin.subscriber.pull(subscription=f"{SUBSCRIPTION}-routed", max_messages=100)
    assert b"x" in [each.message.data for each in pulled.received_messages]


@pytest.mark.parametrize(
    ("variable", "content", "text"),
    [
        ("PUBSUB_EMULATOR_TOKEN_FILE", None, "can't be read"),
        ("PUBSUB_EMULATOR_TOKEN_FILE", "two words", "a bearer token and nothing else"),
        ("PUBSUB_EMULATOR_TOKEN_FILE", "", "a bearer token and nothing else"),
        ("PUBSUB_EMULATOR_CA_FILE", None, "can't be read"),
    ],
)
def test_file_of_the_environment_that_is_no_good_is_named(  # noqa: PLR0917 - what it takes
    routing: Callable[[str], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    content: str | None,
    text: str,
) -> None:
    """By its variable, with its name, before anything starts."""
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(variable, str(path))
    assert routing("") == 2
    error = capsys.readouterr().err
    assert f"error: {variable}='{path}': " in error
    assert text in error
