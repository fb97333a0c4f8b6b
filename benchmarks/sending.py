"""How fast, how evenly and in what order messages leave: `python -m benchmarks.sending [--only twilio,singles,million,pace]`.

Senders are nodes of their own, as in an installation; the provider is the local Twilio server, a program of its own, or the
simulator. Tables are filled by SQL. Times run from the commit of a batch to the commit of what was measured.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from typing import Any, Final

import uvloop

from benchmarks.sending_rig import Rig, open_rig, twilio_settings
from config.environment import Environment
from config.sending_sections import SendingSettings, TwilioSettings
from messages.news import AttemptKey
from sending.providers.choice import ProviderName, open_provider
from sending.providers.provider import Outgoing, Surroundings, Taken
from sending.providers.twilio_account import TwilioAccount
from tests.sending.twilio_control import (
    ACCOUNT_SID,
    KEY_SECRET,
    KEY_SID,
    SERVICE_SID,
    TwilioServer,
    twilio_server,
)

# No rate holds anything back: it is the highest that the settings take.
_UNBOUNDED: Final = "10000"
_AT_ONCE: Final = 100
_TEXT: Final = (
    "Harbour Office\n\n---\n\nDear Emily Yeo, we have your letter 100000.\n\n---\n\n"
    "This is an automated message sent by the Singapore Government."
)


# Twilio's call.


async def twilio(*, rounds: int = 3, messages: int = 15_000) -> None:
    """One sender process through Twilio's call, beside the same call by the same adapter without a database.

    Once with a server that answers at once, which shows what both can do, and once with one that takes 50 ms, as if far away.
    """
    with twilio_server() as server:
        settings = twilio_settings(server.base_url) | {"sending__public__rate": _UNBOUNDED}
        async with open_rig(1, 1, **settings) as rig:
            server.behave(callbacks=False, keep=False)
            await rig.until_sent([await rig.add_batch(rig.campaigns[0], 1000)], terminal=False, timeout=60)
            print(
                f"Twilio's call, {messages:,} messages, median of {rounds} rounds; server, sender, PostgreSQL on one machine"
            )
            for name, answer_after in (("server at once", 0.0), ("server after 50 ms", 0.05)):
                server.behave(answer_after=answer_after)
                bare, whole = [], []
                for _ in range(rounds):
                    bare.append(await _bare_call(server, messages))
                    batch = await rig.add_batch(rig.campaigns[0], messages)
                    whole.append((await rig.until_sent([batch], terminal=False, timeout=600)).rate())
                bare_rate, rate = statistics.median(bare), statistics.median(whole)
                _say(f"{name}: bare call", bare_rate, "messages/s")
                _say(f"{name}: to `sent`", rate, f"messages/s = {rate / bare_rate:.2f} x the bare call")
            _say("the sender's memory", rig.peak_memory, "MB at most")


async def _bare_call(server: TwilioServer, messages: int) -> float:
    """Messages a second of the adapter alone, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sending", "--bare", server.base_url, "--messages", str(messages)),
        stdout=subprocess.PIPE,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    return float(told)


async def _hand_all_over(base_url: str, messages: int) -> float:
    """Messages a second. As many are under way at once as the adapter lets a sender have."""

    async def none_known(_ids: object, _since: object) -> set[str]:
        return set()

    settings = SendingSettings(twilio=TwilioSettings(base_url=base_url))
    account = TwilioAccount(ACCOUNT_SID, KEY_SID, KEY_SECRET, SERVICE_SID, "Agency")
    provider = open_provider(
        ProviderName.TWILIO, Surroundings(settings, Environment.PRODUCTION, none_known), account
    )
    rows = iter(range(messages))

    async def hand_over() -> None:
        for row in rows:
            outgoing = Outgoing(
                AttemptKey(1, row + 2, 1), str(6580000000 + row), _TEXT, 1, "GSM-7", is_otp=False
            )
            assert isinstance(await provider.hand_over(outgoing), Taken)

    began = time.perf_counter()
    await asyncio.gather(*(hand_over() for _ in range(_AT_ONCE)))
    seconds = time.perf_counter() - began
    await provider.close()
    return messages / seconds


# Single sends beside a batch of a million.


async def singles(*, rows: int = 1_000_000, each_second: int = 1000, seconds: int = 20) -> None:
    """Single sends come in at a steady rate while a batch goes out: how long each waits, and what the batch has left."""
    async with open_rig(2, 1, sending__public__provider="simulator", sending__public__rate=_UNBOUNDED) as rig:
        batch = await rig.add_batch(rig.campaigns[0], rows)
        began = time.monotonic()
        for tenth in range(seconds * 10):
            await asyncio.sleep(max(0.0, began + tenth / 10 - time.monotonic()))
            await rig.add_singles(rig.campaigns[1], each_second // 10)
        added_in = time.monotonic() - began
        late = await _waits_of_singles(rig, each_second * seconds)
        of_batch = await rig.connection.fetchval(
            "select total_messages - retrying - enqueued from batches where batch_no = $1", batch
        )
        claimed = await rig.connection.fetchval(
            "select count(*) / extract(epoch from max(created_at) - min(created_at)) from attempts where batch_no = $1",
            batch,
        )
    assert of_batch
    print(
        f"{each_second * seconds:,} single sends within {added_in:.1f} s, beside a batch of {rows:,}, simulator, 1 process"
    )
    _say("sent", late["rate"], "singles/s, while they came")
    rest = f"s in the middle, {late['p99']:.2f} s of 99 %, {late['most']:.2f} s at most"
    _say("from commit to `sent`", late["median"], rest, 2)
    _say("of the batch beside them", float(claimed), "messages/s")


async def _waits_of_singles(rig: Rig, count: int) -> dict[str, float]:
    async with asyncio.timeout(120):
        while await rig.connection.fetchval(  # noqa: ASYNC110 - only the database knows
            "select count(*) < $1 from batches where kind = 'single' and sent + sent_to_telco + success = 1",
            count,
        ):
            await asyncio.sleep(0.1)
    rows = await rig.connection.fetch(
        "select extract(epoch from b.created_at)::float8 as given, extract(epoch from a.sent_at)::float8 as sent"
        " from batches b join attempts a using (batch_no) where b.kind = 'single'"
    )
    waits = sorted(row["sent"] - row["given"] for row in rows)
    sent = [row["sent"] for row in rows]
    return {
        "rate": len(rows) / (max(sent) - min(sent)),
        "median": statistics.median(waits),
        "p99": waits[int(len(waits) * 0.99)],
        "most": waits[-1],
    }


# A batch of a million.


async def million(*, rows: int = 1_000_000, timeout: float = 900) -> None:
    """A large batch through the simulator, each message to its last status: the rate of the last tenth against the first."""
    async with open_rig(1, 1, sending__public__provider="simulator", sending__public__rate=_UNBOUNDED) as rig:
        await rig.until_sent([await rig.add_batch(rig.campaigns[0], 2000)], terminal=True, timeout=60)
        batch = await rig.add_batch(rig.campaigns[0], rows)
        progress = await rig.until_sent([batch], terminal=True, timeout=timeout)
        memory = rig.peak_memory
    first, last = progress.rate(0, 0.1), progress.rate(0.9, 1)
    print(f"a batch of {rows:,} through the simulator, 1 process, each to its last status")
    _say("all of it", progress.rate(), "messages/s")
    _say("the first tenth", first, "messages/s")
    _say("the last tenth", last, f"messages/s = {last / first:.2f} x the first")
    _say("the sender's memory", memory, "MB at most")


# Pace and order over three nodes.


async def pace(*, rate: int = 200, seconds: int = 60, large: int = 1_000_000, small: int = 50) -> None:
    """Three nodes share a rate, with a large batch, many small ones and one-time passwords: counted at the provider."""
    with twilio_server() as server:
        server.behave(callbacks=False, sent_after=-1, ended_after=-1)
        settings = twilio_settings(server.base_url) | {
            "sending__public__rate": str(rate),
            # Nobody calls back, but by this address the provider knows the attempt of each message.
            "sending__twilio__callback_base_url": "http://127.0.0.1:9",
        }
        async with open_rig(small + 2, 3, **settings) as rig:
            otp_campaign, large_campaign, *small_campaigns = rig.campaigns
            await rig.connection.execute("update campaigns set otp = true where id = $1", otp_campaign)
            await rig.add_batch(large_campaign, large)
            began = time.monotonic()
            await asyncio.sleep(10)
            small_batches = [await rig.add_batch(campaign, 30) for campaign in small_campaigns]
            while time.monotonic() - began < seconds:
                await rig.add_singles(otp_campaign, 1)
                await asyncio.sleep(0.25)
            given = {
                row["batch_no"]: row["given"]
                for row in await rig.connection.fetch(
                    "select batch_no, extract(epoch from created_at)::float8 as given from batches"
                )
            }
            singles = {
                row["batch_no"]
                for row in await rig.connection.fetch("select batch_no from batches where kind = 'single'")
            }
            await rig.until_sent([*singles, *small_batches], terminal=False, timeout=60)
            messages = await asyncio.to_thread(server.messages)
    _print_pace(messages, rate)
    _print_waits(messages, given, set(small_batches), singles)


def _print_pace(messages: list[dict[str, Any]], rate: int) -> None:
    seconds = Counter(int(message["created"]) for message in messages)
    # The first and the last second aren't whole.
    whole = [seconds[second] for second in range(min(seconds) + 1, max(seconds))]
    print(f"3 nodes at {rate}/s for {len(whole)} s, counted at the provider by calendar seconds")
    for name, figure in (("busiest", max(whole)), ("mean", statistics.mean(whole)), ("quietest", min(whole))):
        _say(f"the {name} second", figure, f"messages = {figure / rate:.3f} x the rate", 1)


def _print_waits(
    messages: list[dict[str, Any]], given: dict[int, float], small: set[int], singles: set[int]
) -> None:
    """How long batches waited from their commit to their first message at the provider."""
    begun: defaultdict[int, float] = defaultdict(lambda: float("inf"))
    for message in messages:
        number = int(message["attempt"].split("-")[0])
        begun[number] = min(begun[number], message["created"])
    for name, numbers in (("small batches", small), ("one-time passwords", singles)):
        waits = sorted(begun[number] - given[number] for number in numbers)
        rest = f"begun, the slowest after {waits[-1]:.2f} s, the middle one after {statistics.median(waits):.2f} s"
        _say(name, len(waits), rest)


def _say(what: str, figure: float, rest: str, places: int = 0) -> None:
    print(f"  {what:<31}{figure:>10,.{places}f} {rest}", flush=True)


MEASURES: Final[dict[str, Callable[[], Coroutine[None, None, None]]]] = {
    "twilio": twilio,
    "singles": singles,
    "million": million,
    "pace": pace,
}


def main() -> None:
    """All measures, or those that are named; or the bare call, which is a part of one."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default=",".join(MEASURES), help="measures, separated by commas")
    options.add_argument("--bare", metavar="URL", help=argparse.SUPPRESS)
    options.add_argument("--messages", type=int, default=20_000, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.bare:
        print(uvloop.run(_hand_all_over(chosen.bare, chosen.messages)))
        return
    for name in chosen.only.split(","):
        asyncio.run(MEASURES[name]())


if __name__ == "__main__":
    main()
