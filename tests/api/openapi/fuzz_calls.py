"""Calls made up from the OpenAPI document, good and bad ones: no answer is 5xx, and none is another than the document has.

`python -m tests.api.openapi.fuzz_calls --seconds 120 [--seed N]` runs a whole gateway for it. The seed is printed: the same one
makes the same calls.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import hypothesis
import requests
import schemathesis
from hypothesis import strategies
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from messages.identifiers import message_id
from tests.api.openapi.answer_schemas import check, document
from tests.chaos.testbed.node import new_port
from tests.chaos.testbed.testbed import open_testbed

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


TRIES: Final = 4


@dataclass
class Target:
    """A serving API, with a campaign's key; its ids of a message and a batch are tried beside made-up ones.

    `single` and `file` are a body that is accepted by each way to send. `seen` counts the answers by operation and status.
    """

    base_url: str
    key: str
    ids: Mapping[str, str]
    single: object
    file: str
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)

    def send_first(self) -> None:
        """Send a file, whose batch and first message the calls name then."""
        url = f"{self.base_url}/campaigns/{self.ids['campaignId']}/batch/messages"
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.post(
            url, files={"file": ("a.csv", self.file, "text/csv")}, headers=headers, timeout=60
        )
        assert answer.status_code == 201, answer.text
        batch_id = answer.json()["batchId"]
        self.ids = {**self.ids, "batchId": batch_id, "messageId": message_id(batch_id, 2)}

    def fuzz(self, seed: int, calls: int) -> None:
        """Make so many calls of each kind to every operation. Raises AssertionError, or a failure of schemathesis's."""
        load_all_checks()
        with requests.Session() as session:
            for result in schemathesis.openapi.from_dict(document()).get_all_operations():
                assert isinstance(result, Ok)
                operation = result.ok()
                for cases in self._kinds(operation, seed):
                    self._call(operation, cases, session, seed, calls)

    def _kinds(self, operation: Any, seed: int) -> Iterator[Any]:
        """Cases of this campaign, its message and its batch that the document allows, with made-up bodies and with one that is
        accepted; and cases that it does not allow, or that name what is not there."""
        ids = {parameter.name: self.ids[parameter.name] for parameter in operation.path_parameters}
        yield operation.as_strategy(path_parameters=ids)
        bodies = {"send_message": self.single, "send_batch": {"file": self.file}}
        if body := bodies.get(_name(operation)):
            # Each but the first is the same call again.
            key = {"Idempotency-Key": f"{_name(operation)} {seed}"}
            yield operation.as_strategy(path_parameters=ids, body=body, headers=key)
        campaign = {name: value for name, value in ids.items() if name == "campaignId"}
        yield strategies.one_of(
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE, path_parameters=ids),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
            operation.as_strategy(path_parameters=campaign),
        )

    def _call(self, operation: Any, cases: Any, session: requests.Session, seed: int, calls: int) -> None:
        name = _name(operation)
        headers = {} if name.startswith("show_") else {"Authorization": f"Bearer {self.key}"}

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=calls,
            database=None,
            deadline=None,
            derandomize=False,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(cases)
        def call(case: Case[Any]) -> None:
            more = _named_csv(case) if name == "send_batch" else {}
            tries = 0
            while True:
                answer = case.call(
                    base_url=self.base_url, session=session, headers=headers, timeout=150, **more
                )
                self.seen[name, answer.status_code] += 1
                tries += 1
                if answer.status_code != 503 or tries == TRIES:
                    break
                # A machine that is too busy may say so, once or twice.
                time.sleep(float(answer.headers["retry-after"][0]))
            case.validate_response(answer, checks=CHECKS)
            _check_keys(operation, answer.status_code, answer.content)

        call()


def _name(operation: Any) -> str:
    return str(operation.definition.raw["operationId"])


def _named_csv(case: Case[Any]) -> dict[str, Any]:
    """The case's file under a name that the API takes: schemathesis calls it `file`, or as its content asks."""
    files = case.as_transport_kwargs().get("files")
    if not files or not files[0][1][0]:
        return {}
    (field_name, (_, content, kind)), *others = files
    return {"files": [(field_name, ("file.csv", content, kind)), *others]}


def _check_keys(operation: Any, status: int, content: bytes) -> None:
    """No key that the document doesn't have, and all in its order."""
    responses = document()["paths"][operation.path][operation.method.lower()]["responses"]
    answer = responses[str(status)]
    if "$ref" in answer:
        answer = document()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    if "content" in answer and _name(operation) != "show_openapi":
        check(answer["content"]["application/json"]["schema"], json.loads(content))


async def fuzz_for(seconds: float, seed: int) -> Counter[tuple[str, int]]:
    """Run a gateway, and make calls for about so long. Returns how often each operation had which answer."""
    async with open_testbed(proxied=False) as testbed:
        port = new_port()
        node = await testbed.add_node(api__processes="1", api__port=str(port), sending__processes="1")
        campaign_id = testbed.campaigns[0]
        await node.command_line("campaign", "addresses", campaign_id, "--add", "127.0.0.1")
        await node.command_line("campaign", "rate", campaign_id, "1000")
        made = json.loads(await node.command_line("apikey", "add", campaign_id, "--json"))
        values = {"name": "Emily", "topic": "passport"}
        target = Target(
            base_url=f"http://127.0.0.1:{port}/api/v2",
            key=made["key"],
            ids={"campaignId": campaign_id},
            single={"recipient": "6591234567", "language": "english", "values": values},
            file="recipient,language,name,topic\n6591234567,english,Emily,passport\n6591234568,english,James,passport\n",
        )
        await asyncio.to_thread(target.send_first)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.to_thread(target.fuzz, seed, 20)
            print(f"seed {seed}: {target.seen.total():,} calls", file=sys.stderr, flush=True)
            seed += 1
        if (log := node.log.read_text()).count("crashed"):
            message = "\n".join(line for line in log.splitlines() if "crashed" in line)
            raise AssertionError(message)
        return target.seen


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr, flush=True)
    seen = asyncio.run(fuzz_for(given.seconds, given.seed))
    for (name, status), count in sorted(seen.items()):
        print(f"{name:20} {status}  {count:,}")
    print(f"{seen.total():,} calls, no answer but the document's, none of them 5xx")


if __name__ == "__main__":
    main()
