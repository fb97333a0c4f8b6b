"""How fast messages go out through SMPP, receipts on: `python -m benchmarks.smpp [--only rate,pace,million]`.

The aggregator is a program of its own by npm's `smpp`, which nobody here wrote; it, one sender process and PostgreSQL share the
machine. Tables are filled by SQL. A message counts once its `success` is committed. `million` is taken only where it is named.
"""

import argparse
import asyncio
import statistics
from collections.abc import Callable, Coroutine
from typing import Final

from benchmarks.sending_rig import open_rig
from tests.chaos.sending.smsc import running_smsc

# No rate holds anything back: it is the highest that the settings take.
_UNBOUNDED: Final = "10000"
_WINDOW: Final = "100"
_BINDS: Final = "2"


async def rate(*, rounds: int = 3, messages: int = 20_000) -> None:
    """One sender process, each message to `success`; beside it the same batches through the simulator, which sends nothing."""
    with running_smsc(keep=False) as smsc:
        through_smpp = smsc.settings(
            sending__public__rate=_UNBOUNDED, sending__smpp__window=_WINDOW, sending__smpp__binds=_BINDS
        )
        simulated = {
            "sending__public__provider": "simulator",
            "sending__public__rate": _UNBOUNDED,
            "sending__simulator__seconds": "0.1",
        }
        rates: dict[str, list[float]] = {}
        memory: dict[str, float] = {}
        left = 0
        for name, settings in (("the simulator", simulated), ("SMPP", through_smpp)):
            async with open_rig(1, 1, **settings) as rig:
                await rig.until_sent([await rig.add_batch(rig.campaigns[0], 2000)], terminal=True, timeout=60)
                for _ in range(rounds):
                    batch = await rig.add_batch(rig.campaigns[0], messages)
                    progress = await rig.until_sent([batch], terminal=True, timeout=300)
                    rates.setdefault(name, []).append(progress.rate())
                memory[name] = rig.peak_memory
                left = await rig.connection.fetchval("select count(*) from part_receipts")
        record = smsc.call("record")
    print(
        f"{messages:,} messages to `success`, median of {rounds} rounds; {_BINDS} binds with a window of {_WINDOW};"
        " aggregator, sender, PostgreSQL on one machine"
    )
    bare = statistics.median(rates["the simulator"])
    whole = statistics.median(rates["SMPP"])
    _say("through the simulator", bare, "messages/s")
    _say("through SMPP, receipts on", whole, f"messages/s = {whole / bare:.2f} x the simulator")
    _say(
        "the sender's memory",
        memory["SMPP"],
        f"MB at most; through the simulator {memory['the simulator']:,.0f} MB",
    )
    again, expected = record["come_again"], 2000 + rounds * messages
    _say(
        "submissions", record["created"], f"of {expected:,}; {record['acknowledged']:,} receipts acknowledged"
    )
    _say("receipts told to come again", again, f"; {left} without a message in the end")


async def pace(*, each_second: int = 200, seconds: int = 20) -> None:
    """Two nodes share one rate, counted at the aggregator by calendar seconds."""
    with running_smsc(keep=False) as smsc:
        settings = smsc.settings(sending__public__rate=str(each_second))
        async with open_rig(1, 2, **settings) as rig:
            await rig.add_batch(rig.campaigns[0], 100_000)
            await asyncio.sleep(seconds)
            record = smsc.call("record")
    counts = {int(second): int(count) for second, count in record["by_second"]}
    # The first seconds fill up, and the last one isn't whole.
    whole = [counts.get(second, 0) for second in range(min(counts) + 2, max(counts))]
    print(
        f"2 nodes at {each_second}/s for {len(whole)} s, counted at the aggregator; {record['binds']} binds"
    )
    for name, figure in (("busiest", max(whole)), ("mean", statistics.mean(whole)), ("quietest", min(whole))):
        _say(f"the {name} second", figure, f"messages = {figure / each_second:.3f} x the rate", 1)


async def million(*, rows: int = 1_000_000, timeout: float = 1800) -> None:
    """A large batch, each message to `success`: the rate of the last tenth against the first."""
    with running_smsc(keep=False) as smsc:
        settings = smsc.settings(
            sending__public__rate=_UNBOUNDED, sending__smpp__window=_WINDOW, sending__smpp__binds=_BINDS
        )
        async with open_rig(1, 1, **settings) as rig:
            await rig.until_sent([await rig.add_batch(rig.campaigns[0], 2000)], terminal=True, timeout=60)
            batch = await rig.add_batch(rig.campaigns[0], rows)
            progress = await rig.until_sent([batch], terminal=True, timeout=timeout)
            memory = rig.peak_memory
    first, last = progress.rate(0, 0.1), progress.rate(0.9, 1)
    print(f"a batch of {rows:,} through SMPP, 1 process, each to `success`")
    _say("all of it", progress.rate(), "messages/s")
    _say("the first tenth", first, "messages/s")
    _say("the last tenth", last, f"messages/s = {last / first:.2f} x the first")
    _say("the sender's memory", memory, "MB at most")


def _say(what: str, figure: float, rest: str, places: int = 0) -> None:
    print(f"  {what:<31}{figure:>10,.{places}f} {rest}", flush=True)


MEASURES: Final[dict[str, Callable[[], Coroutine[None, None, None]]]] = {
    "rate": rate,
    "pace": pace,
    "million": million,
}
_BY_ITSELF: Final = ("rate", "pace")


def main() -> None:
    """Rate and pace, or the measures that are named."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default=",".join(_BY_ITSELF), help="measures, separated by commas")
    for name in options.parse_args().only.split(","):
        asyncio.run(MEASURES[name]())


if __name__ == "__main__":
    main()
