"""The segment calculator: a text, or a template with sample values, counted as it would be sent from here. Nothing is kept."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from console.campaigns.phones import LANGUAGES
from console.forms import Form
from console.routes import Access, ConsoleRoute
from console.visits import Visit
from processing.rule_settings import footers_of, unsupported_rule
from rules.billing.prices import Price, shown_cost
from rules.characters.gsm7 import gsm7_units, is_gsm7
from rules.characters.unsupported import Unsupported, UnsupportedRule, all_unsupported, replacements
from rules.languages import parse_language
from rules.messages import BODY_LIMIT, BODY_RECOMMENDED, Frame, Layout, with_line_feeds
from rules.segments import GSM7, Segmentation, segment, segment_texts, utf16_units
from rules.templates import Language

# From so many segments on the page warns.
MANY_SEGMENTS: Final = 7
# Values' fields begin so: a parameter may be called like a field of ours.
VALUE: Final = "value_"
_MOST_PARAMETERS: Final = 50


@dataclass(frozen=True, slots=True)
class Run:
    """Some of a segment's text: all of it is refused in English, or none of it."""

    text: str
    is_unsupported: bool


@dataclass(frozen=True, slots=True)
class ShownSegment:
    """One SMS of the message: its number from 1, what stands in it, and how many units that takes."""

    number: int
    runs: tuple[Run, ...]
    units: int


@dataclass(frozen=True, slots=True)
class Character:
    """A character of the text, once for all times that it stands there; `forces_ucs2`: GSM-7 doesn't have it."""

    shown: str
    code_point: str
    name: str
    count: int
    units: int
    forces_ucs2: bool
    unsupported: Unsupported | None


@dataclass(frozen=True, slots=True)
class Calculation:
    """What the page says of a message. `body_characters` are those that the limit of 1,000 is about."""

    counted: Segmentation
    segments: tuple[ShownSegment, ...]
    characters: tuple[Character, ...]
    body_characters: int
    without_value: tuple[str, ...]
    price: Price

    @property
    def unsupported(self) -> list[Character]:
        """The characters that an English text is refused for."""
        return [each for each in self.characters if each.unsupported is not None]

    @property
    def local_cost(self) -> str:
        """What it costs in production to a number of Singapore."""
        return shown_cost(self.counted.segments * self.price.local_mills)

    @property
    def foreign_cost(self) -> str:
        """And to any other number."""
        return shown_cost(self.counted.segments * self.price.foreign_mills)


def calculate(
    body: str,
    values: Mapping[str, str],
    frame: Frame | None,
    language: Language,
    rule: UnsupportedRule,
    price: Price,
) -> Calculation:
    """Count the message of this body. A parameter without a value takes no room."""
    layout = Layout.of_body(body)
    filled = layout.fill({name: values.get(name, "") for name in layout.parameters})
    text = filled if frame is None else frame.full_text(filled, language)
    counted = segment(text)
    units_of = gsm7_units if counted.encoding == GSM7 else utf16_units
    refused = set(replacements(rule)) if language is Language.ENGLISH else set()
    segments = tuple(
        ShownSegment(number, tuple(_runs(each, refused)), units_of(each))
        for number, each in enumerate(segment_texts(text), start=1)
    )
    found = {each.character: each for each in all_unsupported(text, rule)} if refused else {}
    characters = tuple(
        Character(
            shown=character if unicodedata.category(character)[0] in "LNPS" else "",
            code_point=f"U+{ord(character):04X}",
            name=_name_of(character),
            count=count,
            units=units_of(character),
            forces_ucs2=not is_gsm7(character),
            unsupported=found.get(character),
        )
        for character, count in sorted(Counter(text).items())
    )
    without = tuple(dict.fromkeys(name for name in layout.parameters if not values.get(name)))
    return Calculation(counted, segments, characters, utf16_units(filled), without, price)


def _runs(text: str, refused: set[str]) -> list[Run]:
    runs: list[Run] = []
    for character in text:
        is_unsupported = character in refused
        if runs and runs[-1].is_unsupported == is_unsupported:
            runs[-1] = Run(runs[-1].text + character, is_unsupported)
        else:
            runs.append(Run(character, is_unsupported))
    return runs


def _name_of(character: str) -> str:
    in_words = {"\n": "line break", "\t": "tab", "\r": "carriage return"}
    return in_words.get(character) or unicodedata.name(character, "").lower() or "no name"


async def show_calculator(visit: Visit) -> Response:
    """The empty form."""
    return await _page(visit, Form("", {"frame": ("yes",)}), None, {})


async def count_text(visit: Visit) -> Response:
    """The form, and what was counted. It is no change, so it is not led elsewhere."""
    form = await visit.form()
    language = parse_language(form.words("language")) or Language.ENGLISH
    with_frame = form["frame"] == "yes"
    header = form.words("header")
    errors: dict[str, str] = {}
    if not form["text"].strip():
        errors["text"] = "Type the text that should be counted."
    if with_frame and not header:
        errors["header"] = "Type the header, which is the agency's name, or count the text alone."
    if len(_parameters(form)) > _MOST_PARAMETERS:
        errors["text"] = f"The text has more than {_MOST_PARAMETERS} parameters: count it in parts."
    if errors:
        return await _page(visit, form, None, errors)
    settings = visit.settings
    frame = None
    if with_frame:
        footers = footers_of(settings.messages)
        if form.words("footer"):
            footers[language] = with_line_feeds(form.words("footer"))
        frame = Frame(header, settings.environment, footers)
    values = {name: form[VALUE + name] for name in _parameters(form)}
    rule = unsupported_rule(settings.messages)
    calculation = calculate(form["text"], values, frame, language, rule, visit.price)
    return await _page(visit, form, calculation, {})


def _parameters(form: Form) -> Sequence[str]:
    return tuple(dict.fromkeys(Layout.of_body(form["text"]).parameters))


async def _page(
    visit: Visit, form: Form, calculation: Calculation | None, errors: Mapping[str, str]
) -> Response:
    footers = footers_of(visit.settings.messages)
    return await visit.page(
        "guides/calculator.html",
        status=400 if errors else 200,
        form=form,
        errors=errors,
        calculation=calculation,
        parameters=_parameters(form),
        value=VALUE,
        languages=[(language.value, LANGUAGES[language][0]) for language in Language],
        footers=[(LANGUAGES[language][0], footers[language]) for language in Language],
        environment=visit.settings.environment,
        limits={"body": BODY_LIMIT, "recommended": BODY_RECOMMENDED, "segments": MANY_SEGMENTS},
    )


ROUTES: Final = (
    ConsoleRoute("calculator", "/calculator", {"GET": show_calculator, "POST": count_text}, Access.USERS),
)
