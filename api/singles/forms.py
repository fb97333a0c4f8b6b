"""What all single sends of a campaign in one language have in common, prepared once: a call joins texts, and builds no tree."""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from json.encoder import encode_basestring
from typing import Final

from api.admission_groups import CallingCampaign
from config.environment import Environment
from messages.documents import api_time
from messages.identifiers import message_id, template_body_id
from messages.singles import frame_with_order
from rules.messages import Frame, Layout, layouts_of
from rules.templates import Language

_CAMPAIGNS_KEPT: Final = 2000


@dataclass(frozen=True, slots=True)
class SingleForm:
    """A campaign's single sends in one language. `frame` is what is kept with each, as JSON."""

    layout: Layout
    before: str
    after: str
    parameters: tuple[str, ...]
    frame: str
    answer_end: bytes

    @classmethod
    def of_campaign(
        cls, campaign: CallingCampaign, frame: Frame, language: Language, layout: Layout
    ) -> "SingleForm":
        """Prepares it."""
        before, after = frame.before(), frame.after(language)
        body_id = template_body_id(campaign.id, language.value)
        end = (
            f',"latestStatus":"created","templateBodyId":"{body_id}","campaignId":"{campaign.id}"'
            f',"language":"{language.value}"}}'
        )
        kept = json.dumps({"before": before, "after": {language.value: after}})
        parameters = campaign.template.parameters
        return cls(layout, before, after, parameters, kept, end.encode())

    def frame_of(self, names: Sequence[str]) -> str:
        """What is kept of a send whose values came in this order."""
        if tuple(names) == self.parameters:
            return self.frame
        return json.dumps(frame_with_order(json.loads(self.frame), names))

    @staticmethod
    def middle(recipient: str, values_json: str, full_text: str, creator_id: str) -> bytes:
        """The part of an answer between the message's id and `latestStatus`, which doesn't depend on time."""
        return (
            f'","recipient":"{recipient}","values":{values_json},"creatorId":"{creator_id}"'
            f',"fullMessage":{encode_basestring(full_text)}'
        ).encode()


class SingleForms:
    """The forms of the campaigns that called last, by campaign and language: none of it ever changes."""

    def __init__(self, environment: Environment, footers: Mapping[Language, str]) -> None:
        self._environment: Final = environment
        self._footers: Final = footers
        self._kept: Final[OrderedDict[str, dict[Language, SingleForm]]] = OrderedDict()

    def of(self, campaign: CallingCampaign) -> Mapping[Language, SingleForm]:
        """The forms of all languages that the campaign's template has."""
        forms = self._kept.get(campaign.id)
        if forms is None:
            frame = Frame(campaign.template.header, self._environment, self._footers)
            forms = self._kept[campaign.id] = {
                language: SingleForm.of_campaign(campaign, frame, language, layout)
                for language, layout in layouts_of(campaign.template).items()
            }
            if len(self._kept) > _CAMPAIGNS_KEPT:
                self._kept.popitem(last=False)
        return forms


def values_json(values: Mapping[str, str]) -> str:
    """The values as a JSON object, in their order."""
    members = ",".join(
        f"{encode_basestring(name)}:{encode_basestring(value)}" for name, value in values.items()
    )
    return f"{{{members}}}"


def answer_of(batch_id: str, at: datetime, middle: bytes, form: SingleForm) -> bytes:
    """The answer to a send, key by key in the contract's order."""
    shown = api_time(at)
    head = f'{{"createdAt":"{shown}","updatedAt":"{shown}","id":"{message_id(batch_id, 1)}'
    return b"".join((head.encode(), middle, form.answer_end))
