"""PuTTY's `psftp` and `pscp`."""

from pathlib import Path

from tests.clients.driver import Client, Invocation, Place, told_by


def _login(place: Place) -> tuple[str, ...]:
    expected = tuple(word for fingerprint in place.fingerprints for word in ("-hostkey", fingerprint))
    return ("-batch", "-P", str(place.port), "-l", place.campaign_id, "-i", str(place.ppk), *expected)


def _version(program: str) -> str:
    return told_by(program, "-V").split("Release")[1].split()[0]


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

    def upload(self, place: Place, path: Path, name: str) -> Invocation:
        return self._script(place, f"put {path} {name}")

    def upload_renamed(self, place: Place, path: Path, name: str) -> Invocation:
        return self._script(place, f"put {path} {name}.part", f"mv {name}.part {name}")

    def resume(self, place: Place, path: Path, name: str) -> Invocation:
        return self._script(place, f"reput {path} {name}")

    def _script(self, place: Place, *lines: str) -> Invocation:
        return Invocation(
            ("psftp", *_login(place), "-b", "/dev/stdin", place.host),
            "".join(f"{line}\n" for line in lines).encode(),
            {"HOME": str(place.home)},
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

    def upload(self, place: Place, path: Path, name: str) -> Invocation:
        return Invocation(
            ("pscp", "-sftp", *_login(place), str(path), f"{place.account}:{name}"),
            environment={"HOME": str(place.home)},
        )
