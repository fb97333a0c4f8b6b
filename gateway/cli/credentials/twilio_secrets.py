"""`sftp-gateway secrets …` and `campaign twilio …`: accounts at Twilio, and the keys that their secrets are encrypted with.

A secret comes from a file or from standard input, never as an argument, which every user of the machine could read.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from gateway.cli.arguments import JSON, CampaignId, Yes, confirm, read_input
from gateway.cli.invocation import Invocation, current_actor, invocation_of, run
from gateway.errors import CallMisused, CallRefused, ProviderUnreachable
from gateway.output import counted, for_people, note, print_json, utc, warn

if TYPE_CHECKING:
    from campaigns.fields import TwilioCredentials
    from campaigns.twilio_accounts import Rotation, TwilioAccount
    from config.sending_sections import SecretsSettings

app = typer.Typer(
    help="The keys that API secrets are encrypted with.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

TWILIO_EXAMPLE: Final = (
    "Example: sftp-gateway campaign twilio CAMPAIGN --account AC… --key SK… --service MG… --sender CLINIC "
    "--secret-file secret.txt"
)
# A secret has 32 characters, and a key 44.
_LARGEST_SECRET: Final = 1024

AccountSID: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--account", metavar="AC…", help="Account SID at Twilio, of the agency's own.", show_default=False
    ),
]
KeySID: TypeAlias = Annotated[
    str | None, typer.Option("--key", metavar="SK…", help="SID of its API key.", show_default=False)
]
SecretFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--secret-file",
        metavar="F|-",
        help="File of the API key's secret; - reads standard input.",
        show_default=False,
    ),
]
ServiceSID: TypeAlias = Annotated[
    str | None,
    typer.Option("--service", metavar="MG…", help="SID of its messaging service.", show_default=False),
]
SenderName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--sender",
        metavar="NAME",
        help="The sender that recipients should see: up to 11 letters and digits, or a number with its +.",
        show_default=False,
    ),
]
NoTry: TypeAlias = Annotated[
    bool, typer.Option("--no-try", help="Store the account without asking Twilio for its messaging service.")
]


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="secrets")


def read_credentials(
    account: str | None, key: str | None, secret_file: str | None, service: str | None, sender: str | None
) -> "TwilioCredentials | None":
    """The five values of an account, or None where none is given. Raises CallMisused (some are missing), CampaignRefused."""
    from campaigns.fields import parse_twilio_credentials

    given = {
        "--account": account,
        "--key": key,
        "--secret-file": secret_file,
        "--service": service,
        "--sender": sender,
    }
    missing = [option for option, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if account is None or key is None or secret_file is None or service is None or sender is None:
        raise CallMisused(f"an account at Twilio has five values: give {', '.join(missing)} too")
    return parse_twilio_credentials(
        account=account,
        key=key,
        secret=_read_secret(secret_file, "The API key's secret"),
        service=service,
        sender=sender,
    )


def try_account(invocation: Invocation, credentials: "TwilioCredentials") -> None:
    """Look the messaging service up at Twilio. Raises CallRefused, which says what is wrong; ProviderUnreachable."""
    from sending.accounts import try_credentials

    trouble = run(try_credentials(credentials, invocation.settings.sending))
    if trouble is None:
        return
    text = f"{trouble.text}. Nothing was stored"
    if trouble.is_away:
        raise ProviderUnreachable(f"{text}: try again, or add --no-try to store the account untried")
    raise CallRefused(f"{text}: compare the five values with what the agency sent")


def set_account(
    context: typer.Context,
    campaign: CampaignId,
    account: AccountSID = None,
    key: KeySID = None,
    secret_file: SecretFile = None,
    service: ServiceSID = None,
    sender: SenderName = None,
    no_try: NoTry = False,
) -> None:
    """Set the account at Twilio that an internal campaign's messages leave by. The secret is never shown again."""
    from campaigns.twilio_accounts import set_twilio_account

    invocation = invocation_of(context)
    credentials = read_credentials(account, key, secret_file, service, sender)
    if credentials is None:
        raise CallMisused(
            "give the five values of the account: --account, --key, --secret-file, --service, --sender"
        )
    if not no_try:
        try_account(invocation, credentials)

    async def change() -> None:
        async with invocation.open_database() as connection, connection.transaction():
            await set_twilio_account(
                connection, invocation.settings.secrets, campaign, credentials, actor=current_actor()
            )

    run(change())
    tried = "untried" if no_try else "which Twilio knows"
    note(
        f"{campaign}: messages leave by the messaging service {credentials.service_sid} from now on, {tried}"
    )


def account_document(account: "TwilioAccount") -> dict[str, object]:
    """The JSON of an account. The secret isn't in it."""
    return {
        "accountSid": account.account_sid,
        "keySid": account.key_sid,
        "serviceSid": account.service_sid,
        "senderName": account.sender_name,
        "setAt": utc(account.set_at),
    }


def account_facts(account: "TwilioAccount | None", *, awaited: bool) -> list[tuple[str, str | None]]:
    """The same for people; where there is none, whether it is `awaited` by messages."""
    if account is None:
        return [("Twilio account", "none yet: messages wait for `campaign twilio`" if awaited else None)]
    return [
        ("Twilio account", account.account_sid),
        ("API key", account.key_sid),
        ("messaging service", account.service_sid),
        ("sender", account.sender_name),
        ("account set", for_people(account.set_at)),
    ]


@app.command(
    epilog="Examples: sftp-gateway secrets rotate · to change SFTP_GATEWAY_SECRETS__KEY itself: "
    "sftp-gateway secrets rotate --old-key-file old.key"
)
def rotate(
    context: typer.Context,
    old_key_file: Annotated[
        str | None,
        typer.Option(
            "--old-key-file",
            metavar="F",
            help="SFTP_GATEWAY_SECRETS__KEY was changed, and this file has the one before (-: standard input): "
            "wrap all keys with the new one.",
            show_default=False,
        ),
    ] = None,
    old_key_lost: Annotated[
        bool,
        typer.Option(
            "--old-key-lost",
            help="SFTP_GATEWAY_SECRETS__KEY is lost, and another is set: begin anew. Every API secret must be set again.",
        ),
    ] = False,
    yes: Yes = False,
    as_json: JSON = False,
) -> None:
    """Make a new key, and encrypt all API secrets anew with it. The old keys check callbacks for 80 hours more."""
    invocation = invocation_of(context)
    if old_key_file is not None:
        if old_key_lost:
            raise CallMisused("--old-key-file and --old-key-lost contradict each other: give one of them")
        _rewrap(invocation, old_key_file, as_json=as_json)
        return
    if old_key_lost and not yes:
        confirm(
            "No API secret that was encrypted with the lost key can be read again: each must be set anew by `campaign twilio`.",
            "Give the old key up?",
            refusal="giving the old key up",
        )
    rotation = run(_rotate(invocation, lost=old_key_lost))
    for account in rotation.unreadable:
        warn(
            f"the API secret of campaign {account.campaign_id} (account {account.account_sid}, key {account.key_sid}) "
            f"can't be read: set it anew with `sftp-gateway campaign twilio {account.campaign_id} …`"
        )
    if as_json:
        unreadable = [account.campaign_id for account in rotation.unreadable]
        print_json({"encrypted": rotation.encrypted, "unreadable": unreadable})
    else:
        note(
            f"{counted(rotation.encrypted, 'API secret')} encrypted with a new key; old ones check callbacks for 80 hours more"
        )


async def _rotate(invocation: Invocation, *, lost: bool) -> "Rotation":
    from campaigns.twilio_accounts import rotate_secrets

    async with invocation.open_database() as connection, connection.transaction():
        return await rotate_secrets(connection, invocation.settings.secrets, lost=lost, actor=current_actor())


def _rewrap(invocation: Invocation, old_key_file: str, *, as_json: bool) -> None:
    from campaigns.secret_keys import rewrap_secrets

    old = _read_old_key(old_key_file)

    async def change() -> int:
        async with invocation.open_database() as connection, connection.transaction():
            return await rewrap_secrets(connection, invocation.settings.secrets, old, actor=current_actor())

    wrapped = run(change())
    if as_json:
        print_json({"rewrapped": wrapped})
        return
    note(
        f"{counted(wrapped, 'key')} wrapped with the new SFTP_GATEWAY_SECRETS__KEY; nodes that have the old one work on"
    )
    note("1. Give every node the new one, and restart its sender and api.")
    note("2. Run `sftp-gateway secrets rotate`. From then on the old one opens nothing any more.")


def _read_old_key(name: str) -> "SecretsSettings":
    from pydantic import SecretStr, ValidationError

    from config.sending_sections import SecretsSettings

    try:
        return SecretsSettings(key=SecretStr(_read_secret(name, "The old key").strip()))
    except ValidationError:
        raise CallMisused("the old key of --old-key-file is not 32 bytes in base64") from None


def _read_secret(name: str, what: str) -> str:
    """The text of a file or of standard input. A person who sits before it is asked for it, and doesn't see what is typed."""
    if name == "-" and sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, err=True))
    content = read_input(name, limit=_LARGEST_SECRET)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CallMisused(f"{name!r} holds no text") from None
