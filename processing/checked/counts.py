"""What a good upload would send. Only counts, so that they can be kept where no number may be."""

from dataclasses import asdict, dataclass, field
from typing import Final

# What is told instead of a character: letters of names stay unknown, and several in one message have no one among them to blame.
LETTERS: Final = "letters"
SEVERAL: Final = "several"
OTHERS: Final = "others"


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a whole file. `repeated_numbers` stand in several rows, `repeated_rows` are these; `fake_rows` have made-up ones.

    `dearer`: how many messages a character makes dearer, their further segments, and how many need just a second one.
    """

    messages: int = 0
    local_segments: int = 0
    foreign_segments: int = 0
    ucs2_segments: int = 0
    messages_of: dict[str, int] = field(default_factory=dict)
    segments_of: dict[str, int] = field(default_factory=dict)
    fake_rows: int = 0
    repeated_numbers: int = 0
    repeated_rows: int = 0
    dearer: dict[str, list[int]] = field(default_factory=dict)

    @property
    def segments(self) -> int:
        """All segments."""
        return self.local_segments + self.foreign_segments

    def document(self) -> dict[str, object]:
        """It as JSON."""
        return asdict(self)
