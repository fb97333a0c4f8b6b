"""`check` binds to the aggregator and unbinds: each trouble is one line that says what to do."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config.settings import load_settings, variable_of
from gateway.embedded.server_process import free_port
from gateway.errors import ExitStatus
from gateway.ops.sending_probes import probe_channels
from sending.providers.authorities import trusted_authorities
from tests.conftest import run_apart
from tests.sending.providers.smpp.aggregator import aggregator_in_a_thread
from tests.sending.providers.test_twilio_tls import make_certificate

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call

REFUSED = "the aggregator refuses the account: bind refused 0x0E"


def checked(admin: "Call") -> tuple[str, ExitStatus]:
    """What `check` says of the public channel, and which exit status that asks for: other things may be wrong beside it."""
    answer = admin("check", "--json")
    (line,) = [each for each in answer.document["checks"] if each["name"] == "public channel"]
    assert "secret08" not in answer.out + answer.err
    (found,) = run_apart(probe_channels(load_settings(None)))
    assert (found.detail, found.is_well) == (line["detail"], line["ok"])
    return found.detail, found.status


@pytest.fixture
def smpp(admin: "Call", campaign_id: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This node sends the public channel by SMPP, without TLS."""
    values = {
        "processes": "1",
        "public.provider": "smpp",
        "smpp.host": "127.0.0.1",
        "smpp.system_id": "gateway",
        "smpp.password": "secret08",
        "smpp.tls": "none",
    }
    for name, value in values.items():
        monkeypatch.setenv(variable_of(f"sending.{name}"), value)
    return monkeypatch


def test_it_binds_and_unbinds_or_says_why_not(admin: "Call", smpp: pytest.MonkeyPatch) -> None:
    with aggregator_in_a_thread() as aggregator:
        smpp.setenv(variable_of("sending.smpp.port"), str(aggregator.port))
        assert checked(admin) == ("sent by smpp, and the aggregator lets us bind", ExitStatus.DONE)
        # By the command, and by this test.
        aggregator.wait_for(aggregator.own.until_told("unbind", 2))
        assert aggregator.told("bind") == [{"bind": 0, "version": 0x34}] * 2
        assert aggregator.told("unbind") == [{"unbind": True}] * 2
        smpp.setenv(variable_of("sending.smpp.password"), "another8")
        assert checked(admin) == (REFUSED, ExitStatus.CONFIGURATION)
    detail = ("no bind at the aggregator: nobody listens there", ExitStatus.UNREACHABLE)
    assert checked(admin) == detail
    smpp.setenv(variable_of("sending.smpp.host"), "smpp.invalid")
    assert checked(admin)[1] is ExitStatus.UNREACHABLE


def test_a_bind_that_is_refused_without_a_reason_may_pass(admin: "Call", smpp: pytest.MonkeyPatch) -> None:
    with aggregator_in_a_thread(bindStatus=0x0D) as aggregator:
        smpp.setenv(variable_of("sending.smpp.port"), str(aggregator.port))
        detail = ("no bind at the aggregator: bind refused 0x0D", ExitStatus.UNREACHABLE)
        assert checked(admin) == detail


def test_a_certificate_that_nobody_vouches_for_is_said(
    admin: "Call", smpp: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    smpp.setenv(variable_of("sending.smpp.tls"), "verify")
    trusted_authorities.cache_clear()
    with aggregator_in_a_thread(cert=str(certificate), key=str(key)) as aggregator:
        smpp.setenv(variable_of("sending.smpp.port"), str(aggregator.port))
        detail, status = checked(admin)
    assert detail.startswith("no bind at the aggregator: the peer's certificate isn't for this host")
    assert status is ExitStatus.CONFIGURATION


def test_values_that_are_missing_are_named(admin: "Call", smpp: pytest.MonkeyPatch) -> None:
    smpp.setenv(variable_of("sending.smpp.port"), str(free_port()))
    smpp.delenv(variable_of("sending.smpp.host"))
    smpp.delenv(variable_of("sending.smpp.password"))
    host, password = variable_of("sending.smpp.host"), variable_of("sending.smpp.password")
    expected = f"the aggregator's account is not whole: set {host}, {password}"
    assert checked(admin) == (expected, ExitStatus.CONFIGURATION)
