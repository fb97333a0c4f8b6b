"""`campaign show --events`: who came in and who was refused, the newest first, so that "it can't log in" needs no SQL.

Nothing is recorded for it. Of refused logins the front writes at most ten a minute for each campaign, and counts the others in
the next one; of the API's calls there are counts by key and address, of 200 addresses.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from gateway.output import for_people, note, print_line, print_table, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.archived import ArchivedEvents
    from audit.events import RecordedEvent
    from campaigns.campaigns import Campaign
    from database.connections import Connection
    from keys.api_uses import KeyUses

ShowEvents: TypeAlias = Annotated[
    bool, typer.Option("--events", help="Show its logins and refusals too, by SFTP and by the API.")
]
EventsLimit: TypeAlias = Annotated[
    int, typer.Option("--limit", min=1, max=10_000, help="How many of these events at most, the newest.")
]
# What a refused login lacks, by the reason in the audit trail.
_MEANINGS: Final = {
    "unknown": "the campaign is suspended or deleted",
    "key": "that key isn't one of the campaign's: `key list`",
    "source": "the address isn't allowed: `campaign allow`",
    "signature": "the client didn't prove that it has the private key, or only by SHA-1",
    "no_key": "the client tried no public key",
    "sessions": "too many sessions at a time: sftp.max_sessions_per_campaign",
    "unavailable": "PostgreSQL didn't answer",
}


@dataclass(frozen=True, slots=True)
class CampaignEvents:
    """Logins and refusals by SFTP, and what became of calls by the API; of both the newest first.

    `archived`: the archives that may have logins of this time too.
    """

    logins: "Sequence[RecordedEvent]"
    uses: "Sequence[KeyUses]"
    archived: "Sequence[ArchivedEvents]"

    def document(self) -> dict[str, object]:
        """Their JSON, beside that of the campaign."""
        more = {"eventsArchivedIn": [archive.name for archive in self.archived]} if self.archived else {}
        return more | {
            "events": [
                {
                    "at": utc(login.at),
                    "event": login.event,
                    "fingerprint": login.actor,
                    "sourceAddress": login.source_address,
                    "connectionId": login.connection_id,
                    "details": dict(login.details),
                }
                for login in self.logins
            ],
            "apiCalls": [
                {
                    "lastAt": utc(use.last_at),
                    "prefix": use.prefix,
                    "sourceAddress": use.source_address,
                    "admitted": use.admitted,
                    "unauthorized": use.unauthorized,
                    "forbidden": use.forbidden,
                    "limited": use.limited,
                }
                for use in self.uses
            ],
        }

    def note_archived(self) -> None:
        """Say, beside either form, that there may be more."""
        from audit.archived import describe_archived

        if self.archived:
            # The newest first, as they are.
            note(f"not shown: {describe_archived(self.archived[::-1])}")

    def print(self) -> None:
        """The same for people."""
        print_line("")
        print_table(
            ("at", "by SFTP", "from", "key", "why, and more"),
            [
                (
                    for_people(login.at),
                    login.event,
                    login.source_address or "",
                    login.actor or ", ".join(_keys_tried(login)),
                    _explain(login),
                )
                for login in self.logins
            ],
            empty="No login by SFTP is in the database, nor a refused one."
            if self.archived
            else "No login by SFTP is on record, nor a refused one.",
        )
        if not self.uses:
            note("No call by the API is on record.")
            return
        print_line("")
        print_table(
            ("last call", "by the API, key", "from", "admitted", "401", "403", "429"),
            [
                (
                    for_people(use.last_at),
                    use.prefix,
                    use.source_address,
                    f"{use.admitted:,}",
                    f"{use.unauthorized:,}",
                    f"{use.forbidden:,}",
                    f"{use.limited:,}",
                )
                for use in self.uses
            ],
            empty="",
        )


async def fetch_campaign_events(connection: "Connection", campaign: "Campaign", limit: int) -> CampaignEvents:
    """What is on record, of each kind at most `limit`."""
    from audit.archived import list_archived
    from audit.events import fetch_logins
    from keys.api_uses import list_uses

    uses = await list_uses(connection, campaign.id)
    logins = await fetch_logins(connection, campaign.id, limit)
    # Where as many are shown as were asked for, what is older than they wasn't.
    since = logins[-1].at if len(logins) == limit else None
    archived = await list_archived(connection, since=since, begun_at=campaign.created_at)
    return CampaignEvents(logins, uses[:limit], archived)


def _keys_tried(login: "RecordedEvent") -> list[str]:
    tried = login.details.get("keys_tried")
    return [str(key) for key in tried] if isinstance(tried, list) else []


def _explain(login: "RecordedEvent") -> str:
    reason = login.details.get("reason")
    told = [str(reason)] if reason is not None else []
    if login.event == "login_refused" and reason in _MEANINGS:
        told.append(_MEANINGS[str(reason)])
    if "seconds" in login.details:
        told.append(f"after {login.details['seconds']} s")
    if "left_out_before" in login.details:
        told.append(f"{login.details['left_out_before']} more in the minute before")
    return ": ".join(told[:2]) + "".join(f", {more}" for more in told[2:])
