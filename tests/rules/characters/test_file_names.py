"""What the name of a file that is sent may be."""

import pytest

from rules.characters.file_names import MOST_NAME_BYTES, NameFault, find_name_fault


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", NameFault.MISSING),
        ("dates.csv", None),
        ("DATES.CSV", None),
        ("日期.Csv", None),
        ("dates.xlsx", NameFault.NOT_CSV),
        ("dates.csv.exe", NameFault.NOT_CSV),
        ("datescsv", NameFault.NOT_CSV),
        ("d" * (MOST_NAME_BYTES - 4) + ".csv", None),
        ("d" * (MOST_NAME_BYTES - 3) + ".csv", NameFault.DECEIVING),
        # Bytes count, not characters.
        ("期" * 84 + ".csv", NameFault.DECEIVING),
        ("dates\u202evsc.csv", NameFault.DECEIVING),
        ("dates\n.csv", NameFault.DECEIVING),
    ],
    ids=ascii,
)
def test_a_name_is_one_of_a_csv_file_and_deceives_nobody(name: str, fault: NameFault | None) -> None:
    assert find_name_fault(name) is fault
