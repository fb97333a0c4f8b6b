"""Stylesheet, scripts and icon: package data, served under a name that has the content's hash, and so for ever.

A script imports another one by the plain name, which an import map can't translate under our policy: so names in `from "./x.js"`
are rewritten here to the hashed ones.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

from starlette.responses import Response

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_IMPORT: Final = re.compile(rb'from "\./([\w-]+\.js)"')
_FOREVER: Final = "public, max-age=31536000, immutable"
PREFIX: Final = "/static/"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    zipped: bytes
    media_type: str


class StaticFiles:
    """All files of `console/static/`, in memory."""

    def __init__(self) -> None:
        self._contents: Final = {
            entry.name: entry.read_bytes()
            for entry in (resources.files("console") / "static").iterdir()
            if entry.name.rpartition(".")[2] in _TYPES
        }
        self._hashed_names: Final[dict[str, str]] = {}
        self._files: Final[dict[str, _File]] = {}
        for name in self._contents:
            self._add(name)

    def path_of(self, name: str) -> str:
        """The path of the file of this name. Raises KeyError."""
        return PREFIX + self._hashed_names[name]

    def answer(self, hashed_name: str, *, accepts_gzip: bool) -> Response | None:
        """The file, or None where there is none of this name."""
        found = self._files.get(hashed_name)
        if found is None:
            return None
        headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
        if accepts_gzip:
            headers["Content-Encoding"] = "gzip"
        return Response(
            found.zipped if accepts_gzip else found.content, headers=headers, media_type=found.media_type
        )

    def _add(self, name: str) -> str:
        """Its hashed name; those that it imports come first. Circles of imports are not allowed."""
        if name in self._hashed_names:
            return self._hashed_names[name]
        content = _IMPORT.sub(
            lambda match: b'from "./%b"' % self._add(match[1].decode()).encode(), self._contents[name]
        )
        stem, _, kind = name.rpartition(".")
        hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
        self._hashed_names[name] = hashed
        self._files[hashed] = _File(content, gzip.compress(content, 9, mtime=0), _TYPES[kind])
        return hashed
