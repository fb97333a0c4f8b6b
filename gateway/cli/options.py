"""Options that several commands have, with the same names and texts."""

from typing import Annotated, TypeAlias

import typer

JSON: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
