"""`check` tries every dependency for real, names what is wrong and says how to mend it."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pytest

from config.settings import Settings
from gateway.embedded.mail_server import Mailbox, MailboxMode
from gateway.ops.probes import BucketProbe, ProbeFailed, probe_archives
from keys import host_keys
from tests.gateway.conftest import Call
from tests.gateway.nodes import call as call_gateway

Variables = dict[str, str]
AWAY = "postgresql://u:secretword@127.0.0.1:9/x"


def set_variables(monkeypatch: pytest.MonkeyPatch, variables: Variables) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


Checks = Callable[[Variables, int], dict[str, dict[str, object]]]


@pytest.fixture
def checks(call: Call, monkeypatch: pytest.MonkeyPatch) -> Checks:
    """Calls `check`, which must end with that status, and gives the failed checks by name."""

    def run(variables: Variables, status: int) -> dict[str, dict[str, object]]:
        set_variables(monkeypatch, variables)
        answer = call("check", "--json")
        assert answer.status == status, answer
        document = answer.document
        names = {found["name"] for found in document["checks"]}
        assert names == {"configuration", "database", "s3", "smtp", "hostkeys", "spool"}
        assert document["ok"] is (status == 0)
        return {found["name"]: found for found in document["checks"] if not found["ok"]}

    return run


def test_all_is_well(checks: Checks, gateway_variables: Variables, provisioned: str) -> None:
    assert checks(gateway_variables, 0) == {}
    lines = call_gateway(gateway_variables, "check").splitlines()
    assert len(lines) == 6
    assert all(line.startswith("ok ") for line in lines)


@pytest.mark.parametrize(
    ("changes", "status", "name", "text"),
    [
        pytest.param({"DATABASE__URL": AWAY}, 3, "database", "can't be reached", id="database away"),
        pytest.param({"S3__ENDPOINT_URL": "http://127.0.0.1:9"}, 3, "s3", "SFTP_GATEWAY_S3__ENDPOINT_URL", id="s3 away"),
        pytest.param({"S3__BUCKET": "no-such-bucket"}, 2, "s3", "SFTP_GATEWAY_S3__BUCKET", id="no bucket"),
        pytest.param({"S3__BUCKET": "No Bucket"}, 2, "s3", "SFTP_GATEWAY_S3__BUCKET", id="no bucket's name"),
        pytest.param({"S3__SECRET_ACCESS_KEY": "secretword"}, 2, "s3", "SignatureDoesNotMatch", id="wrong secret"),
        pytest.param({"SMTP__PORT": "9"}, 3, "smtp", "SFTP_GATEWAY_SMTP__HOST", id="smtp away"),
        pytest.param({"SMTP__SECURITY": "starttls"}, 3, "smtp", "__SECURITY", id="smtp without starttls"),
        pytest.param({"SFTP__HOST_KEY_DIR": "/nonexistent"}, 2, "hostkeys", "hostkey generate", id="no host keys"),
        pytest.param({"SFTP__SPOOL_DIR": "/proc/spool"}, 2, "spool", "can't be written", id="spool not writable"),
        pytest.param({"S3__SESSION_TOKEN": "secretword"}, 2, "configuration", "temporary", id="temporary credentials"),
    ],
)  # fmt: skip
def test_check_names_what_is_wrong(
    checks: Checks,
    gateway_variables: Variables,
    provisioned: str,
    changes: Variables,
    status: int,
    name: str,
    text: str,
) -> None:
    changed = {f"SFTP_GATEWAY_{variable}": value for variable, value in changes.items()}
    failed = checks({**gateway_variables, **changed}, status)
    assert text in str(failed[name]["detail"])
    assert "secretword" not in str(failed)


def test_a_weak_host_key_is_warned_of(
    call: Call, monkeypatch: pytest.MonkeyPatch, gateway_variables: Variables
) -> None:
    set_variables(monkeypatch, gateway_variables)
    monkeypatch.setattr(host_keys, "RSA_BITS", 1024)
    assert call("hostkey", "generate").status == 0
    answer = call("check", "--json")
    assert answer.status == 0, answer
    (warning,) = [found["detail"] for found in answer.document["checks"] if found["warning"]]
    assert "ssh_host_rsa_key is a weak RSA key" in warning


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        pytest.param({}, 2, "SFTP_GATEWAY_CONSOLE__SECRET", id="no secret"),
        pytest.param({"SECRET": "x" * 32, "TLS_CERTIFICATE": "/no", "TLS_KEY": "/no"}, 2, "/no", id="no certificate"),
        pytest.param({"SECRET": "x" * 32}, 0, "without TLS", id="all is well"),
    ],
)  # fmt: skip
def test_a_console_is_asked_for_what_only_it_needs(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    gateway_variables: Variables,
    changes: Variables,
    status: int,
    text: str,
) -> None:
    changed = {f"SFTP_GATEWAY_CONSOLE__{name}": value for name, value in changes.items()}
    set_variables(monkeypatch, gateway_variables | changed)
    answer = call("check", "--part", "console")
    assert answer.status == status, answer
    lines = answer.out.splitlines()
    assert [line.split()[1] for line in lines] == ["configuration", "database", "s3", "smtp", "console"]
    assert text in lines[-1]
    assert "x" * 32 not in answer.out


def test_a_mail_server_that_is_away_is_named(
    checks: Checks, gateway_variables: Variables, provisioned: str, mailbox: Mailbox
) -> None:
    mailbox.become(MailboxMode.AWAY)
    assert list(checks(gateway_variables, 3)) == ["smtp"]


class OneObject(BaseHTTPRequestHandler):
    """An object store that keeps the last object, what was told with it, and the headers it came with."""

    content = b""
    told: ClassVar[dict[str, str]] = {}
    came_with: ClassVar[list[str | None]] = []

    def do_PUT(self) -> None:
        type(self).content = self.rfile.read(int(self.headers["Content-Length"]))
        self.came_with.append(self.headers["x-amz-server-side-encryption"])
        self.told.clear()
        self.told.update(
            {name: self.headers[name] for name in self.headers if name.lower().startswith("x-amz-meta-")}
        )
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(self.content, self.told)

    def do_DELETE(self) -> None:
        self._answer(b"")

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, content: bytes, told: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(200)
        for name, value in told.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(kind: type[OneObject]) -> Iterator[str]:
    """Such a store's address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(server.serve_forever)
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


class NoArchives(OneObject):
    """One whose key may do less with archives."""

    refused: ClassVar[set[str]] = set()

    def _answer(self, content: bytes, told: Mapping[str, str] = MappingProxyType({})) -> None:
        if self.command in self.refused and "/archives/" in self.path:
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super()._answer(content, told)


async def test_a_key_that_may_not_archive_is_found(settings: Settings) -> None:
    with serving(NoArchives) as endpoint:
        s3 = settings.s3.model_copy(update={"endpoint_url": endpoint})
        for refused in ("PUT", "DELETE"):
            NoArchives.refused = {refused}
            with pytest.raises(
                ProbeFailed, match=r"refuses \(HTTP 403.*; .* to put, get and delete archives/\*"
            ):
                await probe_archives(s3)
        NoArchives.refused = set()
        assert "under archives/ an object put, fetched and deleted" in await probe_archives(s3)


@pytest.mark.parametrize(
    ("encryption", "sent"), [("AES256", "AES256"), ("aws:kms", "aws:kms"), ("none", None)]
)
async def test_the_bucket_is_tried_with_the_encryption_of_uploads(
    encryption: str, sent: str | None, settings: Settings
) -> None:
    with serving(OneObject) as endpoint:
        s3 = settings.s3.model_copy(update={"endpoint_url": endpoint, "server_side_encryption": encryption})
        with closing(BucketProbe(s3)) as probe:
            await probe()
    assert OneObject.came_with[-1] == sent


def test_a_spool_open_to_others_is_found(
    checks: Checks, gateway_variables: Variables, provisioned: str, state: Path
) -> None:
    (state / "spool").mkdir(mode=0o755)
    assert "chmod 700" in str(checks(gateway_variables, 2)["spool"]["detail"])


def test_a_missing_schema_is_named(
    checks: Checks, gateway_variables: Variables, empty_database_url: str
) -> None:
    failed = checks({**gateway_variables, "SFTP_GATEWAY_DATABASE__URL": empty_database_url}, 2)
    assert "sftp-gateway migrate" in str(failed["database"]["detail"])
