"""From a template and a row's values to the text that is sent: body, frame of header and footer, lengths.

Line ends (CRLF, CR) become LF in each piece, template and value, before it is measured or put together. The frame's
header is always in English; its footer follows the row's language. Of the default footers only the English one is
documented; the Chinese, Malay and Tamil ones are translations made for this project.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from config.environment import Environment
from rules.segments import utf16_units
from rules.templates import Language, Template, split_body

BODY_LIMIT: Final = 1000
BODY_RECOMMENDED: Final = 320
TRAINING_LINE: Final = "This is a test message used for training purposes."
RULER: Final = "\n\n---\n\n"
DEFAULT_FOOTERS: Final[Mapping[Language, str]] = MappingProxyType(
    {
        Language.ENGLISH: "This is an automated message sent by the Singapore Government.",
        Language.CHINESE: "这是新加坡政府发出的自动信息。",
        Language.MALAY: "Ini ialah mesej automatik yang dihantar oleh Kerajaan Singapura.",
        Language.TAMIL: "இது சிங்கப்பூர் அரசாங்கம் அனுப்பிய தானியங்கிச் செய்தி.",
    }
)

_LINE_END: Final = re.compile(r"\r\n?")


def with_line_feeds(text: str) -> str:
    """`text` with each CRLF and CR made one LF."""
    return _LINE_END.sub("\n", text) if "\r" in text else text


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every body. `header` is the campaign's; `footers` the deployment's."""

    header: str
    environment: Environment
    footers: Mapping[Language, str] = field(default_factory=lambda: DEFAULT_FOOTERS)

    def before(self) -> str:
        """All that precedes the body."""
        training = f"{TRAINING_LINE}\n\n" if self.environment is Environment.TEST else ""
        return training + with_line_feeds(self.header) + RULER

    def after(self, language: Language) -> str:
        """All that follows the body."""
        return RULER + with_line_feeds(self.footers[language])

    def document(self) -> dict[str, object]:
        """The frame as JSON, kept with a batch: `{"before": text, "after": {language: text}}`."""
        return {
            "before": self.before(),
            "after": {language.value: self.after(language) for language in Language},
        }

    def full_text(self, body: str, language: Language) -> str:
        """The message as it is sent."""
        return self.before() + body + self.after(language)


@dataclass(frozen=True, slots=True)
class Layout:
    """A body cut at its placeholders, line ends made LF: literals[0] + value + literals[1] + … + literals[-1].

    `parameters` names the values between, in order, repeated where the body uses one again.
    """

    literals: tuple[str, ...]
    parameters: tuple[str, ...]

    @classmethod
    def of_body(cls, body: str) -> "Layout":
        """Cuts one language's body."""
        pieces = split_body(with_line_feeds(body))
        return cls(tuple(pieces[0::2]), tuple(pieces[1::2]))

    def framed(self, frame: Frame, language: Language) -> "Layout":
        """The layout of the full message: the outer literals get the frame."""
        literals = list(self.literals)
        literals[0] = frame.before() + literals[0]
        literals[-1] += frame.after(language)
        return Layout(tuple(literals), self.parameters)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with its parameters filled in."""
        text = [self.literals[0]]
        for name, literal in zip(self.parameters, self.literals[1:], strict=True):
            text += with_line_feeds(values[name]), literal
        return "".join(text)

    def literal_units(self) -> int:
        """UTF-16 units of the template without its placeholders."""
        return sum(map(utf16_units, self.literals))


def layouts_of(template: Template) -> dict[Language, Layout]:
    """The layout of each of the template's bodies, unframed."""
    return {language: Layout.of_body(body) for language, body in template.bodies.items()}


def render_body(body: str, values: Mapping[str, str]) -> str:
    """One body with its parameters filled in."""
    return Layout.of_body(body).fill(values)


def body_length(body: str, values: Mapping[str, str]) -> int:
    """UTF-16 units of the body with its parameters filled in: what the limit of 1,000 is about."""
    return utf16_units(render_body(body, values))
