"""The alerts on the aggregator ring when their causes are there: no link, a refused account, receipts that tell nothing."""

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import run_apart
from tests.gateway.nodes import Node, wait_until
from tests.gateway.ops.alert_rules import names_of_alerts, ringing
from tests.gateway.ops.test_monitoring import needs_promtool
from tests.sending.providers.smpp.aggregator import AggregatorInAThread, aggregator_in_a_thread

BINDS = 11
STRAY = "id:777 sub:001 dlvrd:001 submit date:2611280438 done date:2611280439 stat:DELIVRD err:000 text:"


def alerts_of_smpp() -> list[str]:
    """They are the last ones of the file."""
    names = names_of_alerts()
    return names[names.index("SFTPGatewaySMPPUnbound") :]


class Watched:
    """A node that sends through an aggregator, and what it told at the last look."""

    def __init__(self, node: Node, folder: Path) -> None:
        self._node = node
        self._folder = folder
        self.seen = node.get("/metrics")[1]

    def look(self) -> set[str]:
        """The alerts on the aggregator that ring for what has changed since the last look."""
        before, self.seen = self.seen, self._node.get("/metrics")[1]
        return ringing(before, self.seen, self._folder) & {*alerts_of_smpp(), "SFTPGatewayReceiptsUnmatched"}

    def value(self, series: str) -> float:
        lines = [line for line in self._node.get("/metrics")[1].splitlines() if line.startswith(series)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def until_value(self, series: str, least: float) -> None:
        wait_until(lambda: self.value(series) >= least, f"{series} >= {least}", 60)


def deliver(aggregator: AggregatorInAThread, text: str) -> None:
    aggregator.wait_for(aggregator.own.deliver(text))


def make_old(database_url: str) -> int:
    """Let receipts that wait for their part have waited for a while; how many they are."""

    async def update() -> int:
        connection = await asyncpg.connect(database_url)
        try:
            statement = "update part_receipts set received_at = now() - interval '2 min' where not counted"
            return int((await connection.execute(statement)).rpartition(" ")[2])
        finally:
            await connection.close()

    return run_apart(update())


@needs_promtool
@pytest.mark.timeout(240)
def test_each_alert_rings_when_its_cause_is_there_and_none_without(
    start_node: Callable[..., Node], database_url: str, tmp_path: Path
) -> None:
    rang: set[str] = set()
    with aggregator_in_a_thread() as aggregator:
        port = aggregator.port
        values = {
            "ENVIRONMENT": "production",
            "SENDING__PROCESSES": "1",
            "SENDING__SWEEP_EVERY": "1",
            "SENDING__PUBLIC__PROVIDER": "smpp",
            "SENDING__SMPP__HOST": "127.0.0.1",
            "SENDING__SMPP__PORT": str(port),
            "SENDING__SMPP__SYSTEM_ID": "gateway",
            "SENDING__SMPP__PASSWORD": "secret08",
            "SENDING__SMPP__TLS": "none",
            "SENDING__SMPP__BINDS": str(BINDS),
        }
        node = start_node(**{f"SFTP_GATEWAY_{name}": value for name, value in values.items()})
        watched = Watched(node, tmp_path)
        watched.until_value("sftp_gateway_smpp_binds", BINDS)
        watched.look()
        assert watched.look() == set()

        # Receipts that say nothing, and one of a message that nobody sent.
        for _ in range(11):
            deliver(aggregator, "delivered, thank you")
        deliver(aggregator, STRAY)
        watched.until_value("sftp_gateway_smpp_messages_unreadable_total", 11)
        wait_until(lambda: make_old(database_url) > 0, "the receipt is stored")
        watched.until_value("sftp_gateway_receipts_unmatched_total", 1)
        rang |= watched.look()
        assert rang == {"SFTPGatewaySMPPUnreadable", "SFTPGatewayReceiptsUnmatched"}

        # It hangs up on all of them.
        aggregator.wait_for(aggregator.own.tell(cut=True))
        watched.until_value('sftp_gateway_smpp_links_lost_total{reason="lost"}', BINDS)
        watched.until_value("sftp_gateway_smpp_binds", BINDS)
        found = watched.look()
        assert found == {"SFTPGatewaySMPPLinksBreak"}
        rang |= found

    watched.until_value('sftp_gateway_smpp_links_lost_total{reason="lost"}', 2 * BINDS + 1)
    rang |= watched.look()
    assert "SFTPGatewaySMPPUnbound" in rang

    # It is back, and has another password.
    with aggregator_in_a_thread(port=port, password="another8"):
        watched.until_value('sftp_gateway_smpp_links_lost_total{reason="refused"}', 1)
    rang |= watched.look()
    assert rang == {*alerts_of_smpp(), "SFTPGatewayReceiptsUnmatched"}
