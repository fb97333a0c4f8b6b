"""Beside npm's `smpp`: texts arrive whole, and receipts come in every order and form."""

import asyncio

import pytest

from messages.statuses import ErrorCode, MessageStatus
from sending.providers.provider import Taken
from tests.sending.providers.smpp.aggregator import running_aggregator, texts_of
from tests.sending.providers.smpp.smpp_adapter import NUMBER, opened_provider, outgoing

GSM7 = "Dear Tan, [50% & more] €5 {now} ~ " * 20
UCS2 = "您好 🎉 한국 👩‍👩‍👧‍👦 " * 20
DELIVERED = "id:{} sub:001 dlvrd:001 submit date:2611280438 done date:2611280439 stat:{} err:{} text:"


@pytest.mark.parametrize("way", ["udh", "sar"])
@pytest.mark.parametrize("text", [GSM7, UCS2], ids=["gsm7", "ucs2"])
async def test_a_long_text_arrives_whole(text: str, way: str) -> None:
    async with (
        running_aggregator() as aggregator,
        opened_provider(aggregator.port, long_messages=way) as opened,
    ):
        message = outgoing(text)
        taken = await opened.provider.hand_over(message)
    assert isinstance(taken, Taken)
    submitted = aggregator.submitted
    assert len(submitted) == message.segments > 2
    assert texts_of(submitted) == text
    assert taken.part_ids == tuple(str(each["submitted"]) for each in submitted)
    assert taken.provider_id == taken.part_ids[0]
    assert {tuple(each["source"]) for each in submitted} == {(5, 0, "gov.sg")}
    assert {tuple(each["destination"]) for each in submitted} == {(1, 1, NUMBER)}
    assert {each["registered"] for each in submitted} == {1}
    assert {each["coding"] for each in submitted} == {0 if text is GSM7 else 8}
    assert aggregator.told("bind") == [{"bind": 0, "version": 0x34}]
    assert aggregator.told("unbind") == [{"unbind": True}]


@pytest.mark.parametrize("text", [GSM7, UCS2, "short"], ids=["gsm7", "ucs2", "short"])
async def test_a_text_may_arrive_as_one_payload(text: str) -> None:
    async with (
        running_aggregator() as aggregator,
        opened_provider(aggregator.port, long_messages="payload") as opened,
    ):
        taken = await opened.provider.hand_over(outgoing(text))
    assert isinstance(taken, Taken)
    assert [each["text"] for each in aggregator.submitted] == [text]


async def test_a_receipt_is_acknowledged_only_once_it_is_recorded() -> None:
    async with (
        running_aggregator(receipts="after") as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        await opened.provider.hand_over(outgoing())
        (news,) = await opened.until_news(1)
        # The aggregator's answer to a question shows that it had time enough to be told.
        await aggregator.tell(enquire=True)
        await aggregator.until_told("alive")
        assert aggregator.told("acknowledged") == []
        news.recorded()
        news.recorded()
        await aggregator.until_told("acknowledged")
        await aggregator.tell(enquire=True)
        await aggregator.until_told("alive", 2)
    assert aggregator.told("acknowledged") == [{"acknowledged": 0, "id": "1001"}]
    assert (news.provider_id, news.status, news.recipient) == ("1001", MessageStatus.SUCCESS, NUMBER)


async def test_a_receipt_may_come_before_the_answer() -> None:
    async with (
        running_aggregator(receipts="first", hold=True) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        handing = asyncio.create_task(opened.provider.hand_over(outgoing()))
        await aggregator.until_told("submitted")
        await aggregator.tell(release=True)
        taken = await handing
        (news,) = await opened.until_news(1)
    assert isinstance(taken, Taken)
    assert news.provider_id == taken.provider_id


@pytest.mark.parametrize(
    ("answers", "receipts", "form"),
    [("decimal", "hex", "hex"), ("hex", "decimal", "decimal"), ("hex", "hex", "as_is")],
)
async def test_ids_meet_in_every_form(answers: str, receipts: str, form: str) -> None:
    async with (
        running_aggregator(ids=answers, receiptIds=receipts, receipts="after", firstId=0xABCDE) as aggregator,
        opened_provider(aggregator.port, receipt_id=form) as opened,
    ):
        taken = await opened.provider.hand_over(outgoing())
        (news,) = await opened.until_news(1)
    assert isinstance(taken, Taken)
    assert news.provider_id == taken.provider_id


async def test_receipts_of_every_kind_are_passed_on_as_they_come() -> None:
    """Doubled, of one part of three, for ids that nobody knows, by parameters; and a phone's message is none."""
    async with (
        running_aggregator() as aggregator,
        opened_provider(aggregator.port, errors={"001": "recipient_unavailable"}) as opened,
    ):
        taken = await opened.provider.hand_over(outgoing("a" * 400))
        assert isinstance(taken, Taken)
        assert len(taken.part_ids) == 3
        middle = taken.part_ids[1]
        await aggregator.deliver(DELIVERED.format(middle, "DELIVRD", "000"))
        await aggregator.deliver(DELIVERED.format(middle, "DELIVRD", "000"))
        await aggregator.deliver(DELIVERED.format("999999", "UNDELIV", "001"))
        await aggregator.deliver(
            receipted_message_id=taken.part_ids[2], message_state=5, networkError="030001"
        )
        await aggregator.deliver("id:1001 stat:DELIVRD", esm_class=0)
        await aggregator.deliver(DELIVERED.format(taken.part_ids[0], "ACCEPTD", "000"))
        news = await opened.until_news(5)
        for each in news:
            each.recorded()
        # The phone's message is acknowledged too, or it would come again for ever.
        await aggregator.until_told("acknowledged", 6)
    failed = (MessageStatus.FAILURE, ErrorCode.RECIPIENT_UNAVAILABLE, "001")
    assert [(each.provider_id, each.status, each.error, each.raw_code) for each in news] == [
        (middle, MessageStatus.SUCCESS, None, ""),
        (middle, MessageStatus.SUCCESS, None, ""),
        ("999999", *failed),
        (taken.part_ids[2], *failed),
        (taken.part_ids[0], MessageStatus.SENT_TO_TELCO, None, ""),
    ]
    assert {each["acknowledged"] for each in aggregator.told("acknowledged")} == {0}


@pytest.mark.parametrize("limit", ["link._MOST_UNCOMMITTED", "provider._MOST_UNRECORDED"])
async def test_receipts_that_nobody_takes_are_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(f"sending.providers.smpp.{limit}", 3)
    async with running_aggregator() as aggregator, opened_provider(aggregator.port) as opened:
        await opened.until_bound()
        for number in range(5):
            await aggregator.deliver(DELIVERED.format(number + 1, "DELIVRD", "000"))
        await aggregator.until_told("acknowledged", 2)
        assert [each["acknowledged"] for each in aggregator.told("acknowledged")] == [0x64, 0x64]
        for each in await opened.until_news(3):
            each.recorded()
        await aggregator.until_told("acknowledged", 5)
        await aggregator.deliver(DELIVERED.format(9, "DELIVRD", "000"))
        await opened.until_news(4)


async def test_links_made_anew_bring_no_more_while_nothing_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sending.providers.smpp.provider._MOST_UNRECORDED", 3)
    async with running_aggregator() as aggregator, opened_provider(aggregator.port) as opened:
        for binds in (1, 2):
            await aggregator.until_told("bind", binds)
            await opened.until_bound()
            for number in range(3):
                await aggregator.deliver(DELIVERED.format(number + 1, "DELIVRD", "000"))
            if binds == 1:
                await opened.until_news(3)
                await aggregator.tell(cut=True)
                await aggregator.until_told("closed")
        await aggregator.until_told("acknowledged", 3)
        assert {each["acknowledged"] for each in aggregator.told("acknowledged")} == {0x64}
        # What is recorded of a link that has ended makes room, and is told to nobody.
        for each in list(opened.news):
            each.recorded()
        await aggregator.deliver(DELIVERED.format(1, "DELIVRD", "000"))
        (*_, last) = await opened.until_news(4)
        last.recorded()
        await aggregator.until_told("acknowledged", 4)
    assert [each["acknowledged"] for each in aggregator.told("acknowledged")] == [0x64, 0x64, 0x64, 0]


async def test_a_receipt_that_cannot_be_read_by_a_fault_of_ours_doesnt_end_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(*_arguments: object, **_named: object) -> None:
        raise RuntimeError(NUMBER)

    monkeypatch.setattr("sending.providers.smpp.provider.parse_receipt", crash)
    async with running_aggregator() as aggregator, opened_provider(aggregator.port) as opened:
        await opened.until_bound()
        await aggregator.deliver(DELIVERED.format(1, "DELIVRD", "000"))
        await aggregator.until_told("acknowledged")
        assert isinstance(await opened.provider.hand_over(outgoing()), Taken)
    assert len(aggregator.told("bind")) == 1
