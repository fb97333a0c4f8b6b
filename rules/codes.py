"""The stable codes of findings: a contract (2-gateway.md §3). Their texts, for people, are in `texts`."""

from enum import StrEnum


class FindingCode(StrEnum):
    """What is wrong with a file, a row or a cell."""

    # The file: any of these stops the row checks.
    FILE_EMPTY = "file_empty"
    NO_ROWS = "no_rows"
    FILE_TOO_LARGE = "file_too_large"
    FILE_NOT_CSV = "file_not_csv"
    UPLOAD_INTERRUPTED = "upload_interrupted"
    LINES_QUOTED = "lines_quoted"
    DELIMITER_INVALID = "delimiter_invalid"
    HEADER_MISSING_COLUMN = "header_missing_column"
    HEADER_UNKNOWN_COLUMN = "header_unknown_column"
    HEADER_DUPLICATE_COLUMN = "header_duplicate_column"
    TOO_MANY_ROWS = "too_many_rows"
    # The file (UTF-16, binary), a row or a parameter's value.
    ENCODING_INVALID = "encoding_invalid"
    # A row.
    ROW_TOO_FEW_FIELDS = "row_too_few_fields"
    ROW_TOO_MANY_FIELDS = "row_too_many_fields"
    ROW_QUOTE_INVALID = "row_quote_invalid"
    MESSAGE_TOO_LONG = "message_too_long"
    # The recipient, in the order in which they are tried (4-sms-content.md §4).
    RECIPIENT_MISSING = "recipient_missing"
    RECIPIENT_WHITESPACE = "recipient_whitespace"
    RECIPIENT_SCIENTIFIC_NOTATION = "recipient_scientific_notation"
    RECIPIENT_DECIMAL = "recipient_decimal"
    RECIPIENT_HAS_PLUS = "recipient_has_plus"
    RECIPIENT_HAS_SEPARATORS = "recipient_has_separators"
    RECIPIENT_INVISIBLE_CHARACTER = "recipient_invisible_character"
    RECIPIENT_NON_ASCII_DIGITS = "recipient_non_ascii_digits"
    RECIPIENT_NOT_DIGITS = "recipient_not_digits"
    RECIPIENT_SIMULATOR_NUMBER = "recipient_simulator_number"
    RECIPIENT_LEADING_ZERO = "recipient_leading_zero"
    RECIPIENT_TOO_LONG = "recipient_too_long"
    RECIPIENT_NO_COUNTRY_CODE = "recipient_no_country_code"
    RECIPIENT_UNKNOWN_COUNTRY = "recipient_unknown_country"
    RECIPIENT_NOT_MOBILE = "recipient_not_mobile"
    RECIPIENT_TRUNK_ZERO = "recipient_trunk_zero"
    RECIPIENT_TOO_SHORT = "recipient_too_short"
    RECIPIENT_INVALID_NUMBER = "recipient_invalid_number"
    # The language.
    LANGUAGE_MISSING = "language_missing"
    LANGUAGE_UNKNOWN = "language_unknown"
    LANGUAGE_UNAVAILABLE = "language_unavailable"
    # A parameter's value.
    VALUE_MISSING = "value_missing"
    VALUE_WHITESPACE = "value_whitespace"
    VALUE_CONTROL_CHARACTER = "value_control_character"
    VALUE_SPREADSHEET_ERROR = "value_spreadsheet_error"
    VALUE_MARKUP = "value_markup"
    VALUE_UNSUPPORTED_CHARACTERS = "value_unsupported_characters"
