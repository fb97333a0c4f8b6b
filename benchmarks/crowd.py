"""How much a crowd of hostile connections slows an agency's login and upload of 5 MB, as a ratio within one run.

The crowd is 300 connections from other loopback addresses that send nothing or rubbish and reconnect when they are closed,
and 20 logins a second with wrong keys (`tests/sftpd/attackers.py`).
"""

import argparse
import asyncio
import statistics
import sys
from pathlib import Path

import psutil

from benchmarks.files import clean
from benchmarks.transfer import Target, put_together
from tests.chaos.testbed.testbed import open_testbed

ROUNDS = 9
_FIVE_MEGABYTES = 5_000_000


async def measure(rounds: int) -> None:
    """Print both medians, the slowest puts, the ratio, and by how much the memory of the front grew."""
    async with open_testbed(campaigns=1, proxied=False) as testbed:
        node = await testbed.add_node("sftpd")
        file = testbed.folder / "five.csv"
        await asyncio.to_thread(file.write_bytes, clean()[:_FIVE_MEGABYTES])
        customer = Target(
            "gateway", node.port, f"{testbed.campaigns[0]}@127.0.0.1", testbed.key.private_file, ""
        )
        await _put(customer, file, 2)
        memory = _memory_of_fronts(node.pid)
        alone = await _put(customer, file, rounds)
        attackers = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.sftpd.attackers", str(node.port), testbed.campaigns[0]),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert attackers.stdout
            await asyncio.wait_for(attackers.stdout.readline(), 60)
            crowded = await _put(customer, file, rounds)
            grown = _memory_of_fronts(node.pid) - memory
        finally:
            attackers.kill()
            await attackers.wait()
    ratio = statistics.median(crowded) / statistics.median(alone)
    print(f"login and put of 5 MB, median of {rounds}: every one of them got in")
    print(
        f"  undisturbed                       {statistics.median(alone):6.2f} s   slowest {max(alone):.2f} s"
    )
    print(
        f"  with the crowd                    {statistics.median(crowded):6.2f} s   slowest {max(crowded):.2f} s"
    )
    print(f"  ratio                             {ratio:6.2f} x undisturbed")
    print(f"  memory of the front               {grown / 1e6:+6.0f} MB against idle")


async def _put(customer: Target, file: Path, rounds: int) -> list[float]:
    return [await asyncio.to_thread(put_together, customer, [file]) for _ in range(rounds)]


def _memory_of_fronts(node: int) -> int:
    """The resident bytes of the node's front processes."""
    return sum(
        process.memory_info().rss
        for process in psutil.Process(node).children(recursive=True)
        if "gateway.processes.front" in process.cmdline()
    )


def main() -> None:
    """Measure."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    asyncio.run(measure(arguments.parse_args().rounds))


if __name__ == "__main__":
    main()
