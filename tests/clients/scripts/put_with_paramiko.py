"""An agency's script with paramiko: host, port, campaign, key, known_hosts, path, name, flow [bytes]."""

import sys
from pathlib import Path

import paramiko

host, port, campaign, key, known_hosts, path, name, flow, *after = sys.argv[1:]


def fail(sent: int, _total: int) -> None:
    """Die in the middle of the upload."""
    if sent >= int(after[0]):
        raise RuntimeError("the script fails here")


with paramiko.SSHClient() as client:
    client.load_host_keys(known_hosts)
    client.connect(
        host, int(port), campaign, key_filename=key, allow_agent=False, look_for_keys=False, timeout=30
    )
    with client.open_sftp() as sftp:
        match flow:
            case "put":
                sftp.put(path, name)
            case "rename":
                sftp.put(path, f"{name}.tmp")
                sftp.posix_rename(f"{name}.tmp", name)
            case "resume":
                with Path(path).open("rb") as local, sftp.open(name, "a") as remote:
                    local.seek(sftp.stat(name).st_size or 0)
                    while chunk := local.read(32768):
                        remote.write(chunk)
            case "fail":
                sftp.put(path, name, callback=fail)
            case _:
                sys.exit(f"no such flow: {flow}")
