"""`sftp-gateway sending …`: what waits at each sender, and pauses."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import JSON
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused
from gateway.output import for_people, note, print_json, print_table, utc

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
        empty="There are no senders yet: they are made when the part `sender` starts for the first time.",
    )


Sender = Annotated[
    str | None, typer.Option("--sender", metavar="S", help="This sender, as `sending status` names it.")
]
Campaign = Annotated[
    str | None, typer.Option("--campaign", metavar="CAMPAIGN", help="What leaves of this campaign.")
]


@app.command(
    epilog="Examples: sftp-gateway sending pause --sender public · sftp-gateway sending pause --campaign CAMPAIGN"
)
def pause(
    context: typer.Context,
    sender: Sender = None,
    campaign: Campaign = None,
    everything: Annotated[bool, typer.Option("--all", help="All senders, as without an option.")] = False,
) -> None:
    """Let nothing more leave, within a second or two; files are taken all the same."""
    from sending.pauses import pause_campaign, pause_senders

    _check_choice(sender, campaign, everything)
    invocation = invocation_of(context)

    async def change() -> list[str]:
        async with invocation.open_database() as connection, connection.transaction():
            if campaign is not None:
                await pause_campaign(connection, campaign, actor=current_actor())
                return [campaign]
            return await pause_senders(connection, sender, actor=current_actor())

    for name in run(change()):
        note(f"{name} is paused")


@app.command(
    epilog="Examples: sftp-gateway sending resume --sender public · sftp-gateway sending resume --all"
)
def resume(
    context: typer.Context,
    sender: Sender = None,
    campaign: Campaign = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="All senders, as without an option, and those of a restored database too; campaigns stay paused.",
        ),
    ] = False,
) -> None:
    """Lift a pause, whatever its cause: mend that first, where it is not your own.

    That of a restored database is lifted by --all alone: read first what the runbook says of it.
    """
    from sending.pauses import resume_campaign, resume_senders

    _check_choice(sender, campaign, everything)
    invocation = invocation_of(context)

    async def change() -> list[str]:
        async with invocation.open_database() as connection, connection.transaction():
            if campaign is not None:
                was_paused = await resume_campaign(connection, campaign, actor=current_actor())
                return [campaign] if was_paused else []
            return await resume_senders(connection, sender, actor=current_actor(), everything=everything)

    resumed = run(change())
    for name in resumed:
        note(f"{name} sends again")
    if not resumed:
        note("nothing of that was paused")


def _check_choice(sender: str | None, campaign: str | None, everything: bool) -> None:
    """Raises CallMisused where more than one of them is given. None means all senders, as `--all` does."""
    if (sender is not None) + (campaign is not None) + everything > 1:
        raise CallMisused("say which: one of --sender S, --campaign C and --all")


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
