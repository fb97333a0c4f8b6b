"""What a good upload would send. Only counts, so that they can be kept where no number may be."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a whole file. `repeated_numbers` stand in several rows, `repeated_rows` are these; `fake_rows` have made-up ones."""

    messages: int = 0
    local_segments: int = 0
    foreign_segments: int = 0
    ucs2_segments: int = 0
    messages_of: dict[str, int] = field(default_factory=dict)
    segments_of: dict[str, int] = field(default_factory=dict)
    fake_rows: int = 0
    repeated_numbers: int = 0
    repeated_rows: int = 0

    @property
    def segments(self) -> int:
        """All segments."""
        return self.local_segments + self.foreign_segments

    def document(self) -> dict[str, object]:
        """It as JSON."""
        return asdict(self)
