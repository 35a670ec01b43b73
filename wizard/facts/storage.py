"""Disks: the room left where things will land, how those places are mounted, and how fast one holds on to a write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wizard.facts.system import pairs
from wizard.model import Fact, FactError, Output

IMAGES = "/var/lib/libvirt/images"
NOTES = "/var/lib/homek8s-wizard"
PLACES = (IMAGES, NOTES, "/var", "/etc", "/tmp")

# A place that is not there yet is judged by the nearest directory above it.
_NEAREST = 'd={}; while [ ! -d "$d" ]; do d=${{d%/*}}; d=${{d:-/}}; done'


@dataclass(frozen=True)
class Volume:
    """The file system under a place. Sizes in bytes; `inodes` is what is left of them, None where there is no limit."""

    mount: str
    kind: str
    options: tuple[str, ...]
    """As mount(8) has them, those with a value left out."""
    size: int
    available: int
    inodes: int | None

    @property
    def writable(self) -> bool:
        return "rw" in self.options


def _volumes(output: Output) -> Mapping[str, Volume]:
    return dict(_volume(line) for line in output.text.splitlines())


def _volume(line: str) -> tuple[str, Volume]:
    place, block, blocks, free, inodes, inodes_free, mount, kind, options = line.split()
    left = int(inodes_free) if int(inodes) else None
    size, available = int(blocks) * int(block), int(free) * int(block)
    flags = tuple(option for option in options.split(",") if "=" not in option)
    return place, Volume(mount, kind, flags, size, available, left)


VOLUMES = Fact(
    "volumes",
    f"for p in {' '.join(PLACES)}; do {_NEAREST.format('$p')}; "
    'echo $p $(stat -f -c \'%S %b %a %c %d\' "$d") $(findmnt -nro TARGET,FSTYPE,OPTIONS -T "$d" | tail -n 1); done',
    _volumes,
)
"""By place; one path each of PLACES."""

# What etcd does for each change: 2300 bytes into a file that has its size already, then fdatasync; the fdatasync is
# timed, as fio does (etcd FAQ, "What does the etcd warning …"; DOMAIN S0). 2500 of them, or as many as 4 s allow, tell
# what 1 in 100 takes. The file has no name while it is used, so that nothing stays behind, whatever ends this. Perl is
# on every Debian and Ubuntu (perl-base, which has no Time::HiRes); numbers are system calls, by processor:
# clock_gettime, fallocate, fdatasync.
_MEASURE = r"""
my ($gettime, $allocate, $datasync) = splice @ARGV, 1;
sub now() { my $at = "\0" x 16; syscall($gettime, 1, $at); my ($s, $ns) = unpack "qq", $at; $s + $ns / 1e9 }
my $directory = shift;
my $path = "$directory/.hk8s-fsync.$$";
sysopen my $file, $path, 0302, 0600 or die "$directory: $!\n";
unlink $path;
syscall($allocate, fileno $file, 0, 0, 2300 * 2500);
my ($block, $began, @took) = ("x" x 2300, now);
while (@took < 2500 && now - $began < 4) {
  defined syswrite $file, $block or die "$directory: $!\n";
  my $start = now;
  syscall($datasync, fileno $file) == 0 or die "$directory: $!\n";
  push @took, now - $start;
}
@took = sort { $a <=> $b } @took;
printf "directory=%s\ncount=%d\nmedian=%.3f\np99=%.3f\n",
  $directory, scalar @took, 1000 * $took[@took / 2], 1000 * $took[int(@took * 0.99)];
"""


@dataclass(frozen=True)
class Fsync:
    """Milliseconds within which half, and 99 of 100, of `count` writes were safe on the disk under `directory`."""

    directory: str
    count: int
    median: float
    p99: float


def _fsync(output: Output) -> Fsync:
    if output.rc:
        raise FactError(output.complaint or f"the measurement ended with status {output.rc}")
    found = pairs(output)
    return Fsync(found["directory"], int(found["count"]), float(found["median"]), float(found["p99"]))


def fsync_at(fact_id: str, directory: str) -> Fact[Fsync]:
    """How fast the disk under this directory, or the nearest one that is there, holds on to a write."""
    return Fact(
        fact_id,
        'case $(uname -m) in x86_64) calls="228 285 75";; aarch64) calls="113 47 83";; *) calls=;; esac\n'
        '[ -n "$calls" ] && command -v perl >/dev/null || { echo "needs Perl, and x86-64 or ARM64" >&2; exit 1; }\n'
        f"{_NEAREST.format(directory)}\nperl - \"$d\" $calls <<'MEASURE'\n{_MEASURE}MEASURE",
        _fsync,
        costly=True,
    )


FSYNC = fsync_at("fsync", IMAGES)
ETCD_FSYNC = fsync_at("etcd-fsync", "/var/lib/etcd")
"""On a control plane."""
