"""A campaign with messages in all states, and people who look at them."""

import json
from dataclasses import dataclass

from campaigns.people.permissions import Membership
from campaigns.people.users import User
from database.connections import Connection
from messages.statuses import MessageStatus
from rules.templates import Language
from tests.console.campaigns.making import make_campaign, make_member, make_pic
from tests.console.served import make_user
from tests.messages.builders import MadeBatch, make_batch

LOCAL = "6591234567"
MASKED = "659•••••67"
# Markup, a formula, a name that turns its line around, and what a template engine could read.
HOSTILE = "=\"><script>alert(1)</script>{{7*7}}' \u202egpj.exe"
MIXED = (
    MessageStatus.SUCCESS,
    MessageStatus.SUCCESS,
    MessageStatus.FAILURE,
    MessageStatus.SENDING,
    MessageStatus.SENT,
    MessageStatus.FAILURE,
)


@dataclass(frozen=True)
class People:
    """Somebody of each kind."""

    owner: User
    member: User
    restricted: User
    pic: User
    ops: User
    stranger: User


async def make_people(connection: Connection, campaign_id: str) -> People:
    """The campaign's creator and owner is amy."""
    return People(
        owner=await make_member(connection, campaign_id, "amy@clinic.gov.sg", Membership.OWNER),
        member=await make_member(connection, campaign_id, "mei@clinic.gov.sg", Membership.MEMBER),
        restricted=await make_member(connection, campaign_id, "bo@clinic.gov.sg", Membership.RESTRICTED),
        pic=await make_pic(connection),
        ops=await make_user(connection, "olga@ops.gov.sg", is_ops=True),
        stranger=await make_user(connection, "sue@other.gov.sg"),
    )


async def make_sending_campaign(connection: Connection, name: str = "Reminders") -> str:
    """A campaign whose messages have one parameter, `name`."""
    return await make_campaign(connection, name=name, bodies={Language.ENGLISH: "Dear {{name}}"})


async def add_batch(
    connection: Connection,
    campaign_id: str,
    statuses: tuple[MessageStatus, ...] = MIXED,
    *,
    file_name: str = "a.csv",
    creator: User | None = None,
    unclaimed: int = 0,
    recipient: str = LOCAL,
    kind: str = "batch",
) -> MadeBatch:
    """A batch of this file, made by `creator`."""
    made = await make_batch(connection, campaign_id, statuses, unclaimed=unclaimed, recipient=recipient)
    await connection.execute(
        "update batches set original_file_name = $2, creator_id = $3, kind = $4,"
        " created_at = created_at + interval '1 s' * batch_no where id = $1",
        made.id, file_name, creator and creator.id, kind,
    )  # fmt: skip
    if kind == "single":
        for table in ("messages", "attempts", "due"):
            await connection.execute(
                f"update {table} set row_number = 1 where batch_no = $1",
                made.batch_no,
            )
    return made


async def set_values(connection: Connection, batch: MadeBatch, name: str) -> None:
    """Give all messages of a batch this value."""
    await connection.execute(
        'update messages set "values" = $2 where batch_no = $1', batch.batch_no, json.dumps({"name": name})
    )


async def events(connection: Connection, event: str) -> list[dict[str, object]]:
    """The details of all audit events of a kind, with their actors."""
    rows = await connection.fetch(
        "select actor, details from audit_events where event = $1 order by id", event
    )
    return [{"actor": row["actor"], **json.loads(row["details"])} for row in rows]
