"""How many bytes the spool holds, for each campaign and in all, as counted on disk: other processes write there too."""

import os
import time
from collections.abc import Iterator
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


@dataclass(slots=True)
class _Count:
    size: int
    counted_at: float


def _sizes(folder: Path) -> Iterator[int]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".bytes"):
                with suppress(FileNotFoundError):
                    yield entry.stat(follow_symlinks=False).st_size


class SpoolUsage:
    """The bytes on disk. It is asked before an upload grows."""

    def __init__(self, root: Path, settings: SFTPSettings) -> None:
        self._root = root
        self._campaign_limit = settings.max_spool_bytes_per_campaign
        self._node_limit = settings.max_spool_bytes
        self._campaigns: dict[str, _Count] = {}
        self._node = _Count(0, float("-inf"))

    def charge(self, campaign_id: str, growth: int) -> None:
        """Count `growth` bytes about to be written. Raises QuotaExceeded or SpoolFull, and then counts nothing."""
        campaign = self._campaign(campaign_id)
        if campaign.size + growth > self._campaign_limit:
            raise QuotaExceeded
        now = time.monotonic()
        if now - self._node.counted_at > NODE_SCAN_SECONDS:
            self._node = _Count(self._count_node(), now)
        if self._node.size + growth > self._node_limit:
            raise SpoolFull
        campaign.size += growth
        self._node.size += growth

    def refund(self, campaign_id: str, size: int) -> None:
        """Count `size` bytes less."""
        self._node.size -= size
        if campaign := self._campaigns.get(campaign_id):
            campaign.size -= size

    def forget(self, campaign_id: str) -> None:
        """Count the campaign anew when asked next, because its folder was changed otherwise."""
        self._campaigns.pop(campaign_id, None)

    def free(self, campaign_id: str) -> int:
        """Bytes that the campaign may still spool."""
        return max(0, self._campaign_limit - self._campaign(campaign_id).size)

    def _campaign(self, campaign_id: str) -> _Count:
        now = time.monotonic()
        count = self._campaigns.get(campaign_id)
        if count is None or now - count.counted_at > CAMPAIGN_SCAN_SECONDS:
            if len(self._campaigns) > 1000:
                self._campaigns.clear()
            count = _Count(sum(_sizes(self._root / campaign_id)), now)
            self._campaigns[campaign_id] = count
        return count

    def _count_node(self) -> int:
        with suppress(FileNotFoundError):
            return sum(sum(_sizes(folder)) for folder in self._root.iterdir() if folder.is_dir())
        return 0
