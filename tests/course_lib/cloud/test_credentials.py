"""Nobody reaches a real cloud by accident, and nothing of a laptop's own credentials is ever read or sent."""

from __future__ import annotations

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from course_lib.cloud import aws, azure, credentials, gcp, storage
from course_lib.cloud.errors import CloudError, RealCloudRefused

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDENVIRONMENT",
    "AWS_SECRET_ACCESS_KEY": "planted-secret-of-the-environment",
    "AWS_SESSION_TOKEN": "planted-session-token",
    "AWS_PROFILE": "planted",
    "AWS_DEFAULT_REGION": "eu-planted-1",
    "AWS_ENDPOINT_URL": "http://planted.example:1",
    "AWS_BEARER_TOKEN_BEDROCK": "planted-bearer-token",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountName=planted;AccountKey=cGxhbnRlZA==",
    "AZURE_STORAGE_KEY": "cGxhbnRlZA==",
    "AZURE_CLIENT_SECRET": "planted-client-secret",
    "GOOGLE_CLOUD_PROJECT": "planted-project",
    "STORAGE_EMULATOR_HOST": "http://planted.example:2",
    "HTTP_PROXY": "http://planted.example:3",
    "http_proxy": "http://planted.example:3",
    "ALL_PROXY": "http://planted.example:3",
}


class Recorder(ThreadingHTTPServer):
    """Passes requests on to an emulator, and keeps their heads and bodies."""

    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port, self.seen = port, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(f"{self.command} {self.path}\n{self.headers}".encode() + body)
        to = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        # Azurite checks signatures over the Host header, so it is passed on as it came.
        to.request(self.command, self.path, body, dict(self.headers.items()))
        reply = to.getresponse()
        content = reply.read()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", reply.headers.get("Content-Length") or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        to.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - the names are the standard library's

    def log_message(self, *_):
        pass


@pytest.fixture
def laptop(tmp_path, monkeypatch):
    """A home folder and an environment full of credentials that must never be used."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAPLANTEDFILE\naws_secret_access_key = planted-secret-of-the-file\n"
        "[planted]\naws_access_key_id = AKIAPLANTEDPROFILE\naws_secret_access_key = planted-secret-of-the-profile\n"
    )
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = eu-planted-2\nendpoint_url = http://planted.example:4\n"
        "[profile planted]\nregion = eu-planted-3\n"
    )
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login planted password planted-netrc\n")
    (tmp_path / "adc.json").write_text('{"type": "authorized_user", "refresh_token": "planted-refresh-token"}')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    for cache in (aws._client, aws._isolated_session, azure._client, gcp._client):
        cache.cache_clear()
    yield
    for cache in (aws._client, aws._isolated_session, azure._client, gcp._client):
        cache.cache_clear()


@pytest.fixture
def recorders(clouds):
    """A recorder in front of each emulator."""
    made = {scheme: Recorder(int(url.rpartition(":")[2])) for scheme, url in clouds.urls.items()}
    for one in made.values():
        threading.Thread(target=one.serve_forever, daemon=True).start()
    yield made
    for one in made.values():
        one.shutdown()
        one.server_close()


def test_planted_credentials_are_never_sent_and_nothing_leaves_loopback(recorders, laptop, monkeypatch):
    reached = []
    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda self, to: (reached.append(to), connect(self, to))[1])
    urls = {scheme: one.url for scheme, one in recorders.items()}
    for scheme, body in {"s3": b"1", "az": b"2", "gs": b"3"}.items():
        store = storage.open_store(f"{scheme}://planted-test", urls)
        store.create()
        store.write("a/b", body)
        assert (store.keys(), store.read("a/b")) == (["a/b"], body)
        store.remove()
    for service, call in {"iam": "list_roles", "sagemaker": "list_models", "ecr": "describe_repositories"}.items():
        getattr(aws.client(service, urls["s3"]), call)()
    sent = b"".join(request for one in recorders.values() for request in one.seen)
    assert all(len(one.seen) > 3 for one in recorders.values())
    assert b"planted-test" in sent  # the recorders do see what is sent
    for secret in (*SECRETS.values(), "AKIAPLANTEDFILE", "AKIAPLANTEDPROFILE", "refresh-token", "netrc", "eu-planted"):
        assert secret == "planted" or secret.encode() not in sent, secret
    assert {to[0] for to in reached if isinstance(to, tuple)} == {"127.0.0.1"}


def test_a_bearer_token_of_the_environment_is_not_used_for_bedrock(laptop):
    seen = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.headers["Authorization"])
            body = b'{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bedrock = aws.client("bedrock-runtime", f"http://127.0.0.1:{server.server_address[1]}")
        bedrock.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "hello"}]}])
        server.shutdown()
    assert len(seen) == 1
    assert seen[0].startswith("AWS4-HMAC-SHA256 Credential=local-only/")


@pytest.mark.parametrize(
    "address",
    [
        "https://s3.us-east-1.amazonaws.com",
        "http://10.0.0.1:5000",
        "http://127.0.0.1.evil.example",
        "http://evil.example@127.0.0.1:5000",
        "http://169.254.169.254",
        "127.0.0.1:5000",
        "ftp://127.0.0.1",
        "",
    ],
)
@pytest.mark.parametrize("provider", ["aws", "azure", "gcp"])
def test_an_address_of_another_machine_is_refused(provider, address):
    with pytest.raises(RealCloudRefused, match="is not an address of this machine"):
        credentials.local(provider, address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:5000", "http://localhost:5000/", "http://[::1]:5000"])
def test_an_address_of_this_machine_is_taken(address):
    assert not credentials.local("aws", address).is_real


def test_the_real_cloud_needs_the_variable_and_the_account(monkeypatch):
    monkeypatch.delenv(credentials.SWITCH, raising=False)
    with pytest.raises(RealCloudRefused, match="does not say so"):
        credentials.real("aws", account="123456789012")
    monkeypatch.setenv(credentials.SWITCH, "azure")
    with pytest.raises(RealCloudRefused, match="does not say so"):
        credentials.real("aws", account="123456789012")
    monkeypatch.setenv(credentials.SWITCH, "aws")
    with pytest.raises(RealCloudRefused, match="No account"):
        credentials.real("aws", account="")
    found = credentials.real("aws", account="123456789012", secret="sas")
    assert found.is_real
    assert "sas" not in repr(found)


def test_credentials_of_another_account_than_the_named_one_are_refused(url, tmp_path, monkeypatch):
    (tmp_path / "config").write_text(f"[profile desk]\nregion = us-east-1\nendpoint_url = {url}\n")
    (tmp_path / "keys").write_text("[desk]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv(credentials.SWITCH, "aws")
    wrong = credentials.real("aws", account="999999999999", profile="desk")
    with pytest.raises(RealCloudRefused, match="belong to account 123456789012"):
        aws.client("s3", wrong)
    right = credentials.real("aws", account="123456789012", profile="desk")
    assert "Buckets" in aws.client("s3", right).list_buckets()


def test_access_to_one_provider_is_not_access_to_another():
    with pytest.raises(CloudError, match="access to azure, not to aws"):
        credentials.access("aws", credentials.local("azure", "http://127.0.0.1:1"))
    with pytest.raises(CloudError, match="no provider called"):
        credentials.local("ibm", "http://127.0.0.1:1")
