"""The provider beside smpp34's server, which nobody here wrote either: long texts, refusals, receipts, unbind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import smpp34

from gateway.embedded.server_process import free_port
from messages.statuses import MessageStatus
from sending.providers.provider import PutBack, Refused, Taken
from tests.sending.providers.smpp.smpp_adapter import NUMBER, opened_provider, outgoing
from tests.sending.sending_node import until

RECEIPT = "id:{} sub:001 dlvrd:001 submit date:2611280438 done date:2611280439 stat:DELIVRD err:000 text:"


@dataclass
class Served:
    """What the server saw. `answer` says what becomes of a submission: it gives an id, or a status that refuses it."""

    port: int
    answer: Callable[[int], str | int]
    submitted: list[smpp34.SubmitSmEvent] = field(default_factory=list)
    sessions: list[smpp34.Esme] = field(default_factory=list)
    unbound: int = 0

    async def serve(self, server: smpp34.Server) -> None:
        while True:
            event = await server.next()
            if isinstance(event, smpp34.Esme):
                self.sessions.append(event)
            elif isinstance(event, smpp34.SubmitSmEvent):
                self.submitted.append(event)
                answer = self.answer(len(self.submitted))
                if isinstance(answer, str):
                    event.accept(answer)
                else:
                    event.reject(answer)
            else:
                self.unbound += 1


@contextlib.asynccontextmanager
async def served(answer: Callable[[int], str | int]) -> AsyncIterator[Served]:
    port = free_port()
    server = smpp34.Server("127.0.0.1", port)
    await server.start()
    seen = Served(port, answer)
    serving = asyncio.create_task(seen.serve(server))
    try:
        yield seen
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        await server.stop()


async def test_long_texts_arrive_whole_and_receipts_come_back() -> None:
    texts = ["Dear Tan, [50% & more] €5 {now} ~ " * 20, "您好 🎉 한국 👩‍👩‍👧‍👦 " * 20]
    async with served(lambda number: f"0000{number}A") as server:
        async with opened_provider(server.port) as opened:
            first_id = ""
            for row_number, text in enumerate(texts):
                message = outgoing(text, row_number)
                before = len(server.submitted)
                taken = await opened.provider.hand_over(message)
                assert isinstance(taken, Taken)
                first_id = taken.provider_id
                parts = server.submitted[before:]
                assert len(parts) == message.segments
                assert {(each.source_addr_ton, each.source_addr_npi, each.source_addr) for each in parts} == {
                    (5, 0, "gov.sg")
                }
                assert {each.destination_addr for each in parts} == {NUMBER}
                assert [each.short_message[4:6] for each in parts] == [
                    bytes((len(parts), number)) for number in range(1, len(parts) + 1)
                ]
                if parts[0].data_coding == 8:
                    together = b"".join(each.short_message[6:] for each in parts)
                    assert together.decode("utf-16-be") == text
            (session,) = server.sessions
            # The server waits for its answer, which is given only once the receipt is recorded.
            delivering = asyncio.ensure_future(
                session.deliver_sm(
                    "gov.sg", RECEIPT.format(first_id).encode(), source_addr=NUMBER, esm_class=4
                )
            )
            (news,) = await opened.until_news(1)
            assert not delivering.done()
            news.recorded()
            async with asyncio.timeout(30):
                assert (await delivering).is_success
            assert (news.provider_id, news.status) == (first_id, MessageStatus.SUCCESS)
        await until(lambda: server.unbound == 1, "its unbind")


async def test_what_it_refuses_is_put_back_or_refused() -> None:
    statuses = [0x58, 0x14, 0x0B]
    async with (
        served(lambda number: statuses[number - 1]) as server,
        opened_provider(server.port) as opened,
    ):
        throttled, full, refused = [
            await opened.provider.hand_over(outgoing(row_number=number)) for number in range(3)
        ]
    assert isinstance(throttled, PutBack)
    assert isinstance(full, PutBack)
    assert (throttled.raw_code, full.raw_code) == ("0x58", "0x14")
    assert isinstance(refused, Refused)


async def test_it_may_unbind_and_is_bound_to_again() -> None:
    async with served(str) as server, opened_provider(server.port) as opened:
        assert isinstance(await opened.provider.hand_over(outgoing()), Taken)
        await until(lambda: len(server.sessions) == 1, "a bind")
        async with asyncio.timeout(30):
            await server.sessions[0].unbind()
        await until(lambda: len(server.sessions) == 2, "another bind")
        await opened.until_bound()
        assert isinstance(await opened.provider.hand_over(outgoing(row_number=3)), Taken)
