"""The third step: what the messages say, in one to four languages, with a preview of each and what is wrong with it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import Channel
from campaigns.people.permissions import Action
from console.campaigns.drafts import Draft, store_draft
from console.campaigns.phones import LANGUAGES, Phone, phone_of, sender_of
from console.campaigns.steps import (
    CHANNEL,
    CONTENT,
    LOOK,
    header_of,
    hold_draft,
    may_choose,
    open_draft,
    sentence,
    sentences,
    steps_of,
)
from console.errors import GoTo
from console.forms import Form
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit
from processing.rule_settings import unsupported_rule
from rules.messages import BODY_LIMIT, BODY_RECOMMENDED, with_line_feeds
from rules.template_checks import TemplateCheck, check_template, find_unsupported, replace_unsupported
from rules.templates import Language

# A text that is far too long is told so before anything looks at it closely.
_LONGEST: Final = 4 * BODY_LIMIT


@dataclass(frozen=True, slots=True)
class Text:
    """One language's field. `phone` is None while there is no text; `unsupported`: sentences about characters to be replaced."""

    language: Language
    body: str
    error: str
    phone: Phone | None
    unsupported: list[str]

    @property
    def name(self) -> str:
        """The language's name."""
        return LANGUAGES[self.language][0]

    @property
    def tag(self) -> str:
        """The language's tag."""
        return LANGUAGES[self.language][1]

    @property
    def field(self) -> str:
        """The name of the field."""
        return f"body_{self.language.value}"


async def show_content(visit: Visit) -> Response:
    """The texts that the draft has."""
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
        _require_channel(draft)
        header = await header_of(visit, connection, draft)
    return await _show(visit, draft, header, draft.bodies, errors=None)


async def change_content(visit: Visit) -> Response:
    """Keep the texts; replace what is unsupported where that is asked for; go on where nothing is wrong with them."""
    form = await visit.form()
    rule = unsupported_rule(visit.settings.messages)
    bodies = _bodies_of(form)
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
        _require_channel(draft)
        if may_choose(visit):
            draft = replace(draft, header=form.words("header") or None)
        header = await header_of(visit, connection, draft)
    if form["then"] == "replace":
        bodies = {
            language: replace_unsupported(body, rule) if language is Language.ENGLISH else body
            for language, body in bodies.items()
        }
    too_long = {
        f"body_{language.value}": f"{LANGUAGES[language][0]}: the text has {len(body):,} characters, at most {BODY_LIMIT:,} are "
        "allowed."
        for language, body in bodies.items()
        if len(body) > _LONGEST
    }
    if too_long:
        return await _show(visit, draft, header, bodies, errors=too_long)
    goes_on = form["then"] not in {"preview", "replace"}
    if goes_on:
        errors = errors_of(check_content(visit, header, bodies))
        if errors:
            return await _show(visit, draft, header, bodies, errors=errors)
    async with visit.change(form) as connection:
        held = await hold_draft(visit, connection)
        await store_draft(connection, replace(held, bodies=bodies, header=draft.header))
        return await visit.done(connection, url(LOOK if goes_on else CONTENT, draft_id=draft.id))


async def preview_content(visit: Visit) -> Response:
    """The phones and remarks for texts that are being typed, as a part of the page; nothing is kept."""
    form = await visit.form()
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
        if may_choose(visit):
            draft = replace(draft, header=form.words("header") or None)
        header = await header_of(visit, connection, draft)
    texts = _texts(visit, draft, header, _bodies_of(form), {})
    return await visit.page("campaigns/new_preview.html", texts=texts, limit=BODY_LIMIT)


def check_content(visit: Visit, header: str, bodies: Mapping[Language, str]) -> TemplateCheck:
    """What is wrong with the texts, by the rules for every campaign."""
    return check_template(
        header,
        {language.value: body for language, body in bodies.items()},
        unsupported_rule(visit.settings.messages),
    )


def errors_of(checked: TemplateCheck) -> dict[str, str]:
    """The refusals by field; of several about one field, all in its sentence."""
    errors: dict[str, str] = {}
    for refusal in checked.refusals:
        field, told = _placed(refusal)
        errors[field] = f"{errors[field]} {told}" if field in errors else told
    return errors


def _placed(refusal: str) -> tuple[str, str]:
    name, _, rest = refusal.partition(": ")
    if name in set(Language):
        return f"body_{name}", f"{LANGUAGES[Language(name)][0]}: {sentence(rest)}"
    if refusal.startswith("the header"):
        return "header", sentence(refusal)
    return f"body_{Language.ENGLISH.value}", sentence(refusal)


def _require_channel(draft: Draft) -> None:
    if not draft.has_channel:
        raise GoTo(url(CHANNEL, draft_id=draft.id))


def _bodies_of(form: Form) -> dict[Language, str]:
    """The languages that have a text. Blanks at its ends are nobody's wish."""
    found = {language: with_line_feeds(form.words(f"body_{language.value}")) for language in Language}
    return {language: body for language, body in found.items() if body}


async def _show(
    visit: Visit,
    draft: Draft,
    header: str,
    bodies: Mapping[Language, str],
    *,
    errors: dict[str, str] | None,
) -> Response:
    warnings: list[str] = []
    if bodies and not errors:
        checked = check_content(visit, header, bodies)
        warnings = sentences(checked.warnings)
    return await visit.page(
        "campaigns/new_content.html",
        status=400 if errors else 200,
        steps=steps_of(draft, CONTENT),
        draft=draft,
        header=header,
        may_choose=may_choose(visit),
        texts=_texts(visit, draft, header, bodies, errors or {}),
        errors=errors or {},
        warnings=warnings,
        limit=BODY_LIMIT,
        recommended=BODY_RECOMMENDED,
    )


def _texts(
    visit: Visit, draft: Draft, header: str, bodies: Mapping[Language, str], errors: Mapping[str, str]
) -> list[Text]:
    channel = draft.channel or Channel.PUBLIC
    sender = sender_of(visit.settings, channel, draft.account.sender_name if draft.account else None)
    texts = []
    for language in Language:
        body = bodies.get(language, "")
        phone = None
        if body and len(body) <= _LONGEST:
            phone = phone_of(
                visit.settings,
                header=header,
                body=body,
                language=language,
                sender=sender,
                channel=channel,
                price=visit.price,
            )
        texts.append(
            Text(
                language,
                body,
                errors.get(f"body_{language.value}", ""),
                phone,
                _unsupported(visit, language, body) if phone else [],
            )
        )
    return texts


def _unsupported(visit: Visit, language: Language, body: str) -> list[str]:
    """What is said of each character of an English text that makes messages dearer."""
    if language is not Language.ENGLISH:
        return []
    counts = Counter(body)
    return [
        f"{found.named}, {counts[found.character]}×: {found.advice}"
        for found in find_unsupported(body, unsupported_rule(visit.settings.messages))
    ]


ROUTES: Final = (
    ConsoleRoute(
        CONTENT,
        "/campaigns/new/{draft_id}/content",
        {"GET": show_content, "POST": change_content},
        Action.CREATE_CAMPAIGN,
    ),
    ConsoleRoute(
        "campaign_new_preview",
        "/campaigns/new/{draft_id}/preview",
        {"POST": preview_content},
        Action.CREATE_CAMPAIGN,
    ),
)
