"""What a text looks like on a phone, before there are values: header, body and footer, its parameters marked, and its segments.

The count is that of the text without its parameters, whose values come on top.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from campaigns.campaigns import Channel
from config.environment import Environment
from config.settings import Settings
from processing.rule_settings import footers_of
from rules.billing.prices import Cost, Price, shown_cost
from rules.messages import Frame, Layout
from rules.segments import Segmentation, segment
from rules.templates import Language

# The name of each language, and its tag (BCP 47) for whoever reads it aloud.
LANGUAGES: Final = {
    Language.ENGLISH: ("English", "en"),
    Language.CHINESE: ("Chinese", "zh-Hans"),
    Language.MALAY: ("Malay", "ms"),
    Language.TAMIL: ("Tamil", "ta"),
}
_DEFAULT_SENDER: Final = "gov.sg"
_TEST_SENDER: Final = "Postman"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text. A parameter's is its name."""

    text: str
    is_parameter: bool


@dataclass(frozen=True, slots=True)
class Phone:
    """One language's message as the phone has it. `characters` are those of the body, its parameters left out."""

    language: Language
    sender: str
    pieces: tuple[Piece, ...]
    counted: Segmentation
    characters: int
    cost: str

    @property
    def name(self) -> str:
        """The language's name."""
        return LANGUAGES[self.language][0]

    @property
    def tag(self) -> str:
        """The language's tag."""
        return LANGUAGES[self.language][1]


def public_sender(settings: Settings) -> str:
    """Whom members of the public see as the sender."""
    sender = settings.sending.public.sender_id
    return _TEST_SENDER if settings.environment is Environment.TEST and sender == _DEFAULT_SENDER else sender


def sender_of(settings: Settings, channel: Channel, own: str | None) -> str:
    """Whom recipients see as the sender; `own` is the name of an internal campaign's account."""
    return public_sender(settings) if channel is Channel.PUBLIC else own or "no sender yet"


def cost_in_words(settings: Settings, channel: Channel, segments: int, price: Price) -> str:
    """What a message of so many segments costs to a number of Singapore's (10-billing.md §1): only the public channel in
    production is charged here.
    """
    if channel is Channel.INTERNAL:
        return "billed by Twilio to your agency"
    match settings.environment:
        case Environment.TEST:
            return "free: test environment"
        case Environment.LOADTEST:
            return "free: nothing is sent"
        case Environment.PRODUCTION:
            return f"{shown_cost(Cost(local_segments=segments).mills(price))} to a local number before GST"
        case never:
            assert_never(never)


def phone_of(
    settings: Settings,
    *,
    header: str,
    body: str,
    language: Language,
    sender: str,
    channel: Channel,
    price: Price,
) -> Phone:
    """The message of this body in the frame of this deployment, at today's price."""
    bare = Layout.of_body(body)
    layout = bare.framed(Frame(header, settings.environment, footers_of(settings.messages)), language)
    pieces = [Piece(layout.literals[0], is_parameter=False)]
    for name, literal in zip(layout.parameters, layout.literals[1:], strict=True):
        pieces += Piece(name, is_parameter=True), Piece(literal, is_parameter=False)
    counted = segment("".join(layout.literals))
    return Phone(
        language,
        sender,
        tuple(pieces),
        counted,
        bare.literal_units(),
        cost_in_words(settings, channel, counted.segments, price),
    )
