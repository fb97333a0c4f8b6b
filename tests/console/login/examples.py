"""One campaign with one of everything, the people that roles are about, and what stands in paths."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from campaigns.people.agencies import add_agency
from campaigns.people.permissions import Membership, Role
from campaigns.people.users import User, set_pic
from config.settings import Settings
from database.connections import Connection
from messages.identifiers import message_id
from processing.exports.exports import Form, LogRequest
from processing.object_store import open_store
from rules.templates import Language
from tests.console.campaigns.making import make_campaign, make_member, make_pic
from tests.console.served import OPS, make_user
from tests.messages.builders import make_batch

EXPORT: Final = "log-export_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
UPLOAD: Final = "upload_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
REPORT: Final = b"row,recipient,name,errors\r\n2,6591234567,,name: value_missing\r\n"
# Parameters whose example is there (make_examples, at its end). All others stand for something that isn't.
THERE: Final = frozenset({"campaign_id", "batch_id", "message_id", "upload_id"})


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person, or nobody, with the roles that the table of roles knows: towards the campaign, and at all."""

    user: User | None
    here: frozenset[Role] = frozenset()
    at_all: frozenset[Role] = frozenset()
    # A restricted member who has made nothing of what is there.
    owns_nothing: bool = False


@dataclass(frozen=True, slots=True)
class Examples:
    """What paths are filled with, and who asks for them."""

    parameters: Mapping[str, str]
    deleted_campaign: str
    people: Mapping[str, Somebody]

    def path(self, pattern: str, **others: str) -> str:
        """The path of a route with these examples in it."""
        for name in parameters_of(pattern):
            value = others.get(name) or self.parameters.get(name, f"no-such-{name}")
            pattern = pattern.replace(f"{{{name}}}", value)
        return pattern


def parameters_of(pattern: str) -> list[str]:
    """The names of the parameters in a route's path."""
    return [piece.partition("}")[0] for piece in pattern.split("{")[1:]]


async def make_examples(connection: Connection, settings: Settings) -> Examples:
    """The campaign's creator owns it no more, so that the right of having created it is seen alone."""
    # Its parameter is the one of which `make_batch` has values.
    bodies = {Language.ENGLISH: "Dear {{name}}"}
    campaign = await make_campaign(connection, owner="amy@clinic.gov.sg", bodies=bodies)
    deleted = await make_campaign(connection, owner="amy@clinic.gov.sg", name="Old")
    other = await make_campaign(connection, owner="bob@clinic.gov.sg", name="Other")
    await make_member(connection, campaign, "olga@clinic.gov.sg", Membership.OWNER)
    roles = {
        Membership.OWNER: "olga@clinic.gov.sg",
        Membership.MEMBER: "mei@clinic.gov.sg",
        Membership.RESTRICTED: "raj@clinic.gov.sg",
    }
    members = {role: await make_member(connection, campaign, email, role) for role, email in roles.items()}
    idle = await make_member(connection, campaign, "rex@clinic.gov.sg", Membership.RESTRICTED)
    for role, email in roles.items():
        await make_member(connection, deleted, email, role)
    creator = await make_user(connection, "amy@clinic.gov.sg")
    await connection.execute("delete from members where user_id = $1", creator.id)
    await connection.execute(
        "update campaigns set status = 'deleted', deleted_at = now() where id = $1", deleted
    )
    async with connection.transaction():
        library = await add_agency(connection, "Library", ["library.gov.sg"], member_only=False, actor=OPS)
        strange_pic = await set_pic(connection, library, "lee@library.gov.sg", is_pic=True, actor=OPS)
    batch = await make_batch(connection, campaign)
    mine = members[Membership.RESTRICTED].id
    await connection.execute("update batches set creator_id = $2 where id = $1", batch.id, mine)
    key = f"validation-reports/{campaign}/{'r' * 22}.csv"
    async with open_store(settings.s3) as store:
        await store.put(key, io.BytesIO(REPORT), download_name="validation-report.csv")
    await connection.execute(
        "insert into uploads (id, campaign_id, file_name, status, bytes, report_name, report_key, num_rows, num_errors,"
        " received_at, finished_at, outcome, creator_id, source, content_sha256) values"
        " ($1, $2, 'a.csv', 'rejected', 60, $3, $4, 1, 1, now(), now(), 1, $5, 'console', $6)",
        UPLOAD, campaign, "r" * 22, key, mine, "ab" * 32,
    )  # fmt: skip
    # A file is there for whoever has asked for it, and here that is somebody with no part in the campaign any more.
    await connection.execute(
        "insert into log_exports (id, campaign_id, user_id, query, file_name, expires_at)"
        " values ($1, $2, $3, $4, 'log', now() + interval '1 day')",
        EXPORT, campaign, creator.id, json.dumps(LogRequest(date(2026, 11, 1), date(2026, 11, 1), Form.CSV).document()),
    )  # fmt: skip
    people = {
        "nobody": Somebody(None),
        "stranger": Somebody(await make_user(connection, "sue@tech.gov.sg")),
        "ops": _everywhere(await make_user(connection, "pat@tech.gov.sg", is_ops=True), Role.OPS),
        "pic": _everywhere(await make_pic(connection), Role.PIC),
        "creator": _everywhere(creator, Role.CREATOR),
        "owner": _everywhere(members[Membership.OWNER], Role.OWNER),
        "member": Somebody(members[Membership.MEMBER], frozenset({Role.MEMBER})),
        "restricted": Somebody(members[Membership.RESTRICTED], frozenset({Role.RESTRICTED})),
        "idle restricted": Somebody(idle, frozenset({Role.RESTRICTED}), owns_nothing=True),
        "owner of another": Somebody(
            await make_user(connection, "bob@clinic.gov.sg"), at_all=frozenset({Role.CREATOR, Role.OWNER})
        ),
        "pic of another": Somebody(strange_pic, at_all=frozenset({Role.PIC})),
    }
    assert other != campaign
    parameters = {
        "campaign_id": campaign,
        "batch_id": batch.id,
        "message_id": message_id(batch.id, 2),
        "upload_id": UPLOAD,
        "export_id": EXPORT,
    }
    return Examples(parameters, deleted, people)


def _everywhere(user: User, role: Role) -> Somebody:
    return Somebody(user, frozenset({role}), frozenset({role}))
