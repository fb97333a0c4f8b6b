"""PuTTY's `psftp` and `pscp`."""

from pathlib import Path

from tests.clients.driver import AccessDetails, Client, Invocation, output_of


def _login(access: AccessDetails) -> tuple[str, ...]:
    expected = tuple(word for fingerprint in access.fingerprints for word in ("-hostkey", fingerprint))
    return ("-batch", "-P", str(access.port), "-l", access.campaign_id, "-i", str(access.ppk), *expected)


def _version(program: str) -> str:
    return output_of(program, "-V").split("Release")[1].split()[0]


class PSFTP(Client):
    """`psftp -b`, with a script."""

    name = "psftp"
    programs = ("psftp", "puttygen")
    upload_by = "`put`"
    temporary_by = "`put`, `mv`"
    resume_by = "`reput`"
    notes = "With `-b` the status is 0 only when every line was acknowledged"

    def _find_version(self) -> str:
        return _version("psftp")

    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._script(access, f"put {path} {name}")

    def upload_renamed(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._script(access, f"put {path} {name}.part", f"mv {name}.part {name}")

    def resume(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._script(access, f"reput {path} {name}")

    def _script(self, access: AccessDetails, *lines: str) -> Invocation:
        return Invocation(
            ("psftp", *_login(access), "-b", "/dev/stdin", access.host),
            "".join(f"{line}\n" for line in lines).encode(),
            {"HOME": str(access.home)},
        )


class PSCP(Client):
    """`pscp -sftp`."""

    name = "pscp"
    programs = ("pscp", "puttygen")
    upload_by = "`pscp -sftp`"
    heeds_close = False
    notes = "Ignores what CLOSE answers: status 0 does not mean that the upload was stored, the e-mail does"

    def _find_version(self) -> str:
        return _version("pscp")

    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return Invocation(
            ("pscp", "-sftp", *_login(access), str(path), f"{access.account}:{name}"),
            environment={"HOME": str(access.home)},
        )
