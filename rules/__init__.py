"""The rules of recipients, languages, characters, segments and values: pure, over values and columns, no I/O."""
