"""The table of CSV verdicts (4-sms-content.md §6) and the codes of 2-gateway.md §3: all its cases."""

from tests.processing.cases.csv_accepted import ACCEPTED
from tests.processing.cases.csv_file_faults import OF_THE_FILE
from tests.processing.cases.csv_row_faults import OF_A_ROW

CASES = ACCEPTED + OF_THE_FILE + OF_A_ROW
