"""What goes wrong with embedded services: one line for the person who started the demo."""


class EmbeddedError(Exception):
    """An embedded service can't run; the text says which, why and what to do."""
