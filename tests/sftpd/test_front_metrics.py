"""What the front counts, as Prometheus reads it."""

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import REGISTRY

from sftpd import metrics
from tests.conftest import KeyPair
from tests.sftpd.fronts import Front, eventually


def test_names_and_processes_add_up() -> None:
    instruments = [
        value for value in vars(metrics).values() if isinstance(value, (Counter, Gauge, Histogram))
    ]
    assert len(instruments) >= 12
    for instrument in instruments:
        assert instrument._name.startswith("sftp_gateway_")
        if isinstance(instrument, Gauge):
            # Gauges add up over processes that live, because a dead one's connections are gone with it.
            assert instrument._multiprocess_mode == "livesum"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_login_is_counted_and_so_is_its_end(
    front: Front, campaign: str, ed25519_key: KeyPair
) -> None:
    before = value("sftp_gateway_logins_total", result="accepted")
    ended = value("sftp_gateway_connections_total", outcome="logged_in")
    connection = await front.connect(campaign, ed25519_key)
    assert value("sftp_gateway_logins_total", result="accepted") == before + 1
    await eventually(lambda: value("sftp_gateway_sessions_open") == 1)
    connection.close()
    await connection.wait_closed()
    await eventually(lambda: value("sftp_gateway_sessions_open") == 0)
    assert value("sftp_gateway_connections_total", outcome="logged_in") == ended + 1
