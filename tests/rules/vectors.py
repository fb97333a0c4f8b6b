"""The specification's tables and vectors, `data/*.json`, for tests of the rules and of the verdict alike."""

import json
from pathlib import Path
from typing import Any, Final


def _read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((Path(__file__).parent / "data" / name).read_text("utf-8"))
    return loaded


GSM7: Final = _read("gsm7.json")
UNSUPPORTED: Final = _read("unsupported.json")
PHONES: Final[list[dict[str, Any]]] = _read("phones.json")["vectors"]
SEGMENTS: Final[list[dict[str, Any]]] = _read("segments.json")["vectors"]

# 4-sms-content.md §3 adds these to the third tier of the JSON, in words.
ADDED_TO_TIER_3: Final = {"U+02BB": "'", "U+02BC": "'", "U+3000": " "}
UNSUPPORTED["flat"]["tier3"] += ADDED_TO_TIER_3
UNSUPPORTED["flat"]["blocked_ranges_all"] += ADDED_TO_TIER_3
UNSUPPORTED["tier3_typography"] += [
    {"codepoint": point, "replacement": instead} for point, instead in ADDED_TO_TIER_3.items()
]

# §4 gives these vectors of the JSON, which are older, a code of their own.
for _vector in PHONES:
    if _vector["recipient"] in ("\ufeff6591234567", "\u202a6591234567\u202c"):
        _vector["reason_code"] = "recipient_invisible_character"
