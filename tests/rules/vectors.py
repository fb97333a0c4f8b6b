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
