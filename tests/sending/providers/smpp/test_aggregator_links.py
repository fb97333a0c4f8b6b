"""Beside npm's `smpp`: links that are cut, silent, refused, or of the wrong certificate. Nothing is sent twice, nothing hangs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sending.providers.authorities import trusted_authorities
from sending.providers.provider import AWAY, OpenAttempt, PutBack, Taken, Unknown
from sending.providers.smpp.provider import BIND_REFUSED
from tests.sending.providers.smpp.aggregator import running_aggregator
from tests.sending.providers.smpp.smpp_adapter import NUMBER, opened_provider, outgoing
from tests.sending.providers.test_twilio_tls import make_certificate

NO_BIND = PutBack(5.0, "no bind", pause=AWAY, pause_seconds=5.0)


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
