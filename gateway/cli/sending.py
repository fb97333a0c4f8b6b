"""`sftp-gateway sending …`: what waits at each sender, and pauses."""

from typing import TYPE_CHECKING

import typer

from gateway.cli.arguments import JSON
from gateway.cli.invocation import invocation_of, run
from gateway.output import for_people, print_json, print_table, utc

if TYPE_CHECKING:
    from sending.queues import SenderQueue

app = typer.Typer(
    help="The sending core: what waits, pause, resume.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="sending")


@app.command(epilog="Example: sftp-gateway sending status --json")
def status(context: typer.Context, as_json: JSON = False) -> None:
    """Show each sender: its rate, what waits there and since when, and whether it is paused and why."""
    from sending.queues import fetch_queues

    async def fetch() -> "list[SenderQueue]":
        async with invocation_of(context).open_database() as connection:
            return await fetch_queues(connection)

    queues = run(fetch())
    if as_json:
        print_json([_document(queue) for queue in queues])
        return
    rows = [
        (
            queue.sender,
            queue.provider,
            f"{queue.rate:g}/s",
            f"{queue.waiting:,}",
            f"{queue.under_way:,}",
            for_people(queue.oldest_waiting_at),
            for_people(queue.paused_since),
            queue.paused_because,
        )
        for queue in queues
    ]
    print_table(
        ("sender", "provider", "segments", "waiting", "under way", "oldest waiting", "paused", "because"),
        rows,
        empty="There are no senders yet: each appears with the first batch that it takes up.",
    )


def _document(queue: "SenderQueue") -> dict[str, object]:
    """The JSON of a sender (7-sending.md, small print)."""
    return {
        "sender": queue.sender,
        "provider": queue.provider,
        "rate": queue.rate,
        "waiting": queue.waiting,
        "underWay": queue.under_way,
        "oldestWaitingAt": utc(queue.oldest_waiting_at),
        "pausedSince": utc(queue.paused_since),
        "pausedBecause": queue.paused_because,
    }
