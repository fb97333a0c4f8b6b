"""The rules for a single send, those of a row of an upload: the first one that refuses is told (shape B)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from api.errors import DomainRefused
from api.singles.forms import SingleForm, values_json
from api.singles.reasons import language_reason, length_reason, recipient_reason, value_reason
from api.singles.request import SingleRequest
from config.environment import Environment
from rules.codes import FindingCode
from rules.languages import check_language, parse_language
from rules.messages import BODY_LIMIT
from rules.recipients import check_recipient
from rules.segments import segment, utf16_units
from rules.templates import Language
from rules.texts import quote
from rules.values import ValueRule, check_value

_UNSUPPORTED: Final = (
    "Parameter values cannot contain avoidable expensive characters. "
    "Please refer to the guide ({url}) to learn more."
)
# It stands where other bytes were lost, and must not be sent to anyone.
_LOST: Final = "\ufffd"


@dataclass(frozen=True, slots=True)
class CheckedText:
    """What will be sent, but for whom. `full_text` has its frame around it."""

    form: SingleForm
    language: Language
    values: str = field(repr=False)
    frame: str = field(repr=False)
    full_text: str = field(repr=False)
    segments: int
    encoding: str


@dataclass(frozen=True, slots=True)
class SingleChecks:
    """The rules of a deployment."""

    environment: Environment
    values: ValueRule
    guide_url: str

    def check_recipient(self, recipient: str) -> None:
        """Refuse what is no number that messages go to."""
        code = check_recipient(recipient, self.environment)
        if code is not None:
            raise DomainRefused("recipient_invalid", recipient_reason(code, recipient))

    def check_text(self, request: SingleRequest, forms: Mapping[Language, SingleForm]) -> CheckedText:
        """The text, or refuse language, values or length."""
        language = _check_language(request.language, forms)
        form = forms[language]
        self._check_values(request.values, form, english=language is Language.ENGLISH)
        body = form.layout.fill(request.values)
        length = utf16_units(body)
        if length > BODY_LIMIT:
            raise DomainRefused("message_too_long", length_reason(length))
        full_text = f"{form.before}{body}{form.after}"
        counted = segment(full_text)
        return CheckedText(
            form=form,
            language=language,
            values=values_json(request.values),
            frame=form.frame_of(tuple(request.values)),
            full_text=full_text,
            segments=counted.segments,
            encoding=counted.encoding,
        )

    def _check_values(self, values: Mapping[str, str], form: SingleForm, *, english: bool) -> None:
        for name in form.parameters:
            if name not in values:
                raise DomainRefused("parameter_invalid", f"{name} is missing: give it a value")
        for name, value in values.items():
            if name not in form.parameters:
                raise DomainRefused(
                    "parameter_invalid",
                    f"{quote(name)} is not a parameter of this campaign's template: leave it out",
                )
            findings = check_value(value, english=english, rule=self.values)
            if findings:
                raise DomainRefused("parameter_invalid", self._words(findings[0], name, value))
            if _LOST in value:
                raise DomainRefused(
                    "parameter_invalid",
                    f"{name} has the character U+FFFD, which stands where text was lost: send the original text",
                )

    def _words(self, code: FindingCode, name: str, value: str) -> str:
        if code is FindingCode.VALUE_UNSUPPORTED_CHARACTERS:
            return _UNSUPPORTED.format(url=self.guide_url)
        return value_reason(code, name, value, self.values)


def _check_language(text: str, available: Mapping[Language, SingleForm]) -> Language:
    code = check_language(text, available)
    language = parse_language(text)
    if code is None and language is not None:
        return language
    code = code or FindingCode.LANGUAGE_UNKNOWN
    unavailable = code is FindingCode.LANGUAGE_UNAVAILABLE
    raise DomainRefused(
        "language_unavailable" if unavailable else "language_unknown",
        language_reason(code, text, list(available)),
    )
