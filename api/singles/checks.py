"""The rules for a single send, those of a row of an upload: the first one that refuses is told (shape B)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from api.errors import DomainRefused
from api.singles.forms import SingleForm, values_json
from api.singles.request import SingleRequest
from config.environment import Environment
from rules.codes import FindingCode
from rules.segments import segment
from rules.single.checks import (
    Refusal,
    Subject,
    read_language,
    refuse_length,
    refuse_recipient,
    refuse_values,
)
from rules.templates import Language
from rules.values import ValueRule

_UNSUPPORTED: Final = (
    "Parameter values cannot contain avoidable expensive characters. "
    "Please refer to the guide ({url}) to learn more."
)
_CODES: Final = {
    Subject.RECIPIENT: "recipient_invalid",
    Subject.LANGUAGE: "language_unknown",
    Subject.VALUE: "parameter_invalid",
    Subject.LENGTH: "message_too_long",
}


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
        refusal = refuse_recipient(recipient, self.environment)
        if refusal is not None:
            self._refuse(refusal)

    def check_text(self, request: SingleRequest, forms: Mapping[Language, SingleForm]) -> CheckedText:
        """The text, or refuse language, values or length."""
        language = read_language(request.language, forms)
        if isinstance(language, Refusal):
            self._refuse(language)
        form = forms[language]
        english = language is Language.ENGLISH
        for refusal in refuse_values(request.values, form.parameters, self.values, english=english):
            self._refuse(refusal)
        body = form.layout.fill(request.values)
        if too_long := refuse_length(body):
            self._refuse(too_long)
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

    def _refuse(self, refusal: Refusal) -> NoReturn:
        code, text = _CODES[refusal.subject], refusal.text
        if refusal.code is FindingCode.LANGUAGE_UNAVAILABLE:
            code = "language_unavailable"
        if refusal.code is FindingCode.VALUE_UNSUPPORTED_CHARACTERS:
            text = _UNSUPPORTED.format(url=self.guide_url)
        raise DomainRefused(code, text)
