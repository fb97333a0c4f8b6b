"""Each service away, slow, refusing, cutting or full, in turn: the gateway must recover by itself and say why it refused."""

import time
from collections.abc import Awaitable, Callable, Sequence

from gateway.embedded.mail_server import MailboxMode
from tests.chaos.outages import database, mail_server, object_store, spool
from tests.chaos.testbed.split_gateway import (
    SplitGateway,
)

Scenario = Callable[[SplitGateway], Awaitable[str]]


async def run_outages(
    gateway: SplitGateway, scenarios: Sequence[tuple[str, Scenario]]
) -> dict[str, tuple[float, str]]:
    """Run the scenarios in turn. Returns the seconds and the summaries by name; the first failure is raised with a note of its
    scenario."""
    results = {}
    for name, scenario in scenarios:
        began = time.monotonic()
        try:
            summary = await scenario(gateway)
        except BaseException as error:
            error.add_note(f"in the outage: {name}")
            raise
        results[name] = time.monotonic() - began, summary
    return results


def all_outages() -> list[tuple[str, Scenario]]:
    """The scenarios of `make chaos`, in the order in which they run."""

    def mail(mode: MailboxMode, seconds: float = 0) -> Scenario:
        return lambda gateway: mail_server.mail_server_fails_for_now(gateway, mode, seconds)

    return [
        ("PostgreSQL restarted under load", database.database_restarts_under_load),
        ("PostgreSQL crashing under load", database.database_crashes_under_load),
        ("PostgreSQL away for a moment", database.database_is_away_for_a_moment),
        ("PostgreSQL away", database.database_is_away),
        ("S3 failing at CLOSE", object_store.bucket_fails_at_intake),
        ("S3 cutting once at CLOSE", object_store.bucket_cuts_once_at_intake),
        ("S3 failing at the verdict", object_store.bucket_fails_at_verdict),
        ("SMTP 4xx", mail(MailboxMode.REFUSING_FOR_NOW)),
        ("SMTP 5xx", mail_server.mail_server_refuses_for_good),
        ("SMTP hanging", mail(MailboxMode.HANGING)),
        ("SMTP cutting after DATA", mail_server.mail_server_cuts),
        ("SMTP away for a minute", mail(MailboxMode.AWAY, 60)),
        ("spool full", spool.spool_is_full),
    ]
