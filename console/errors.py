"""What ends a page before it is one."""


class PageRefused(Exception):  # noqa: N818 - a fact about a request
    """The page can't be shown: `status`, and one sentence that says what is wrong and what to do."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


def archived_words(archive: str) -> str:
    """What whoever asks for messages is told that have left the database."""
    return (
        f"These messages are archived, in {archive}. Ask the operators if you need them: "
        f"`sftp-gateway archive restore {archive}` brings them back."
    )


class GoTo(Exception):  # noqa: N818 - a fact about a request
    """The answer is to ask for another page of ours: `path` with its query."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path
