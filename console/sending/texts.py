"""What a message says once its values are filled in: as the phone shows it, counted, and what it costs."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from campaigns.campaigns import Campaign, Channel
from config.environment import Environment
from config.settings import Settings
from console.campaigns.phones import LANGUAGES, Piece
from processing.checked.counts import LETTERS, OTHERS, SEVERAL, Counts
from processing.rule_settings import footers_of, value_rule
from rules.billing.prices import Cost, Price, shown_cost
from rules.messages import BODY_RECOMMENDED, Frame, Layout
from rules.segments import Segmentation, segment, utf16_units
from rules.single.checks import Refusal, refuse_length, refuse_values
from rules.templates import Language

_NOT_CHARACTERS: Final = {
    LETTERS: "a letter of another script",
    SEVERAL: "several characters that GSM-7 doesn’t have",
    OTHERS: "other characters that GSM-7 doesn’t have",
}


@dataclass(frozen=True, slots=True)
class FilledPhone:
    """A message as its phone has it; parameters without a value are shown as parameters. `characters` are those of its body."""

    language: Language
    sender: str
    pieces: tuple[Piece, ...] = field(repr=False)
    counted: Segmentation
    characters: int
    recipient: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The language's name."""
        return LANGUAGES[self.language][0]

    @property
    def tag(self) -> str:
        """The language's tag."""
        return LANGUAGES[self.language][1]

    @property
    def is_long(self) -> bool:
        """Whether it is longer than the guide recommends."""
        return self.characters > BODY_RECOMMENDED


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one campaign in this deployment, and what a segment of them costs today."""

    campaign: Campaign
    settings: Settings
    sender: str
    price: Price

    @property
    def frame(self) -> Frame:
        """What stands around each body."""
        header = self.campaign.template.header
        return Frame(header, self.settings.environment, footers_of(self.settings.messages))

    def fill(self, language: Language, values: Mapping[str, str], recipient: str = "") -> FilledPhone:
        """The message with these values."""
        layout = Layout.of_body(self.campaign.template.bodies[language])
        pieces = [Piece(self.frame.before() + layout.literals[0], is_parameter=False)]
        for name, literal in zip(layout.parameters, layout.literals[1:], strict=True):
            value = values.get(name, "")
            pieces.append(Piece(value or name, is_parameter=not value))
            pieces.append(Piece(literal, is_parameter=False))
        pieces.append(Piece(self.frame.after(language), is_parameter=False))
        body = layout.fill({name: values.get(name, "") for name in layout.parameters})
        full = self.frame.full_text(body, language)
        return FilledPhone(language, self.sender, tuple(pieces), segment(full), utf16_units(body), recipient)

    def refuse(self, language: Language, values: Mapping[str, str]) -> Sequence[Refusal]:
        """All that is wrong with the values, or that the text is too long with them."""
        template = self.campaign.template
        rule = value_rule(self.settings.messages)
        english = language is Language.ENGLISH
        refusals = list(refuse_values(values, template.parameters, rule, english=english))
        if refusals:
            return refusals
        too_long = refuse_length(Layout.of_body(template.bodies[language]).fill(values))
        return [] if too_long is None else [too_long]

    def cost(self, local_segments: int, foreign_segments: int) -> str:
        """See `cost_in_words`."""
        return cost_in_words(
            self.settings.environment,
            self.campaign.channel,
            Cost(local_segments, foreign_segments),
            self.price,
        )

    def sum(self, local_segments: int, foreign_segments: int) -> str | None:
        """What so many segments are charged, where anything is charged."""
        is_charged = (
            self.campaign.channel is Channel.PUBLIC and self.settings.environment is Environment.PRODUCTION
        )
        return shown_cost(Cost(local_segments, foreign_segments).mills(self.price)) if is_charged else None


def cost_in_words(environment: Environment, channel: Channel, cost: Cost, price: Price) -> str:
    """What so many segments to local and to other numbers cost. Only production's messages to the public are charged."""
    if channel is not Channel.PUBLIC:
        return "billed by Twilio to your agency"
    would_be = shown_cost(cost.mills(price))
    if environment is Environment.PRODUCTION:
        return f"{would_be} before GST"
    return f"free: {environment.value} environment (in production {would_be} before GST)"


def dearer_in_words(counts: Counts) -> list[str]:
    """What makes messages of a file dearer, a sentence each: `92 messages need a second segment because of ’ (U+2019)`."""
    return [
        f"{messages:,} {'message needs' if messages == 1 else 'messages need'} {_further(messages, segments, seconds)}"
        f" because of {_blamed(name)}"
        for name, (messages, segments, seconds) in counts.dearer.items()
    ]


def _further(messages: int, segments: int, seconds: int) -> str:
    if seconds == messages:
        return "a second segment"
    return f"{segments:,} more {'segment' if segments == 1 else 'segments'}"


def _blamed(name: str) -> str:
    if len(name) > 1:
        return _NOT_CHARACTERS[name]
    code_point = f"U+{ord(name):04X}"
    if unicodedata.category(name)[0] in "LNPS":
        return f"{name} ({code_point})"
    return f"{code_point}, {unicodedata.name(name, 'a character without a name').lower()}"
