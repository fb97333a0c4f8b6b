"""How many bytes the spool holds, for each campaign and in all, as counted on disk: other processes write there too."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.sections import SFTPSettings
from sftpd.refusals import QuotaExceeded, SpoolFull

# For so many seconds after a count this process adds only what it writes itself. What other processes write meanwhile may
# go beyond the limit. The node is counted less often than a campaign, since that looks into the folder of every campaign.
CAMPAIGN_SCAN_SECONDS: Final = 0.5
NODE_SCAN_SECONDS: Final = 5.0
_MOST_CAMPAIGNS: Final = 1000


@dataclass(slots=True)
class _Count:
    size: int = 0
    counted_at: float = float("-inf")


def _sizes(folder: Path) -> Iterator[int]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".bytes"):
                with suppress(FileNotFoundError):
                    yield entry.stat(follow_symlinks=False).st_size


def _sizes_of_node(root: Path) -> Iterator[int]:
    """Of all campaigns. A folder that can't be read counts for nothing: nobody else's upload may fail for it."""
    try:
        folders = list(root.iterdir())
    except OSError:
        # Whoever writes there will be told.
        return
    for folder in folders:
        with suppress(OSError):
            yield from _sizes(folder)


class SpoolUsage:
    """The bytes on disk. It is asked before an upload grows. Its methods may be called in any thread."""

    def __init__(self, root: Path, settings: SFTPSettings) -> None:
        self._root = root
        self._campaign_limit = settings.max_spool_bytes_per_campaign
        self._node_limit = settings.max_spool_bytes
        self._lock = threading.Lock()
        self._campaigns: dict[str, _Count] = {}
        self._node = _Count()

    def is_stale(self, campaign_id: str) -> bool:
        """Whether the bytes should be counted again before the next `charge`."""
        now = time.monotonic()
        campaign = self._campaigns.get(campaign_id)
        return (
            campaign is None
            or now - campaign.counted_at > CAMPAIGN_SCAN_SECONDS
            or now - self._node.counted_at > NODE_SCAN_SECONDS
        )

    def count(self, campaign_id: str) -> None:
        """Count what is stale. It looks into folders, so it is for a thread and not for the event loop."""
        now = time.monotonic()
        with self._lock:
            if campaign_id not in self._campaigns:
                if len(self._campaigns) >= _MOST_CAMPAIGNS:
                    self._campaigns.clear()
                self._campaigns[campaign_id] = _Count()
            campaign = self._campaigns[campaign_id]
        if now - campaign.counted_at > CAMPAIGN_SCAN_SECONDS:
            self._count(campaign, _sizes(self._root / campaign_id))
        if now - self._node.counted_at > NODE_SCAN_SECONDS:
            self._count(self._node, _sizes_of_node(self._root))

    def _count(self, count: _Count, sizes: Iterable[int]) -> None:
        with self._lock:
            before = count.size
            # Others needn't count at the same time.
            count.counted_at = time.monotonic()
        found = sum(sizes)
        with self._lock:
            # What was charged meanwhile may not be on disk yet.
            count.size += found - before

    def charge(self, campaign_id: str, growth: int) -> None:
        """Count `growth` bytes about to be written. Raises QuotaExceeded or SpoolFull, and then counts nothing.

        Nothing is looked up on disk here: see `is_stale`.
        """
        with self._lock:
            campaign = self._campaigns.get(campaign_id) or _Count()
            if campaign.size + growth > self._campaign_limit:
                raise QuotaExceeded
            if self._node.size + growth > self._node_limit:
                raise SpoolFull
            campaign.size += growth
            self._node.size += growth

    def refund(self, campaign_id: str, size: int) -> None:
        """Count `size` bytes less."""
        with self._lock:
            self._node.size -= size
            if campaign := self._campaigns.get(campaign_id):
                campaign.size -= size

    def forget(self, campaign_id: str) -> None:
        """Count the campaign anew when asked next, because its folder was changed otherwise."""
        with self._lock:
            self._campaigns.pop(campaign_id, None)

    def free(self, campaign_id: str) -> int:
        """Bytes that the campaign may still spool, as far as they are counted."""
        campaign = self._campaigns.get(campaign_id) or _Count()
        return max(0, self._campaign_limit - campaign.size)
