"""What a worker and the child that judges for it say to each other: a line of JSON for each request, and one for its answer."""

from dataclasses import dataclass, replace
from typing import Final

from pydantic import TypeAdapter

from processing.verdicts.terms import Rules, Verdict


@dataclass(frozen=True, slots=True)
class Request:
    """An upload to judge; its bytes stand in the file of originals, from its beginning.

    `most_findings`: how many findings, of the first ones, the verdict is to name. `with_counts`: whether the messages of a valid
    upload are to be counted.
    """

    rules: Rules
    most_findings: int = 0
    with_counts: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, or why there is none.

    `excess` names the limit that was met. `crash` is the kind and place of a bug of ours, without any text of the upload.
    """

    verdict: Verdict | None = None
    excess: str | None = None
    crash: str | None = None


REQUEST: Final = TypeAdapter(Request)
ANSWER: Final = TypeAdapter(Answer)
READY: Final = b"ready\n"


def request_line(rules: Rules, most_findings: int = 0, *, with_counts: bool = False) -> bytes:
    """A request as the child reads it: a line of JSON."""
    # A view of a dictionary can't be written down.
    template = replace(rules.template, bodies=dict(rules.template.bodies))
    plain = replace(rules, footers=dict(rules.footers), template=template)
    return REQUEST.dump_json(Request(plain, most_findings, with_counts)) + b"\n"
