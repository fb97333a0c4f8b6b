"""The rules of recipients, languages, characters, segments and values: pure, no I/O. Those over columns are in `columns`."""
