"""SSH keys: the public line is pasted, and judged as at the command line; a key that is removed loses its sessions at once."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import add_keys, revoke_key
from campaigns.errors import CampaignRefused
from campaigns.people.permissions import Action
from console.campaigns.frame import open_frame
from console.errors import GoTo, PageRefused
from console.integrations.changes import sentence
from console.integrations.key_words import words_of
from console.integrations.overview import HERE
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from keys.errors import KeyNotFound, KeyRefused
from keys.key_files import check_public_keys
from keys.public_keys import KeyRefusalCode, parse_fingerprint
from keys.ssh_keys import AddedKeys, SSHKey, list_keys

_MOST_LABEL: Final = 100
_BAD_LABEL: Final = f"A label has printable characters only, at most {_MOST_LABEL}."
_GONE: Final = "The campaign has no such key in force: it may have been removed meanwhile."
_SHARED: Final = "It is a key of another campaign as well: whoever holds it can send for both, so better use a key of its own."
_BACK: Final = "It had been removed from this campaign before, and is in force again."


async def ask_key(visit: Visit) -> Response:
    """The public key."""
    return await _ask(visit)


async def add_key(visit: Visit) -> Response:
    """Let the campaign log in with what was pasted: all keys of it, or none where one is refused."""
    form = await visit.form()
    pasted, label = form["public_key"], form.words("label")
    keys, refusals = check_public_keys(pasted.encode())
    if refusals:
        # A private key isn't written into the page once more.
        is_private = any(refusal.code is KeyRefusalCode.PRIVATE_KEY for refusal in refusals)
        return await _ask(
            visit, "" if is_private else pasted, label, [words_of(refusal) for refusal in refusals]
        )
    if not label.isprintable() or len(label) > _MOST_LABEL:
        return await _ask(visit, pasted, label, label_error=_BAD_LABEL)
    try:
        async with visit.change(form) as connection:
            result = await add_keys(
                connection, visit.campaign_id, keys, label=label or None, actor=visit.actor
            )
            return await visit.done(
                connection, url(HERE, campaign_id=visit.campaign_id), " ".join(_told(result))
            )
    except CampaignRefused as refusal:
        return await _ask(visit, pasted, label, [sentence(refusal)])


def _told(result: AddedKeys) -> list[str]:
    sentences = [f"The key {key.fingerprint} may log in by SFTP from now on." for key in result.added]
    sentences += [f"The key {key.fingerprint} was there already." for key in result.present]
    if result.shared:
        sentences.append(_SHARED)
    if result.revoked:
        sentences.append(_BACK)
    return sentences


async def ask_removal(visit: Visit) -> Response:
    """What ends with it."""
    fingerprint = visit.query.get("fingerprint")
    if not fingerprint:
        raise GoTo(url(HERE, campaign_id=visit.campaign_id))
    key = await _find(visit, fingerprint)
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, HERE)
    return await visit.page("integrations/ssh_key_remove.html", frame=frame, key=key)


async def remove_key(visit: Visit) -> Response:
    """Take the key out of force: its sessions end at once."""
    form = await visit.form()
    try:
        fingerprint = parse_fingerprint(form["fingerprint"])
        async with visit.change(form) as connection:
            await revoke_key(connection, visit.campaign_id, fingerprint, actor=visit.actor)
            return await visit.done(
                connection,
                url(HERE, campaign_id=visit.campaign_id),
                f"The key {fingerprint} is removed: it can't log in any more, and its sessions have ended.",
            )
    except (KeyNotFound, KeyRefused):
        raise PageRefused(404, _GONE) from None


async def _find(visit: Visit, fingerprint: str) -> SSHKey:
    async with visit.connection() as connection:
        keys = await list_keys(connection, visit.campaign_id)
    key = next((key for key in keys if key.fingerprint == fingerprint and key.revoked_at is None), None)
    if key is None:
        raise PageRefused(404, _GONE)
    return key


async def _ask(
    visit: Visit, pasted: str = "", label: str = "", problems: Sequence[str] = (), label_error: str = ""
) -> Response:
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, HERE)
    errors = {"public_key": " ".join(problems), "label": label_error}
    errors = {name: text for name, text in errors.items() if text}
    return await visit.page(
        "integrations/ssh_key_new.html",
        status=400 if errors else 200,
        frame=frame,
        public_key=pasted,
        label=label,
        errors=errors,
    )


_BASE: Final = "/campaigns/{campaign_id}/settings/integrations/ssh-keys"
ROUTES: Final = (
    ConsoleRoute(
        "add_ssh_key",
        f"{_BASE}/new",
        {"GET": ask_key, "POST": add_key},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
        is_fresh=True,
    ),
    ConsoleRoute(
        "remove_ssh_key",
        f"{_BASE}/remove",
        {"GET": ask_removal, "POST": remove_key},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
    ),
)
