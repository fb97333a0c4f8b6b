"""The endpoint of single sends (8-api.md §2.1): from a body to a committed message."""

from typing import Final

from starlette.responses import Response

from api.bodies import read_json_body
from api.calls import Call
from api.errors import DomainRefused
from api.idempotency import IdempotencyKeys, KeyedCall, fingerprint_of, idempotency_key
from api.singles.checks import SingleChecks
from api.singles.forms import SingleForms
from api.singles.nric import NRICRecipients
from api.singles.request import SingleRequest, parse_single
from api.singles.writer import SingleSend, SingleWriter


class SingleSends:
    """The endpoint's work, by all that it needs."""

    def __init__(
        self,
        checks: SingleChecks,
        forms: SingleForms,
        writer: SingleWriter,
        nrics: NRICRecipients,
        keys: IdempotencyKeys,
    ) -> None:
        self._checks: Final = checks
        self._forms: Final = forms
        self._writer: Final = writer
        self._nrics: Final = nrics
        self._keys: Final = keys

    async def send(self, call: Call) -> Response:
        """Send one message: 201 once it is committed. See `Work`."""
        body = await read_json_body(call.request)
        key = idempotency_key(call.request)
        request = parse_single(body)
        if key is None:
            answer = await self._commit(call, request, None)
            assert answer is not None  # noqa: S101 - without a key there is no other answer
            return _created(answer)
        fingerprint = fingerprint_of(call.request, body, holds_nric=request.is_nric)
        return await self._send_once(call, request, KeyedCall(call.campaign_id, key, fingerprint))

    async def _send_once(self, call: Call, request: SingleRequest, keyed: KeyedCall) -> Response:
        with self._keys.hold(keyed):
            try:
                answer = await self._commit(call, request, keyed)
            except DomainRefused as refusal:
                return await self._keys.keep_refusal(keyed, refusal)
            return await self._keys.replay(keyed) if answer is None else _created(answer)

    async def _commit(self, call: Call, request: SingleRequest, keyed: KeyedCall | None) -> bytes | None:
        """The answer of a message that is committed, or None; see `SingleWriter.write`. Raises DomainRefused (400)."""
        campaign = call.admitted.campaign
        if request.is_nric:
            self._nrics.check(request.recipient, enabled=campaign.nric)
        else:
            self._checks.check_recipient(request.recipient)
        text = self._checks.check_text(request, self._forms.of(campaign))
        recipient = request.recipient
        if request.is_nric:
            recipient = await self._nrics.find(recipient)
        middle = text.form.middle(recipient, text.values, text.full_text, call.admitted.creator.id)
        send = SingleSend(campaign.id, recipient, text, middle, keyed, creator_id=call.admitted.maker_id)
        return await self._writer.write(send)


def _created(answer: bytes) -> Response:
    return Response(answer, 201, media_type="application/json")
