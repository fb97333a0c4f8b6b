"""What people and programs do, one after the other: commands, pages, calls of the API. `{…}` is filled in by `rig.Known`.

Every command that reads, every page, and every list is here, as it is used most and as it is hardest: with searches, beyond the
first page, of the campaign with a tenth of all uploads, of ids that nothing has.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Command:
    """`sftp-gateway …`; `status` is how it is to end."""

    words: tuple[str, ...]
    status: int = 0

    @property
    def name(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the console as one of `rig.Known.sessions` sees it."""

    visitor: str
    path: str
    status: int = 200

    @property
    def name(self) -> str:
        return f"{self.path} ({self.visitor})"


@dataclass(frozen=True, slots=True)
class APICall:
    """A GET of the HTTP API, below the path of a campaign: one that is a name of `rig.Known`'s."""

    campaign: str
    path: str
    status: int = 200

    @property
    def name(self) -> str:
        return f"API {self.path} of {self.campaign}"


def _commands(*lines: str, status: int = 0) -> tuple[Command, ...]:
    return tuple(Command(tuple(line.replace("Agency 1", "Agency~1").split()), status) for line in lines)


COMMANDS: Final = (
    *_commands(
        "campaign list", "campaign list --json", "campaign list --search clin", "campaign list --search zebra",
        "campaign list --search {usual}", "campaign list --agency Agency 1", "campaign list --after {usual}",
        "campaign list --agency Agency 1 --search letters", "campaign list --limit 100 --after {large}",
        "campaign show {large}", "campaign show {usual}", "campaign show {large} --events",
        "campaign show {usual} --events --json",
        "agency list", "agency show Agency 1", "user show {officer_email}", "member list {large}",
        "key list {usual}", "apikey list {usual}", "hostkey show",
        "upload list", "upload list --json", "upload list --campaign {large}", "upload list --campaign {usual}",
        *(
            f"upload list --status {status}"
            for status in ("received", "validating", "checked", "accepted", "rejected", "failed", "withdrawn")
        ),
        "upload list --status failed --campaign {large}", "upload list --status failed --campaign {usual}",
        "upload list --status accepted --campaign {large}", "upload list --status withdrawn --campaign {large}",
        "upload list --since 720h", "upload list --since 2020-01-01 --status rejected", "upload list --since 1h --status failed",
        "upload list --held", "upload list --held --campaign {large}", "upload list --after {upload}",
        "upload list --after {upload} --status failed", "upload list --after {upload} --campaign {large}",
        "upload show {upload}", "upload show {rejected}", "upload show {support_id}", "upload show {upload} --json",
        "batch list", "batch list --campaign {large}", "batch list --campaign {usual}", "batch list --campaign {singles}",
        "batch list --since 720h", "batch list --after {batch}", "batch list --campaign {large} --after {batch}",
        "batch show {batch}", "batch show {batch} --json",
        "message list {large}", "message list {usual}", "message list {singles}",
        "message list {singles} --after {message}",
        "message list {usual} --search 9123", "message list {usual} --json", "message show {message}",
        "message show {message} --json",
        "sending status", "sending status --json", "job list", "billing show --agency Agency 1", "billing price list",
    ),
    *_commands(
        "campaign show nobody", "upload show upload_nobody", "upload show S-nobody", "batch show batch_nobody",
        "message show message_00000000-0000-8000-8000-000000000001", "agency show nobody", "user show nobody@agency1.gov.sg",
        status=1,
    ),
)  # fmt: skip

_OF_A_CAMPAIGN: Final = (
    "", "?search=9123", "/batches", "/settings", "/settings/members", "/settings/integrations", "/send", "/send-file", "/logs",
)  # fmt: skip
PAGES: Final = (
    *(Page(visitor, "/") for visitor in ("ops", "pic", "officer")),
    *(Page(visitor, "/?search=letters") for visitor in ("ops", "pic", "officer")),
    *(Page(visitor, "/?search=zebra") for visitor in ("ops", "pic", "officer")),
    Page("ops", "/?search={usual}"),
    *(Page(visitor, "/uploads") for visitor in ("ops", "pic", "officer")),
    *(
        Page(visitor, f"/uploads?status={status}")
        for visitor in ("ops", "pic", "officer") for status in ("rejected", "failed", "withdrawn")
    ),
    *(
        Page("ops", f"/uploads?{query}")
        for query in ("way=api", "way=sftp", "campaign={large}", "campaign={large}&status=failed")
    ),
    *(Page("officer", f"/campaigns/{{usual}}{path}") for path in _OF_A_CAMPAIGN),
    *(Page("ops", f"/campaigns/{{large}}{path}") for path in _OF_A_CAMPAIGN if not path.startswith("/send")),
    Page("ops", "/campaigns/{singles}"), Page("ops", "/campaigns/{singles}?search=9123"),
    Page("officer", "/uploads/{upload}"), Page("officer", "/uploads/{rejected}"),
    Page("ops", "/uploads/upload_nobody", 404),
    Page("officer", "/batches/{batch}"), Page("officer", "/batches/{batch}/delivery-report.csv"),
    Page("ops", "/batches/batch_nobody", 404),
    Page("officer", "/messages/{message}"),
    Page("ops", "/messages/message_00000000-0000-8000-8000-000000000001", 404),
    Page("ops", "/ops"), Page("ops", "/ops/audit"), Page("ops", "/ops/audit?event=login_accepted"),
    Page("ops", "/ops/audit?event=campaign_deleted"),
    Page("ops", "/ops/audit?campaign={usual}"), Page("ops", "/ops/audit?upload={upload}"),
    Page("ops", "/ops/campaigns/{usual}"), Page("ops", "/ops/senders"), Page("ops", "/ops/users"),
    Page("ops", "/ops/users/{officer_id}"), Page("ops", "/ops/agencies"),
    Page("ops", "/ops/agencies/{agency_id}"), Page("ops", "/ops/banner"),
    Page("pic", "/agency"), Page("pic", "/billing"), Page("pic", "/billing?search=letters"),
    Page("ops", "/billing?agency={agency_id}"),
    Page("officer", "/billing"), Page("officer", "/account"), Page("officer", "/campaigns/new"), Page("officer", "/calculator"),
)  # fmt: skip

API_CALLS: Final[tuple[APICall, ...]] = (
    *(
        APICall(campaign, f"/messages?{query}") for campaign in ("large", "singles", "usual")
        for query in ("limit=50", "limit=50&search=9123")
    ),
    APICall("usual", "/messages/{message}"), APICall("usual", "/batch/{batch}/messages?limit=50"),
    APICall("usual", "/messages/message_00000000-0000-8000-8000-000000000001", 404),
)  # fmt: skip

Call = Command | Page | APICall
CALLS: Final[tuple[Call, ...]] = (*COMMANDS, *PAGES, *API_CALLS)
