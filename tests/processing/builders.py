"""CSV bytes, templates and rules for tests and benchmarks. Everything here is deterministic: same call, same bytes."""

import csv
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import phonenumbers

from rules.templates import Language, Template

ENGLISH_FOOTER = "This is an automated message sent by the Singapore Government."
FOOTERS: Mapping[Language, str] = {
    Language.ENGLISH: ENGLISH_FOOTER,
    Language.CHINESE: "这是新加坡政府发出的自动信息。",
    Language.MALAY: "Ini ialah mesej automatik yang dihantar oleh Kerajaan Singapura.",
    Language.TAMIL: "இது சிங்கப்பூர் அரசாங்கம் அனுப்பிய தானியங்கி செய்தி.",
}
# The guide's own example, in two languages: `malay` and `tamil` are known and not available.
GUIDE_TEMPLATE = Template(
    header="Open Government Products",
    bodies={
        Language.ENGLISH: "Dear {{recipient_name}}, we have received your {{topic}}.",
        Language.CHINESE: "您好 {{recipient_name}}, {{topic}} 已收到。",
    },
)
HEADER = "recipient,language,recipient_name,topic"
GOOD_ROW = "6591234567,english,Emily Yeo,passport application #12345F"

_NAMES = (
    "Emily Yeo",
    "James Tan",
    "Siti Nurhaliza",
    "Arun Kumar",
    "Tan Ah Kow",
    "Wei Ling",
    "D'Souza",
    "O. Lim",
)
_TOPICS = (
    "passport application",
    "renewal of your licence",
    "appointment at Clinic A",
    "reply to your letter",
)
_LONG = ("Dear customer,\nyour appointment is confirmed.\n\nPlease bring your documents.\nThank you",)
_CHINESE = ("护照申请", "预约确认", "更新您的执照")
_TAMIL = ("வணக்கம் நண்பரே", "உங்கள் விண்ணப்பம்")


def csv_bytes(*lines: str, end: str = "\n", bom: bool = False) -> bytes:
    """These lines as they are, each with a line end."""
    return (b"\xef\xbb\xbf" if bom else b"") + "".join(line + end for line in lines).encode()


def quoted_csv(rows: Iterable[Sequence[str]], *, end: str = "\r\n", every_field: bool = False) -> bytes:
    """Fields written by Python's csv module: quoted where needed, or all of them."""
    out = io.StringIO()
    csv.writer(
        out, lineterminator=end, quoting=csv.QUOTE_ALL if every_field else csv.QUOTE_MINIMAL
    ).writerows(rows)
    return out.getvalue().encode()


def guide_csv(*rows: str) -> bytes:
    """The guide's header and these rows."""
    return csv_bytes(HEADER, *rows)


@lru_cache(maxsize=1)
def foreign_numbers() -> tuple[str, ...]:
    """libphonenumber's example mobile numbers of all regions but Singapore, in order."""
    numbers = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS - {"SG"}):
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if example:
            numbers.append(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:])
    return tuple(numbers)


def generated_csv(
    rows: int,
    *,
    seed: int = 1,
    bad: float = 0.0,
    foreign: float = 0.0,
    every_field_quoted: bool = False,
    line_breaks: bool = False,
    languages: Sequence[str] = ("english",),
) -> bytes:
    """A whole file for `GUIDE_TEMPLATE`'s columns: about 60 bytes a row, `bad` and `foreign` being shares of the rows.

    A bad row has one fault, each kind in turn. `languages` beyond english fill in that language's own words.
    """
    chance = random.Random(seed)
    numbers = foreign_numbers() if foreign else ()
    cells = [HEADER.split(",")]
    for place in range(rows):
        language = languages[place % len(languages)]
        words = {"chinese": _CHINESE, "tamil": _TAMIL}.get(language, _LONG if line_breaks else _TOPICS)
        recipient = f"65{chance.choice('89')}{chance.randrange(10**7):07d}"
        if foreign and chance.random() < foreign:
            recipient = chance.choice(numbers)
        row = [
            recipient,
            language,
            chance.choice(_NAMES),
            f"{chance.choice(words)} #{chance.randrange(10**5):05d}F",
        ]
        if bad and chance.random() < bad:
            _spoil(row, place)
        cells.append(row)
    return quoted_csv(cells, end="\n", every_field=every_field_quoted)


def _spoil(row: list[str], place: int) -> None:
    column, text = (
        (0, "+" + row[0]),
        (0, row[0][2:]),
        (1, "englsh"),
        (2, ""),
        (2, row[2] + " "),
        (3, row[3].replace(" ", " [", 1)),
        (0, "6.59E+09"),
        (3, row[3] + "’"),
    )[place % 8]
    row[column] = text
