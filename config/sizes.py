"""Sizes in bytes that several rooms know, and how people are told one."""

from typing import Final

MEBIBYTE: Final = 1024 * 1024
# 2-gateway.md §1: the first size that is refused. A deployment may set a smaller one.
MAX_UPLOAD_BYTES: Final = 30 * MEBIBYTE


def size_text(count: int) -> str:
    """A limit as people are told it: `30 MB`, or in bytes where it isn't whole megabytes (of 1,024 × 1,024 bytes)."""
    mebibytes, rest = divmod(count, MEBIBYTE)
    return f"{count} bytes" if rest else f"{mebibytes} MB"
