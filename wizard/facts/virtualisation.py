"""Whether KVM works here: not whether /dev/kvm exists, but whether a virtual CPU runs one instruction."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.model import Fact, FactError, Output

# Perl is on every Debian and Ubuntu (perl-base is essential), Python is not. Numbers are those of x86-64 <linux/kvm.h>.
# A CPU starts at 0xfffffff0: the last page of the first 4 GiB is filled with HLT (0xf4), and KVM_EXIT_HLT is 5.
_PROBE = r"""
sub stop { print "stage=$_[0]\nerror=$!\n"; exit }
alarm 5;
open my $kvm, "+<", "/dev/kvm" or stop("open");
ioctl($kvm, 0xAE00, 0) or stop("version");
my $vm = ioctl($kvm, 0xAE01, 0) or stop("machine");
open my $machine, "+<&=", $vm or stop("machine");
my $page = syscall(9, 0, 4096, 3, 0x22, -1, 0);
pipe my $from, my $to; syswrite $to, "\xf4" x 4096; syscall(0, fileno $from, $page, 4096);
ioctl($machine, 0x4020AE46, pack("LLQQQ", 0, 0, 0xFFFFF000, 4096, $page)) or stop("memory");
my $id = ioctl($machine, 0xAE41, 0) or stop("cpu");
open my $cpu, "+<&=", $id or stop("cpu");
my $size = ioctl($kvm, 0xAE04, 0) or stop("cpu");
my $state = syscall(9, 0, $size, 3, 1, fileno $cpu, 0);
ioctl($cpu, 0xAE80, 0) or stop("run");
print "stage=ran\nerror=", unpack("x8 L", unpack("P12", pack("Q", $state))), "\n";
"""
_HALTED = "5"


@dataclass(frozen=True)
class Kvm:
    """`works` is None where it could not be tried; `error` says at what it failed ("open: Permission denied")."""

    device: bool
    works: bool | None
    error: str = ""


def _kvm(output: Output) -> Kvm:
    text = output.text.strip()
    if text == "absent":
        return Kvm(False, False, "there is no /dev/kvm")
    if text == "untried":
        return Kvm(True, None, "neither Perl nor an x86-64 processor to try it with")
    found = dict(line.split("=", 1) for line in text.splitlines())
    match found.get("stage"), found.get("error", ""):
        case "ran", code:
            return Kvm(
                True, code == _HALTED, "" if code == _HALTED else f"the first instruction ended with exit {code}"
            )
        case str(stage), error:
            return Kvm(True, False, f"{stage}: {error}")
        case _ if output.rc:
            return Kvm(True, False, "it did not answer within 5 seconds")
        case _:
            raise FactError(f"unexpected answer {text[:80]!r}")


KVM = Fact(
    "kvm",
    "[ -e /dev/kvm ] || { echo absent; exit 0; }\n"
    '[ "$(uname -m)" = x86_64 ] && command -v perl >/dev/null || { echo untried; exit 0; }\n'
    f"perl - <<'PROBE'\n{_PROBE}PROBE",
    _kvm,
)
