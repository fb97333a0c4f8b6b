"""`segments`: exactly the given text is counted, wherever it comes from."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Dear Ms Tan",
            {"encoding": "GSM-7", "units": 11, "segments": 1, "characters": 11, "unsupported": []},
        ),
        ("€" * 81, None),
        ("", {"encoding": "GSM-7", "units": 0, "segments": 1, "characters": 0, "unsupported": []}),
        ("陈😀", {"encoding": "UCS-2", "units": 3, "segments": 1, "characters": 2}),
    ],
)
def test_a_text_is_counted_exactly(call: "Call", text: str, expected: dict[str, object] | None) -> None:
    answer = call("segments", text)
    assert answer.status == 0
    assert len(answer.out.splitlines()) == 1
    assert list(answer.document) == ["encoding", "units", "segments", "characters", "unsupported"]
    if expected is None:
        assert (answer.document["units"], answer.document["segments"]) == (162, 2)
    else:
        assert {name: answer.document[name] for name in expected} == expected


def test_unsupported_characters_are_named(call: "Call") -> None:
    answer = call("segments", "a[b^")
    assert answer.document["unsupported"] == [
        {"character": "[", "codePoint": "U+005B", "replacement": "("},
        {"character": "^", "codePoint": "U+005E", "replacement": None},
    ]


def test_standard_input_is_counted_with_all_its_line_ends(call: "Call") -> None:
    for words in (["segments", "-"], ["segments"]):
        assert call(*words, stdin=b"ab\r\n").document["units"] == 4
    assert call("segments", "-", stdin=b"\xff").status == 2


def test_json_lines_in_are_objects_out(call: "Call") -> None:
    texts = ["Dear", "陈\n", "\ud83d", "x" * 161, ""]
    stdin = "".join(json.dumps(text) + "\n" for text in texts).encode()
    answer = call("segments", "-", "--jsonl", stdin=stdin)
    assert answer.status == 0
    assert [json.loads(line)["units"] for line in answer.out.splitlines()] == [4, 2, 1, 161, 0]
    assert [json.loads(line)["segments"] for line in answer.out.splitlines()] == [1, 1, 1, 2, 1]


def test_a_line_that_is_no_json_string_is_named(call: "Call") -> None:
    answer = call("segments", "--jsonl", stdin=b'"a"\n{}\n"b"\n')
    assert answer.status == 2
    assert answer.out.count("\n") == 1
    assert "line 2 is not a JSON string" in answer.err
    assert call("segments", "--jsonl", "text").status == 2
