"""Clients that are libraries of other languages, as Debian packages them: PHP's two, Perl's, Ruby's and Erlang's."""

import subprocess
from typing import ClassVar, Final

from tests.clients.driver import output_of
from tests.clients.libraries import ScriptClient

_LOADED_WITHIN: Final = 60.0


class _DebianLibrary(ScriptClient):
    package: ClassVar[str]
    # A command that ends with status 0 where the library is installed.
    loads: ClassVar[tuple[str, ...]]

    def missing(self) -> str | None:
        if absent := super().missing():
            return absent
        loaded = subprocess.run(self.loads, capture_output=True, timeout=_LOADED_WITHIN, check=False)
        return None if loaded.returncode == 0 else f"{self.name} is not installed: Debian's {self.package}"

    def _find_version(self) -> str:
        """The version that Debian packages, without Debian's own additions to it."""
        packaged = output_of("dpkg-query", "-W", "-f", "${Version}", self.package)
        return packaged.split(":")[-1].split("-")[0].split("+")[0]


class PHPSecLib(_DebianLibrary):
    """phpseclib 3. Before 3.0.48, it replies to the announced host keys although no reply is wanted."""

    name = "phpseclib"
    programs = ("php",)
    package = "php-phpseclib3"
    loads = ("php", "-r", "exit((int) !@include 'phpseclib3/autoload.php');")
    interpreter = ("php",)
    script = "put_with_phpseclib.php"
    upload_by = "`put`"
    temporary_by = "`put`, `rename`"
    resume_by = "`put` with `RESUME` and `$local_start`"
    notes = (
        "Every refusal makes the call return false, and `getLastSFTPError()` tells why. `RESUME` alone sends the whole file "
        "again, behind what has come: give `$local_start`, the size that has come, too"
    )


class PHPSSH2(_DebianLibrary):
    """PHP's bindings of libssh2, with its stream wrapper."""

    name = "PHP ssh2"
    programs = ("php",)
    package = "php-ssh2"
    loads = ("php", "-r", "exit((int) !extension_loaded('ssh2'));")
    interpreter = ("php",)
    script = "put_with_php_ssh2.php"
    upload_by = "`copy`"
    temporary_by = "`copy`, `ssh2_sftp_rename`"
    resume_by = "`fopen('r+')`, `fseek`"
    heeds_close = False
    shows_refusals = False
    notes = "Ignores what CLOSE answers: a `copy` that succeeded does not mean that the upload was stored, the e-mail does"

    def _find_version(self) -> str:
        library = output_of("php", "--ri", "ssh2").split("libssh2 version => ")[1].split()[0]
        return f"{super()._find_version()}, libssh2 {library}"


class NetSFTPForeign(_DebianLibrary):
    """Perl's Net::SFTP::Foreign, through OpenSSH's `ssh`."""

    name = "Net::SFTP::Foreign"
    programs = ("perl", "ssh")
    package = "libnet-sftp-foreign-perl"
    loads = ("perl", "-MNet::SFTP::Foreign", "-e", "1")
    interpreter = ("perl",)
    script = "put_with_foreign.pl"
    upload_by = "`put`"
    temporary_by = "`put` with `atomic`"
    resume_by = "`put` with `resume`"
    own_abort_by = "`die` in a callback"
    notes = "Every refusal makes `put` fail, and `error` tells why"


class NetSFTP(_DebianLibrary):
    """Ruby's net-sftp. Debian's net-ssh comes without the gem `x25519`, so it has no strict key exchange."""

    name = "Ruby net-sftp"
    programs = ("ruby",)
    package = "ruby-net-sftp"
    loads = ("ruby", "-e", "require 'net/sftp'")
    interpreter = ("ruby",)
    script = "put_with_net_sftp.rb"
    needs_wide = True
    upload_by = "`upload!`"
    temporary_by = "`upload!`, `rename!`"
    resume_by = "`open!('r+')`, `write!` at the end"
    shows_refusals = False
    notes = (
        'Every refusal is an exception, with "permission denied" in place of our line. net-ssh without the gem `x25519` needs '
        '`sftp.compatibility = "wide"` at the gateway, see below'
    )

    def _find_version(self) -> str:
        library = output_of("ruby", "-e", "require 'net/ssh'; print Net::SSH::Version::STRING")
        return f"{super()._find_version()}, net-ssh {library}"


class ErlangSFTP(_DebianLibrary):
    """Erlang's ssh_sftp."""

    name = "Erlang ssh_sftp"
    programs = ("escript",)
    package = "erlang-ssh"
    loads = ("erl", "-noshell", "-eval", "halt(case application:load(ssh) of ok -> 0; _ -> 1 end).")
    interpreter = ("escript",)
    script = "put_with_erlang.escript"
    upload_by = "`write_file`"
    temporary_by = "`write_file`, `rename`"
    resume_by = "`open` with `read` and `write`, `position`"
    heeds_close = False
    notes = (
        "Every refusal is `{error, Reason}` with an atom such as `permission_denied`; our line is in Erlang's log. `write_file` "
        "ignores what CLOSE answers: `ok` does not mean that the upload was stored, the e-mail does"
    )

    def _find_version(self) -> str:
        return output_of(
            *("erl", "-noshell", "-eval"),
            "application:load(ssh), {ok, V} = application:get_key(ssh, vsn), io:put_chars(V), halt().",
        )
