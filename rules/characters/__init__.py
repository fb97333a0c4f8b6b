"""Characters: alphabets, graphemes, and those that the service refuses. Pure."""
