"""The provider beside npm's `smpp`: texts arrive whole, receipts in every order and form, and nothing is sent twice."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from messages.statuses import ErrorCode, MessageStatus
from sending.providers.authorities import trusted_authorities
from sending.providers.provider import AWAY, OpenAttempt, PutBack, Refused, Taken, Unknown
from sending.providers.smpp.provider import BIND_REFUSED, SENDER_REFUSED
from tests.sending.providers.smpp.aggregator import Event, running_aggregator
from tests.sending.providers.smpp.smpp_adapter import NUMBER, opened_provider, outgoing
from tests.sending.providers.test_twilio_tls import make_certificate

GSM7 = "Dear Tan, [50% & more] €5 {now} ~ " * 20
UCS2 = "您好 🎉 한국 👩‍👩‍👧‍👦 " * 20
NO_BIND = PutBack(5.0, "no bind", pause=AWAY, pause_seconds=5.0)
THREE_PARTS = "Dear Tan, €5 " * 25
DELIVERED = "id:{} sub:001 dlvrd:001 submit date:2611280438 done date:2611280439 stat:{} err:{} text:"


def texts_of(submitted: list[Event]) -> str:
    """What a phone puts together: by the numbers of the parts, whatever the order."""
    numbered = [
        (each["sar"] or list(bytes.fromhex(each["header"][0])[2:]), each["text"]) for each in submitted
    ]
    assert len({header[0] for header, _ in numbered}) == 1
    assert {header[1] for header, _ in numbered} == {len(numbered)}
    return "".join(text for _, text in sorted(numbered, key=lambda each: each[0][2]))


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


async def test_receipts_that_nobody_takes_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sending.providers.smpp.link._MOST_UNCOMMITTED", 3)
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


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x58, PutBack(1.0, "0x58", pause="throttled", pause_seconds=1.0)),
        (0x14, PutBack(1.0, "0x14", pause="throttled", pause_seconds=1.0)),
        (0x08, PutBack(30.0, "0x08", counts=True)),
        (0x64, PutBack(30.0, "0x64", counts=True)),
        (0x0B, Refused(ErrorCode.RECIPIENT_INVALID, "0x0B")),
        (0x61, Refused(ErrorCode.CONTENT_INVALID, "0x61")),
        (0x45, Refused(ErrorCode.ROUTING_ERROR, "0x45")),
        (0x455, Refused(ErrorCode.DELIVERY_UNKNOWN_ERROR, "0x455")),
        (0x0A, PutBack(0.0, "0x0A", pause=SENDER_REFUSED)),
        (0x04, PutBack(1.0, "0x04")),
    ],
)
async def test_an_answer_that_refuses_is_what_the_table_says(status: int, expected: object) -> None:
    async with (
        running_aggregator(statuses=[status]) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        assert await opened.provider.hand_over(outgoing()) == expected
        # Nothing is kept inside: the next one goes as it is.
        if status != 0x0A:
            assert isinstance(await opened.provider.hand_over(outgoing(row_number=3)), Taken)


async def test_after_throttling_fewer_leave_at_once() -> None:
    async with (
        running_aggregator(hold=True) as aggregator,
        opened_provider(aggregator.port, window=20) as opened,
    ):
        await opened.until_bound(20)
        messages = [asyncio.create_task(opened.provider.hand_over(outgoing(row_number=n))) for n in range(20)]
        await aggregator.until_told("submitted", 20)
        await aggregator.tell(set={"hold": False, "status": 0x58})
        await aggregator.tell(release=True)
        assert all(isinstance(each, Taken) for each in await asyncio.gather(*messages))
        assert opened.provider.most_at_once == 20
        assert isinstance(await opened.provider.hand_over(outgoing()), PutBack)
        assert opened.provider.most_at_once < 20


async def test_a_part_that_is_refused_for_now_goes_again_alone() -> None:
    async with (
        running_aggregator(statuses=[0, 0x58, 0x14, 0, 0]) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        taken = await opened.provider.hand_over(outgoing(THREE_PARTS))
    assert isinstance(taken, Taken)
    whole = [each for each in aggregator.submitted if each["status"] == 0]
    assert texts_of(whole) == THREE_PARTS
    numbers = [bytes.fromhex(each["header"][0])[4] for each in aggregator.submitted]
    assert numbers == [1, 2, 2, 2, 3]


async def test_a_part_that_is_refused_for_good_ends_the_message_as_one_that_may_have_arrived() -> None:
    async with (
        running_aggregator(statuses=[0, 0x61]) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        refused = await opened.provider.hand_over(outgoing("a" * 400))
    assert refused == Refused(
        ErrorCode.CONTENT_INVALID, "0x61", may_have_arrived=True, part_ids=("1001", "", "")
    )
    assert len(aggregator.submitted) == 2


async def test_a_sender_that_is_refused_in_the_midst_of_a_message_pauses() -> None:
    async with (
        running_aggregator(statuses=[0, 0x0A]) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        refused = await opened.provider.hand_over(outgoing("a" * 200))
    assert isinstance(refused, Refused)
    assert (refused.pause, refused.may_have_arrived) == (SENDER_REFUSED, True)


async def test_an_answer_without_an_id_leaves_the_outcome_to_be_looked_up() -> None:
    async with running_aggregator(noIds=True) as aggregator, opened_provider(aggregator.port) as opened:
        answer = await opened.provider.hand_over(outgoing("a" * 200))
    assert answer == Unknown("no id in the answer", part_ids=("", ""))
    assert len(aggregator.submitted) == 2


async def test_answers_may_come_in_any_order_and_the_window_is_kept() -> None:
    async with (
        running_aggregator(hold=True) as aggregator,
        opened_provider(aggregator.port, window=3) as opened,
    ):
        await opened.until_bound(3)
        messages = [
            asyncio.create_task(opened.provider.hand_over(outgoing(f"message {n}", n))) for n in range(3)
        ]
        await aggregator.until_told("submitted", 3)
        beyond = await opened.provider.hand_over(outgoing())
        await aggregator.tell(releaseBackwards=True)
        answers = await asyncio.gather(*messages)
    assert beyond == PutBack(0.1, "window full")
    ids = {each["text"]: str(each["submitted"]) for each in aggregator.submitted}
    for number, answer in enumerate(answers):
        assert isinstance(answer, Taken)
        assert answer.provider_id == ids[f"message {number}"]


async def test_several_binds_share_the_work() -> None:
    async with (
        running_aggregator(hold=True) as aggregator,
        opened_provider(aggregator.port, binds=3, window=2) as opened,
    ):
        await opened.until_bound(6)
        messages = [asyncio.create_task(opened.provider.hand_over(outgoing(row_number=n))) for n in range(6)]
        await aggregator.until_told("submitted", 6)
        await aggregator.tell(release=True)
        assert all(isinstance(each, Taken) for each in await asyncio.gather(*messages))
    assert aggregator.submitted[-1]["binds"] == 3


async def test_links_cut_every_few_submissions_send_nothing_twice() -> None:
    """What was in flight isn't known, and its number is the server's count; all else is taken, on links that are made anew."""
    async with running_aggregator(cutEvery=5) as aggregator, opened_provider(aggregator.port) as opened:
        answers = []
        for number in range(12):
            await opened.until_bound()
            answers.append(await opened.provider.hand_over(outgoing(f"message {number}", number)))
    unknown = [number for number, answer in enumerate(answers) if isinstance(answer, Unknown)]
    assert unknown == [4, 9]
    assert answers[4] == Unknown("link lost", part_ids=("",))
    assert all(isinstance(answers[number], Taken) for number in range(12) if number not in unknown)
    assert [each["text"] for each in aggregator.submitted] == [f"message {number}" for number in range(12)]
    assert len(aggregator.told("bind")) == 3


async def test_a_link_cut_in_the_midst_of_a_message_keeps_the_ids_of_the_parts_that_were_taken() -> None:
    async with running_aggregator(cutEvery=2) as aggregator, opened_provider(aggregator.port) as opened:
        answer = await opened.provider.hand_over(outgoing("a" * 400))
    assert answer == Unknown("link lost", part_ids=("1001", "", ""))
    assert len(aggregator.submitted) == 2


async def test_a_message_that_is_cancelled_in_its_midst_keeps_the_ids_too() -> None:
    async with (
        running_aggregator(statuses=[0, *[0x58] * 100]) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        handing = asyncio.create_task(opened.provider.hand_over(outgoing("a" * 400)))
        await aggregator.until_told("submitted", 2)
        handing.cancel()
        answer = await handing
    assert answer == Unknown("stopped before all parts were sent", part_ids=("1001", "", ""))


async def test_an_unanswered_question_whether_it_is_there_ends_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sending.providers.smpp.link._IDLE_SECONDS", 0.2)
    monkeypatch.setattr("sending.providers.smpp.link._ALIVE_SECONDS", 0.2)
    async with (
        running_aggregator(answersEnquiries=False, hold=True) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        answer = await opened.provider.hand_over(outgoing())
        assert answer == Unknown("link lost", part_ids=("",))
        await aggregator.tell(set={"answersEnquiries": True, "hold": False})
        await aggregator.until_told("bind", 2)
        await opened.until_bound()
        # And one that is answered keeps it.
        before = len(aggregator.told("enquired"))
        await aggregator.until_told("enquired", before + 3)
        assert isinstance(await opened.provider.hand_over(outgoing()), Taken)
        assert len(aggregator.told("bind")) == len(aggregator.told("closed")) + 1


async def test_without_an_answer_in_time_the_outcome_is_not_known_and_a_late_one_is_nobodys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sending.providers.smpp.link.ANSWER_SECONDS", 0.3)
    async with running_aggregator(hold=True) as aggregator, opened_provider(aggregator.port) as opened:
        assert await opened.provider.hand_over(outgoing()) == Unknown("no answer", part_ids=("",))
        await aggregator.tell(set={"hold": False})
        await aggregator.tell(release=True)
        monkeypatch.setattr("sending.providers.smpp.link.ANSWER_SECONDS", 30.0)
        taken = await opened.provider.hand_over(outgoing("second"))
    assert isinstance(taken, Taken)
    assert taken.provider_id == "1002"


async def test_an_aggregator_that_unbinds_gives_its_answers_first() -> None:
    async with running_aggregator(hold=True) as aggregator, opened_provider(aggregator.port) as opened:
        handing = asyncio.create_task(opened.provider.hand_over(outgoing()))
        await aggregator.until_told("submitted")
        await aggregator.tell(unbind=True)
        await aggregator.tell(set={"hold": False})
        await aggregator.tell(release=True)
        assert isinstance(await handing, Taken)
        await aggregator.until_told("unbound")
        await aggregator.until_told("bind", 2)
        await opened.until_bound()
        assert isinstance(await opened.provider.hand_over(outgoing(row_number=3)), Taken)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x0F, PutBack(5.0, "bind refused 0x0F", pause=BIND_REFUSED)),
        # It may pass: the server starts, or there is a bind too many.
        (0x0D, NO_BIND),
    ],
)
async def test_a_bind_that_is_refused_pauses_the_sender(status: int, expected: PutBack) -> None:
    async with (
        running_aggregator(bindStatus=status) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        await aggregator.until_told("bind")
        answer = await _until_answered(lambda: opened.provider.hand_over(outgoing(seconds=0.5)), expected)
        assert answer == expected
        await aggregator.tell(set={"bindStatus": 0})
        await opened.until_bound()
        assert isinstance(await opened.provider.hand_over(outgoing()), Taken)


async def _until_answered(hand_over: Callable[[], Awaitable[object]], expected: PutBack) -> object:
    """The refusal is known a moment after the aggregator has told it."""
    async with asyncio.timeout(30):
        while (answer := await hand_over()) != expected:
            assert isinstance(answer, PutBack)
    return answer


async def test_a_wrong_password_pauses_and_is_nowhere_told(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        running_aggregator(password="another8") as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        await aggregator.until_told("bind")
        expected = PutBack(5.0, "bind refused 0x0E", pause=BIND_REFUSED)
        await _until_answered(lambda: opened.provider.hand_over(outgoing(seconds=0.5)), expected)
    assert "secret08" not in caplog.text


async def test_an_aggregator_that_is_away_lets_messages_wait() -> None:
    async with running_aggregator() as aggregator:
        port = aggregator.port
    async with opened_provider(port) as opened:
        answer = await opened.provider.hand_over(outgoing(seconds=0.3))
    assert answer == NO_BIND


async def test_a_message_whose_moment_is_over_doesnt_leave() -> None:
    async with running_aggregator() as aggregator, opened_provider(aggregator.port) as opened:
        await opened.until_bound()
        answer = await opened.provider.hand_over(outgoing(seconds=-1))
        assert answer == PutBack(0.0, "too late")
        await opened.provider.hand_over(outgoing("second"))
    assert [each["text"] for each in aggregator.submitted] == ["second"]


async def test_what_is_no_pdu_is_refused_and_other_protocols_end_the_link() -> None:
    async with running_aggregator() as aggregator, opened_provider(aggregator.port) as opened:
        await opened.until_bound()
        # A deliver_sm that ends too soon, and data_sm, which nobody speaks here.
        await aggregator.tell(raw="00000012 00000005 00000000 0000002A 0000".replace(" ", ""))
        await aggregator.tell(raw="00000010 00000103 00000000 0000002B".replace(" ", ""))
        nacks = await aggregator.until_told("nack", 2)
        assert nacks == [{"nack": 1, "sequence": 42}, {"nack": 3, "sequence": 43}]
        assert isinstance(await opened.provider.hand_over(outgoing()), Taken)
        await aggregator.tell(raw=b"HTTP/1.1 400 Bad Request\r\n\r\n".hex())
        await aggregator.until_told("bind", 2)


async def test_a_look_up_asks_for_receipts_that_no_part_has_missed() -> None:
    async with running_aggregator() as aggregator, opened_provider(aggregator.port) as opened:
        message = outgoing("a" * 400)
        attempt = OpenAttempt(message.key, NUMBER, message.text, "", datetime.now(UTC))
        assert await opened.provider.look_up([attempt]) == []
    assert opened.asked_for_strays == [(attempt, 3)]


async def test_closing_waits_for_answers_that_are_due_and_doesnt_hang_on_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sending.providers.smpp.link._FAREWELL_SECONDS", 0.5)
    async with running_aggregator(hold=True) as aggregator, opened_provider(aggregator.port) as opened:
        handing = asyncio.create_task(opened.provider.hand_over(outgoing()))
        await aggregator.until_told("submitted")
        closing = asyncio.create_task(opened.provider.close())
        await aggregator.tell(release=True)
        await closing
        assert isinstance(await handing, Taken)
    async with running_aggregator(hold=True) as aggregator, opened_provider(aggregator.port) as opened:
        handing = asyncio.create_task(opened.provider.hand_over(outgoing()))
        await aggregator.until_told("submitted")
        await opened.provider.close()
        assert await handing == Unknown("link lost", part_ids=("",))


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def authorities_read_anew() -> Iterator[None]:
    """A process reads once whom it trusts; this test's process is everybody's."""
    trusted_authorities.cache_clear()
    yield
    trusted_authorities.cache_clear()


async def _hand_over_by_tls(port: int, host: str = "127.0.0.1", *, seconds: float = 0.5) -> object:
    async with opened_provider(port, tls="verify", host=host) as opened:
        return await opened.provider.hand_over(outgoing(seconds=seconds))


@pytest.mark.usefixtures("authorities_read_anew")
async def test_with_a_certificate_that_is_trusted_messages_leave(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with running_aggregator(cert=str(certificate[0]), key=str(certificate[1])) as aggregator:
        assert isinstance(await _hand_over_by_tls(aggregator.port, seconds=30), Taken)
        # It is for another name.
        async with opened_provider(aggregator.port, tls="verify", host="localhost") as opened:
            await aggregator.until_told("tlsFailed")
            assert await opened.provider.hand_over(outgoing(seconds=0.2)) == NO_BIND
    assert len(aggregator.told("bind")) == 1


@pytest.mark.usefixtures("authorities_read_anew")
async def test_with_a_certificate_that_nobody_vouches_for_not_even_the_password_leaves(
    certificate: tuple[Path, Path],
) -> None:
    async with (
        running_aggregator(cert=str(certificate[0]), key=str(certificate[1])) as aggregator,
        opened_provider(aggregator.port, tls="verify") as opened,
    ):
        await aggregator.until_told("tlsFailed")
        assert await opened.provider.hand_over(outgoing(seconds=0.2)) == NO_BIND
    assert aggregator.told("bind") == []


@pytest.mark.usefixtures("authorities_read_anew")
async def test_an_aggregator_without_tls_is_not_spoken_to_without_it() -> None:
    async with running_aggregator() as aggregator:
        assert await _hand_over_by_tls(aggregator.port) == NO_BIND
    assert aggregator.told("bind") == []
