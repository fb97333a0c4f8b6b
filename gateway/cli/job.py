"""`sftp-gateway job …`: the queue's jobs that are held, as they crashed too often, and another try for them."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.arguments import AFTER_HELP, JSON
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallRefused
from gateway.output import cut_page, for_people, note, print_json, print_table, utc

if TYPE_CHECKING:
    from audit.events import Actor
    from database.connections import Connection
    from database.held_jobs import HeldJob

app = typer.Typer(
    help="Jobs that are held: list, retry.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

# What `kind` of a job's subject is an upload's id, or begins with it.
_OF_UPLOADS: Final = "verdict"


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="job")


@app.command("list", epilog="Example: sftp-gateway job list --json")
def list_all(
    context: typer.Context,
    after: Annotated[
        int | None, typer.Option("--after", metavar="ID", min=1, max=2**63 - 1, help=AFTER_HELP)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 50,
    as_json: JSON = False,
) -> None:
    """List the jobs that are held after worker.max_job_crashes crashes, the latest first. Nothing runs them meanwhile."""
    from database.held_jobs import find_held, list_held

    async def fetch() -> "list[HeldJob]":
        async with invocation_of(context).open_database() as connection:
            last = None if after is None else await find_held(connection, after)
            if last is None and after is not None:
                raise CallRefused(f"there is no held job {after}: see `sftp-gateway job list`")
            return await list_held(connection, after=last, limit=limit + 1)

    jobs = cut_page(run(fetch()), limit, lambda job: str(job.id))
    if as_json:
        print_json([document_of(job) for job in jobs])
        return
    print_table(
        ("id", "kind", "of", "crashes", "begun", "held"),
        [
            (
                str(job.id),
                job.entrypoint,
                job.subject_id,
                str(job.crashes),
                for_people(job.created_at),
                for_people(job.held_at),
            )
            for job in jobs
        ],
        empty="No job is held." if after is None else "No other job is held.",
    )


def document_of(job: "HeldJob") -> dict[str, object]:
    """The JSON of a held job."""
    return {
        "id": job.id,
        "kind": job.entrypoint,
        "subjectId": job.subject_id,
        "crashes": job.crashes,
        "createdAt": utc(job.created_at),
        "heldAt": utc(job.held_at),
    }


@app.command(epilog="Example: sftp-gateway job retry 4711")
def retry(
    context: typer.Context,
    job_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="The job's id.", show_default=False)
    ],
) -> None:
    """Put a held job back on the queue, once what it crashed at is mended. Safe to call twice."""
    from database.held_jobs import is_on_queue, requeue

    async def change() -> "HeldJob | None":
        async with invocation_of(context).open_database() as connection, connection.transaction():
            job = await requeue(connection, job_id)
            if job is not None:
                await _record(connection, job, current_actor())
            elif not await is_on_queue(connection, job_id):
                raise CallRefused(f"there is no held job {job_id}: see `sftp-gateway job list`")
            return job

    if run(change()) is None:
        note(f"Job {job_id} isn't held: it is on the queue already.")
    else:
        note(f"Job {job_id} is on the queue again.")


async def _record(connection: "Connection", job: "HeldJob", actor: "Actor") -> None:
    from audit.events import AuditEvent, record_event
    from processing.uploads import fetch_upload

    of_upload = job.entrypoint.startswith(_OF_UPLOADS)
    upload = await fetch_upload(connection, job.subject_id) if of_upload else None
    await record_event(
        connection,
        AuditEvent.JOB_RETRIED,
        campaign_id=None if upload is None else upload.campaign_id,
        upload_id=None if upload is None else upload.id,
        actor=actor,
        details={
            "job": job.id,
            "kind": job.entrypoint,
            "crashes": job.crashes,
            **({} if upload is not None else {"subject": job.subject_id}),
        },
    )
