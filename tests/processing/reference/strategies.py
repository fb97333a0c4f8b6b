"""Hypothesis strategies: uploads of every kind that people send, as bytes, with the rules they are held against."""

from dataclasses import dataclass

from hypothesis import strategies as st

from config.environment import Environment
from processing.verdicts.terms import Rules
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template
from rules.values import ValueRule
from tests.processing.builders import FOOTERS, GUIDE_TEMPLATE, foreign_numbers

FOUR_LANGUAGES = Template(
    header="Ministry of Magic",
    bodies={
        Language.ENGLISH: "Hi {{name}}, {{ name }}! It's {{when}}",
        Language.CHINESE: "{{name}}您好，{{when}}",
        Language.MALAY: "{{when}}: {{name}}\r\n",
        Language.TAMIL: "வணக்கம் {{name}}, {{when}}",
    },
)
NO_PARAMETER = Template(header="H [1]", bodies={Language.ENGLISH: "The same {to} all"})
LONG_BODY = Template(
    header="Héader", bodies={Language.ENGLISH: "x" * 985 + "{{text}}", Language.TAMIL: "{{text}}"}
)
TEMPLATES = (GUIDE_TEMPLATE, FOUR_LANGUAGES, NO_PARAMETER, LONG_BODY)

# One or two of each kind that a rule tells apart.
LETTERS = (
    "aAbz0 9.,;'-\"\n\r\t[]~€^|\\`“”’–…çÇéñ陈த்கிΩ©\u0301\u200d\u200b\ufe0f\u00a0\u3000\u2028\u0085"
    "ÃÂâ™°&;#<>/\u2800\u3164ʼ\x00\x1a\x1c\x7f😀👩🏽🇸🇬각\ufeff\ufffd\x0b\x0c"
)
VALUES = (
    "Emily Yeo",
    "passport application #12345F",
    "Yeo, Emily",
    'Emily "Em" Yeo',
    "a\nb",
    "a\r\nb",
    "陈大文",
    "வணக்கம்",
    '5" pipe',
    "=1+1",
    "ç",
    "x" * 160,
    "x" * 1001,
    "陈" * 66 + "😀😀",
    "€" * 153,
    "👨\u200d👩\u200d👧\u200d👦" * 13,
)
BAD_VALUES = (
    "",
    " ",
    " a",
    "a ",
    "a\u00a0",
    "[",
    "a’b",
    "a\tb",
    "\x00",
    "a\x7fb",
    "\u2028",
    "\ufeff",
    "😀",
    "\x1ca",
    "\t",
    *("\u200b", "\u2800\ufe0f", " \u3164", "\U000e0020"),
    *(
        "JosÃ©",
        "é™ˆ",
        "Iâ€™m",
        "é\x99\x88 ",
        "10 Â°C",
        "Ã\xa0",
        "Ã¢â‚¬Å“",
        "CAFÉ™",
        "ZOÉ…",
        "Â",
        "São",
        "AQUÍ…",
    ),
    *("#N/A", "#NAME?", "Err:502", "####", "##", "#1", "#N/A ", "Err:50"),
    *("&amp;", "&#39;", "&#x27;", "&nosuch;", "AT&T", "<br>", "</B>", "a < b", "a_x000D_\nb", "&hellip;"),
)
RECIPIENTS = (
    "6591234567",
    "6581234567",
    "6599999999",
    "14155552671",
    "442079460018",
    "6511112222",
    "60123456789",
)
BAD_RECIPIENTS = (
    *(
        "",
        " ",
        "+6591234567",
        "91234567",
        "6.59E+09",
        "6591234567.0",
        " 6591234567",
        "65 9123 4567",
        "６５91234567",
    ),
    *(
        "²",
        "abc",
        "0",
        "0065",
        "6561234567",
        "65091234567",
        "65",
        "650",
        "1",
        "12",
        "999123456789",
        "4407911123456",
    ),
    *(
        "6,59E+09",
        "6591234567,00",
        "6591234567,6591234568",
        '="6591234567"',
        '="6,59E+09"',
        '="="1 ""',
        '=""',
        "\u202a+6591234567\u202c",
        "6591234567\u200b",
        "#N/A",
        "'6591234567",
    ),
    *(
        "6591234567123456",
        "65912345670",
        "18005550199",
        "6511111111",
        "2",
        "65_91234567",
        "\ufeff6591234567",
        "3900",
    ),
)
LANGUAGES = ("english", "English", "ENGLISH", "chinese", "Malay", "tamil")
BAD_LANGUAGES = (
    "",
    " ",
    "english ",
    "englsh",
    "EN",
    "ｅnglish",
    "engl\u0131sh",
    "ENGL\u0130SH",
    "\tenglish",
    "eng\u200blish",
)
LINE_ENDS = ("\n", "\r\n", "\r", "\r\r\n")
# Rows that are wrong in their very shape; `surrogateescape` makes bytes of the last ones.
ODD_ROWS = (
    *(
        '"',
        '"a"b',
        '"a" ,b',
        '\\"a\\"',
        '"",""',
        '""',
        '" "',
        '","',
        '"a\nb',
        ",",
        ",,,",
        ",,,,,,,,,",
        " ",
        "   ",
        "\t",
    ),
    *(
        "",
        "# note",
        "a,b",
        " ,,,",
        "  , ,",
        "x,,,",
        "\x1a",
        "\x00",
        "\ufeff",
        '"a""',
        '"a"""',
        '"a"b"c,d"',
        "\x1c",
        "\u3000",
    ),
    *(
        "\udcff",
        "a,\udce9,c,d",
        '"\udce9\udc99",b',
        "6591234567,english,Ren\udce9,x",
        "\udced\udca0\udc80",
        '"\udcff"x',
    ),
)
# Of an earlier report, whole and spoilt by whoever mended it.
OLD_REASONS = ("", "", "recipient: remove the +", "use \udc93 instead", "Ren\ufffd is not a number")
values = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(BAD_VALUES),
    st.text(st.sampled_from(LETTERS), min_size=1, max_size=12),
)
numbers = st.one_of(
    st.sampled_from(RECIPIENTS),
    st.sampled_from(foreign_numbers()),
    st.sampled_from(BAD_RECIPIENTS),
    st.text(st.sampled_from('0123456789012345678965+-.,eE=" ()٣\u00a0\u200b'), max_size=17),
    st.integers(1, 10**15).map(str),
)
quotings = st.sampled_from(("needed", "needed", "needed", "always", "always", "never"))


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes as an agency may send them, and what they are to be held against."""

    data: bytes
    rules: Rules


def quote(text: str, quoting: str) -> str:
    """A field as a program with this habit writes it; `never` makes other fields, or rows, of some texts."""
    needed = any(character in text for character in ',"\r\n')
    if quoting == "never" or (quoting == "needed" and not needed):
        return text
    return '"' + text.replace('"', '""') + '"'


@st.composite
def rules_of_a_campaign(draw: st.DrawFn) -> Rules:
    return Rules(
        template=draw(st.sampled_from(TEMPLATES)),
        environment=draw(st.sampled_from(Environment)),
        footers=FOOTERS,
        values=draw(
            st.one_of(
                st.just(ValueRule()),
                st.builds(
                    ValueRule,
                    st.builds(UnsupportedRule, tier3=st.booleans(), emoji=st.booleans()),
                    spreadsheet_errors=st.booleans(),
                    markup=st.booleans(),
                ),
            )
        ),
    )


@st.composite
def headers(draw: st.DrawFn, template: Template, *, faulty: bool) -> list[str]:
    """The columns in some order, with those that are ignored; a faulty one is mostly still right."""
    names = draw(st.permutations(["recipient", "language", *template.parameters]))
    if faulty and draw(st.integers(0, 7)) == 0:
        change = draw(st.sampled_from(("missing", "unknown", "twice", "empty", "case")))
        place = draw(st.integers(0, len(names) - 1))
        names = {
            "missing": names[:place] + names[place + 1 :],
            "unknown": [
                *names[:place],
                draw(st.sampled_from(("age", "name ", "Recipient", "x" * 300))),
                *names[place:],
            ],
            "twice": [*names, names[place]],
            "empty": [*names[:place], "", *names[place:]],
            "case": [*names[:place], names[place].upper(), *names[place + 1 :]],
        }[change]
    if draw(st.integers(0, 2)) == 0:
        names.insert(draw(st.integers(0, len(names))), "Error Reason")
    names += [""] * draw(st.sampled_from((0, 0, 0, 1, 3)))
    if draw(st.integers(0, 5)) == 0:
        names.append(draw(st.sampled_from(("Error Reason", "Error Reason: no rows", " Error Reason "))))
    return names


@st.composite
def uploads(draw: st.DrawFn, *, most_rows: int = 8) -> Upload:
    """Anything from a valid upload to one with findings of every kind."""
    rules = draw(rules_of_a_campaign())
    names = draw(headers(rules.template, faulty=True))
    spoken = st.sampled_from([name for name in LANGUAGES if name.lower() in rules.template.bodies])
    languages = st.one_of(spoken, spoken, st.sampled_from(LANGUAGES + BAD_LANGUAGES))
    good = st.fixed_dictionaries({"recipient": st.sampled_from(RECIPIENTS), "language": spoken})
    any_cells = st.fixed_dictionaries({"recipient": numbers, "language": languages})
    lines = (
        draw(st.lists(st.sampled_from(("", " ", ",,", '""', "\t")), max_size=2))
        if draw(st.integers(0, 5)) == 0
        else []
    )
    title = draw(
        st.sampled_from(("", "", "", "", "", "Title", "Title;1", "a,b", '"T"x', "recipient", "sep=,"))
    )
    lines += [title] * bool(title)
    lines.append(draw(_header_rows(names)))
    for _ in range(draw(st.integers(0, most_rows))):
        kind = draw(st.sampled_from(("good", "good", "good", "any", "any", "any", "any", "count", "odd")))
        if kind == "odd":
            lines.append(draw(st.sampled_from(ODD_ROWS)))
            continue
        cells = draw(any_cells if kind == "any" else good)
        quoting = draw(quotings)
        row = [_cell(draw, cells, name, plain=kind != "any") for name in names]
        if kind == "count":
            row = row[: draw(st.integers(0, len(row)))] + draw(
                st.lists(st.sampled_from(("", "", "x", " ")), max_size=3)
            )
        lines.append(",".join(quote(text, quoting) for text in row))
    return Upload(_written(draw, lines), rules)


@st.composite
def valid_uploads(draw: st.DrawFn) -> Upload:
    """Uploads without a finding, written in every way that is allowed."""
    template = draw(st.sampled_from(TEMPLATES[:3]))
    rules = Rules(template=template, environment=Environment.TEST, footers=FOOTERS)
    names = draw(headers(template, faulty=False))
    plain = [text for text in VALUES if len(text) < 500]
    lines = [",".join(names)]
    for _ in range(draw(st.integers(1, 6))):
        language = draw(st.sampled_from(sorted(template.bodies)))
        english = language == Language.ENGLISH
        texts = [text for text in plain if not english or text.isascii() or text == "ç"]
        spoken = draw(st.sampled_from((language.value, language.value.upper())))
        cells = {"recipient": draw(st.sampled_from(RECIPIENTS)), "language": spoken}
        row = [
            cells.get(name) or (draw(st.sampled_from(texts)) if name in template.parameters else "")
            for name in names
        ]
        lines.append(",".join(quote(text, draw(st.sampled_from(("needed", "always")))) for text in row))
        lines += draw(st.sampled_from(([], [], [""], ["  "], [",,,"])))
    return Upload(_written(draw, lines), rules)


@st.composite
def _header_rows(draw: st.DrawFn, names: list[str]) -> str:
    """The header row as most write it; some separate by another mark, or put the whole line in quotation marks."""
    if draw(st.integers(0, 11)):
        return ",".join(quote(name, draw(quotings)) for name in names)
    mark = draw(st.sampled_from("|^:; \t，、~\x1f,-"))
    row = draw(st.sampled_from((mark, f" {mark} ", mark * 2))).join(names)
    return draw(st.sampled_from((row, row, f'"{row}"', f'"{row}",')))


def _cell(draw: st.DrawFn, cells: dict[str, str], name: str, *, plain: bool) -> str:
    if name in cells:
        return cells[name]
    if not name or name.strip().startswith("Error Reason"):
        below: tuple[str, ...] = OLD_REASONS if name else ("",) * 11 + ("x",)
        return draw(st.sampled_from(below))
    usual: st.SearchStrategy[str] = st.sampled_from(VALUES[:6]) if plain else values
    return draw(usual)


def _written(draw: st.DrawFn, lines: list[str]) -> bytes:
    """These rows with one kind of line end or several, the last one perhaps without, perhaps with a BOM."""
    mixed = draw(st.integers(0, 3)) == 0
    habit = draw(st.sampled_from(LINE_ENDS))
    text = "".join(line + (draw(st.sampled_from(LINE_ENDS)) if mixed else habit) for line in lines)
    if draw(st.integers(0, 2)) == 0:
        text = text.rstrip("\r\n")
    bom = b"\xef\xbb\xbf" if draw(st.integers(0, 3)) == 0 else b""
    return bom + text.encode("utf-8", "surrogateescape")
