"""`sftp-gateway hostkey …`: the keys by which agencies know this service."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import JSON
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.output import (
    note,
    print_json,
    print_line,
    print_table,
)

if TYPE_CHECKING:
    from keys.host_keys import HostKey

app = typer.Typer(
    help="Host keys: make, show, rotate, retire.", rich_markup_mode="rich", pretty_exceptions_enable=False
)

Host = Annotated[
    str | None,
    typer.Option(
        "--host", metavar="NAME", help="The name that agencies connect to, for the lines to hand out."
    ),
]
Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="The port that agencies connect to.")
]


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="hostkey")


@app.command(epilog="Example: sftp-gateway hostkey generate")
def generate(
    context: typer.Context,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="The keys of all nodes are lost: retire their fingerprints and make new ones."
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Make the host keys (Ed25519, ECDSA, RSA) once, on the first node. Copy their folder to the others."""
    from keys.host_key_changes import generate_host_keys

    invocation = invocation_of(context)
    folder = invocation.settings.sftp.host_key_dir

    async def change() -> "list[HostKey]":
        async with invocation.open_database() as connection, connection.transaction():
            return await generate_host_keys(connection, folder, replace=replace, actor=current_actor())

    _show_fingerprints(run(change()), as_json=as_json)
    note(
        f"They lie in {folder}. Back that folder up, and copy it to every other node (mode 0700, files 0600)."
    )


@app.command(epilog="Example: sftp-gateway hostkey show --host sftp.agency.gov.sg")
def show(context: typer.Context, host: Host = None, port: Port = None, as_json: JSON = False) -> None:
    """Show the fingerprints, and the known_hosts lines and SSHFP records to hand out."""
    from keys.host_keys import load_host_keys

    settings = invocation_of(context).settings.sftp
    keys = load_host_keys(settings.host_key_dir)
    name = host or "SERVER"
    number = port or settings.port or 22
    if as_json:
        print_json(
            [
                {
                    **_document(key),
                    "knownHosts": key.known_hosts_line(name, number),
                    "sshfp": key.sshfp_record(name),
                }
                for key in keys
            ]
        )
        return
    _show_fingerprints(keys, as_json=False)
    print_line("# known_hosts lines, for agencies")
    for key in keys:
        print_line(key.known_hosts_line(name, number))
    print_line("")
    print_line("# SSHFP records, for the DNS zone (DNSSEC)")
    for key in keys:
        print_line(key.sshfp_record(name))
    if host is None:
        note("Put the name that agencies connect to in the place of SERVER, or give it with --host.")


@app.command(epilog="Example: sftp-gateway hostkey rotate, and some weeks later: sftp-gateway hostkey retire")
def rotate(context: typer.Context, as_json: JSON = False) -> None:
    """Begin a rotation: make new keys, offered beside the old ones until `hostkey retire`."""
    from keys.host_key_changes import rotate_host_keys

    invocation = invocation_of(context)
    folder = invocation.settings.sftp.host_key_dir

    async def change() -> "list[HostKey]":
        async with invocation.open_database() as connection, connection.transaction():
            return await rotate_host_keys(connection, folder, actor=current_actor())

    _show_fingerprints(run(change()), as_json=as_json)
    note(
        f"1. Copy {folder} to every node and restart each front. Clients still see the old keys, and OpenSSH's learn the new."
    )
    note(
        "2. Send agencies the new fingerprints (`sftp-gateway hostkey show --host NAME`), and give them time."
    )
    note("3. Run `sftp-gateway hostkey retire` on every node, and restart each front.")


@app.command(epilog="Example: sftp-gateway hostkey retire")
def retire(context: typer.Context, as_json: JSON = False) -> None:
    """End a rotation: the old keys are dropped, the new ones take their place. Then run it on every other node."""
    from keys.host_key_changes import promote_new_keys, retire_host_keys

    invocation = invocation_of(context)
    folder = invocation.settings.sftp.host_key_dir

    async def change() -> None:
        async with invocation.open_database() as connection, connection.transaction():
            await retire_host_keys(connection, folder, actor=current_actor())

    run(change())
    _show_fingerprints(promote_new_keys(folder), as_json=as_json)
    note("The old keys are retired. Run this on every other node too, and restart each front.")


def _document(key: "HostKey") -> dict[str, object]:
    return {
        "type": key.type.value,
        "algorithm": key.type.algorithm,
        "fingerprint": key.fingerprint,
        "publicKey": key.public_line,
        "state": _state(key),
        "path": str(Path(key.path)),
    }


def _state(key: "HostKey") -> str:
    return "current" if key.is_current else "new"


def _show_fingerprints(keys: "list[HostKey]", *, as_json: bool) -> None:
    if as_json:
        print_json([_document(key) for key in keys])
        return
    rows = [(key.type.value, key.fingerprint, _state(key)) for key in keys]
    print_table(("type", "fingerprint", "state"), rows, empty="There are no host keys.")
