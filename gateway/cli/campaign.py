"""`sftp-gateway campaign …`: who an agency is here. Created once; suspended, resumed, deleted, never edited."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.api import access
from gateway.cli.arguments import AFTER_HELP, JSON, CampaignId, Yes, confirm, parse_bodies
from gateway.cli.campaign_document import ShownCampaign, campaign_document, print_campaign
from gateway.cli.credentials.logins import EventsLimit, ShowEvents, fetch_campaign_events
from gateway.cli.credentials.twilio_secrets import (
    TWILIO_EXAMPLE,
    AccountSID,
    KeySID,
    NoTry,
    SecretFile,
    SenderName,
    ServiceSID,
    read_credentials,
    set_account,
    try_account,
)
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused
from gateway.output import (
    cut_page,
    for_people,
    note,
    print_json,
    print_line,
    print_table,
    printable,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.campaigns import Campaign
    from campaigns.creation import CreatedCampaign
    from gateway.cli.credentials.logins import CampaignEvents

app = typer.Typer(
    help="Campaigns: create, look at, suspend, resume, delete.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    app.command("twilio", epilog=TWILIO_EXAMPLE)(set_account)
    access.register(app)
    parent.add_typer(app, name="campaign")


@app.command(
    epilog="Example: sftp-gateway campaign create --name 'Clinic reminders' --notify ops@clinic.gov.sg "
    "--template 'english=Dear {{name}}, see you on {{date}}.' --template chinese=@chinese.txt"
)
def create(
    context: typer.Context,
    name: Annotated[
        str, typer.Option("--name", metavar="N", help="The campaign's name.", show_default=False)
    ],
    notify: Annotated[
        str,
        typer.Option(
            "--notify",
            metavar="EMAIL",
            help="The one address that outcomes are mailed to.",
            show_default=False,
        ),
    ],
    template: Annotated[
        list[str],
        typer.Option(
            "--template",
            metavar="LANG=TEXT",
            help="A body, with {{parameters}}; once per language: english, chinese, malay, tamil. LANG=@FILE reads a file.",
            show_default=False,
        ),
    ],
    campaign_id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="ID", help="Its campaignId; else a new campaign_… is made.", show_default=False
        ),
    ] = None,
    channel: Annotated[
        str,
        typer.Option("--channel", metavar="public|internal", help="public (gov.sg) or internal (own staff)."),
    ] = "public",
    header: Annotated[
        str | None,
        typer.Option(
            "--header",
            help="What stands on top of every message; else the agency's name where --agency or --creator tell it, else the "
            "campaign's.",
        ),
    ] = None,
    creator: Annotated[
        str | None,
        typer.Option("--creator", metavar="EMAIL", help="Who creates it, and becomes its first owner."),
    ] = None,
    agency: Annotated[
        str | None, typer.Option("--agency", metavar="NAME", help="Whose it is; else the creator's agency.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="CIDR", help="Allow only this source address or network; repeatable."),
    ] = None,
    account: AccountSID = None,
    key: KeySID = None,
    secret_file: SecretFile = None,
    service: ServiceSID = None,
    sender: SenderName = None,
    no_try: NoTry = False,
    otp: Annotated[
        bool, typer.Option("--otp", help="Its single sends are one-time passwords, and go first.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Create a campaign and print its campaignId. An internal one has an account of its own at Twilio."""
    from campaigns.campaigns import Channel
    from campaigns.creation import NewTwilioAccount, create_campaign, find_ownership
    from campaigns.errors import CampaignRefused
    from processing.rule_settings import unsupported_rule
    from rules.templates import Template

    invocation = invocation_of(context)
    if channel not in set(Channel):
        raise CallMisused(f"the channel is public or internal, not {channel!r}")
    bodies = parse_bodies(template)
    unsupported = unsupported_rule(invocation.settings.messages)
    credentials = read_credentials(account, key, secret_file, service, sender)
    if credentials is not None and channel == Channel.INTERNAL and not no_try:
        try_account(invocation, credentials)

    async def store() -> "CreatedCampaign":
        async with invocation.open_database() as connection, connection.transaction():
            ownership = await find_ownership(connection, creator=creator, agency=agency)
            shown_header = (ownership.agency_name or name.strip()) if header is None else header
            return await create_campaign(
                connection,
                name=name,
                template=Template(shown_header, bodies),
                ownership=ownership,
                notify_email=notify,
                campaign_id=campaign_id,
                channel=Channel(channel),
                allowed_sources=source or [],
                is_otp=otp,
                twilio=None
                if credentials is None
                else NewTwilioAccount(credentials, invocation.settings.secrets),
                unsupported=unsupported,
                actor=current_actor(),
            )

    try:
        created = run(store())
    except CampaignRefused as error:
        _warn_all(error.warnings)
        raise
    _warn_all(created.warnings)
    if as_json:
        print_json({"campaignId": created.id})
    else:
        print_line(created.id)
        note(f"Next: sftp-gateway key add {created.id} agency.pub")


def _warn_all(warnings: "Sequence[str]") -> None:
    for warning in warnings:
        warn(warning)


@app.command("list", epilog="Example: sftp-gateway campaign list --json | jq -r '.[].campaignId'")
def list_all(
    context: typer.Context,
    search: Annotated[
        str | None,
        typer.Option(
            "--search", metavar="TEXT", help="With words in the name, or a campaignId, that begin so."
        ),
    ] = None,
    agency: Annotated[str | None, typer.Option("--agency", metavar="NAME", help="Of this agency.")] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="CAMPAIGN", help=AFTER_HELP)] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many at most.")] = 50,
    as_json: JSON = False,
) -> None:
    """List campaigns, newest first, deleted ones too."""
    from campaigns.campaigns import list_campaigns
    from campaigns.people.agencies import find_agency
    from campaigns.twilio_accounts import fetch_twilio_accounts
    from keys.api_keys import count_api_keys
    from keys.ssh_keys import count_keys

    invocation = invocation_of(context)

    async def fetch() -> list[ShownCampaign]:
        async with invocation.open_database() as connection:
            campaigns = await list_campaigns(
                connection,
                agency_id=None if agency is None else (await find_agency(connection, agency)).id,
                search=search,
                after=after,
                limit=limit + 1,
            )
            ids = [campaign.id for campaign in campaigns]
            ssh_keys, api_keys = await count_keys(connection, ids), await count_api_keys(connection, ids)
            accounts = await fetch_twilio_accounts(connection, ids)
            return [
                ShownCampaign(
                    campaign,
                    ssh_keys.get(campaign.id, 0),
                    api_keys.get(campaign.id, 0),
                    accounts.get(campaign.id),
                )
                for campaign in campaigns
            ]

    shown = cut_page(run(fetch()), limit, lambda one: one.campaign.id)
    if as_json:
        print_json([campaign_document(one) for one in shown])
        return
    rows = [
        (
            campaign.id,
            campaign.name,
            campaign.status.value,
            campaign.channel.value,
            ", ".join(campaign.template.bodies),
            str(one.ssh_keys),
            for_people(campaign.created_at),
        )
        for one in shown
        for campaign in [one.campaign]
    ]
    print_table(
        ("campaignId", "name", "status", "channel", "languages", "keys", "created"),
        rows,
        empty="There are no such campaigns."
        if search or agency or after
        else "There are no campaigns yet: see `sftp-gateway campaign create --help`",
    )


@app.command(epilog="Example: sftp-gateway campaign show CAMPAIGN --json")
def show(
    context: typer.Context,
    campaign: CampaignId,
    events: ShowEvents = False,
    limit: EventsLimit = 50,
    as_json: JSON = False,
) -> None:
    """Show one campaign: its template, address, allowed sources, keys, and account at Twilio; no secret."""
    from campaigns.campaigns import fetch_known_campaign
    from campaigns.twilio_accounts import fetch_twilio_account
    from keys.api_keys import count_in_force
    from keys.ssh_keys import list_keys

    invocation = invocation_of(context)

    async def fetch() -> "tuple[ShownCampaign, CampaignEvents | None]":
        async with invocation.open_database() as connection:
            shown = ShownCampaign(
                await fetch_known_campaign(connection, campaign),
                sum(key.revoked_at is None for key in await list_keys(connection, campaign)),
                await count_in_force(connection, campaign),
                await fetch_twilio_account(connection, campaign),
            )
            return shown, await fetch_campaign_events(connection, shown.campaign, limit) if events else None

    shown, told = run(fetch())
    if told:
        told.note_archived()
    if as_json:
        print_json(campaign_document(shown) | (told.document() if told else {}))
        return
    print_campaign(shown)
    if told:
        told.print()


@app.command(epilog="Example: sftp-gateway campaign suspend CAMPAIGN")
def suspend(context: typer.Context, campaign: CampaignId) -> None:
    """Shut a campaign out at once: live sessions end. Uploads acknowledged before are still decided and mailed."""
    from campaigns.campaigns import suspend_campaign

    invocation = invocation_of(context)

    async def change() -> bool:
        async with invocation.open_database() as connection, connection.transaction():
            return await suspend_campaign(connection, campaign, actor=current_actor())

    changed = run(change())
    note(f"{campaign} is suspended" if changed else f"{campaign} was suspended already")


@app.command(epilog="Example: sftp-gateway campaign resume CAMPAIGN")
def resume(context: typer.Context, campaign: CampaignId) -> None:
    """Let a suspended campaign in again."""
    from campaigns.campaigns import resume_campaign

    invocation = invocation_of(context)

    async def change() -> bool:
        async with invocation.open_database() as connection, connection.transaction():
            return await resume_campaign(connection, campaign, actor=current_actor())

    changed = run(change())
    note(f"{campaign} is active" if changed else f"{campaign} was active already")


@app.command(epilog="Example: sftp-gateway campaign notify CAMPAIGN ops@clinic.gov.sg")
def notify(
    context: typer.Context,
    campaign: CampaignId,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The one new address.", show_default=False)],
) -> None:
    """Set the one address that outcomes are mailed to."""
    from campaigns.campaigns import set_notify_address

    invocation = invocation_of(context)

    async def change() -> str:
        async with invocation.open_database() as connection, connection.transaction():
            return await set_notify_address(connection, campaign, email, actor=current_actor())

    note(f"{campaign}: outcomes are mailed to {run(change())} from now on")


@app.command(epilog="Example: sftp-gateway campaign allow CAMPAIGN --from 192.0.2.7 --from 198.51.100.0/24")
def allow(
    context: typer.Context,
    campaign: CampaignId,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="CIDR", help="An address or network; repeatable. Replaces the whole list."
        ),
    ] = None,
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Empty the list: any address may connect.")
    ] = False,
) -> None:
    """Set which source addresses may connect. Sessions from elsewhere end at once."""
    from campaigns.campaigns import set_allowed_sources
    from campaigns.fields import parse_sources

    invocation = invocation_of(context)
    sources = parse_sources(source or [])
    if anywhere == bool(sources):
        raise CallMisused(
            "give the addresses with --from, once for each, or --anywhere to lift the restriction"
        )

    async def change() -> None:
        async with invocation.open_database() as connection, connection.transaction():
            await set_allowed_sources(connection, campaign, sources, actor=current_actor())

    run(change())
    allowed = ", ".join(map(str, sources)) or "anywhere"
    note(f"{campaign} may connect from {allowed}")


@app.command(epilog="Example: sftp-gateway campaign delete CAMPAIGN --yes")
def delete(context: typer.Context, campaign: CampaignId, yes: Yes = False) -> None:
    """Delete a campaign for good, and all its keys. Uploads, messages and the audit trail are kept."""
    from campaigns.campaigns import delete_campaign, fetch_known_campaign

    invocation = invocation_of(context)

    async def look() -> "Campaign":
        async with invocation.open_database() as connection:
            return await fetch_known_campaign(connection, campaign)

    async def change() -> bool:
        async with invocation.open_database() as connection, connection.transaction():
            return await delete_campaign(connection, campaign, actor=current_actor())

    found = run(look())
    if found.deleted_at is None and not yes:
        confirm(
            f"This deletes {campaign} ({printable(found.name)}) and ends its keys. It can't be undone.",
            "Delete it?",
            refusal="deleting a campaign",
        )
    changed = run(change())
    note(f"{campaign} is deleted" if changed else f"{campaign} was deleted already")
