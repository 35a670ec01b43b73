"""What we left on a host: its manifest (written by templates/host/library.sh), the files it names, an armed guard."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from wizard.actions import Action, RemoveDirectory, RestoreFile, TakeBack, unified
from wizard.model import Fact, FactError, Output

_COMMAND = r"""
home=${HK8S_HOME:-/var/lib/homek8s-wizard}
in64() { head -c 65536 "$1" | base64 -w0; }
echo "machine $(cat /etc/machine-id)"
echo "boot $(cat /proc/sys/kernel/random/boot_id)"
if [ -e "$home/guard/pending" ]; then
  seconds=$(($(cat "$home/guard/deadline") - $(cut -d. -f1 /proc/uptime)))
  echo "pending $(cat "$home/guard/pending") $seconds"
fi
if [ -n "${HK8S_HOME:-}" ]; then
  for lock in "$home"/jobs/*/session.lock; do
    [ ! -e "$lock" ] || flock -s -n "$lock" true || { lock=${lock%/*}; echo "job ${lock##*/}"; }
  done
else
  systemctl list-units --plain --no-legend --state=active,activating 'hk8s-job-*.service' |
    sed -n 's/^hk8s-job-\(.*\)\.service .*/job \1/p'
fi
[ -e "$home/guard/outcome" ] && echo "outcome $(cat "$home/guard/outcome")"
[ -e "$home/manifest" ] || exit 0
sed 's/^/note /' "$home/manifest"
awk -F '\t' '$3 == "file" { last[$4] = $5 } END { for (path in last) print last[path] "\t" path }' "$home/manifest" |
while IFS="$(printf '\t')" read -r written path; do
  if [ -f "$path" ]; then now=$(sha256sum <"$path" | cut -d' ' -f1); else now=absent; fi
  [ $now = absent ] || echo "file $now $(in64 "$path") $path"
  [ $now = "$written" ] || [ ! -e "$home/written/$written" ] || echo "written $written $(in64 "$home/written/$written")"
done
"""


@dataclass(frozen=True)
class Record:
    """One line of the manifest. `what` is a path or a line of sh; `sha` what we left ("absent": removed)."""

    attempt: str
    step: str
    kind: str
    what: str
    sha: str
    before: str | None


@dataclass(frozen=True)
class Present:
    sha: str
    content: str
    """At most the first 64 KiB."""


@dataclass(frozen=True)
class Drift:
    """A file of ours that somebody changed since; `diff` goes from what we wrote to what is there."""

    path: str
    diff: str


@dataclass(frozen=True)
class Pending:
    attempt: str
    seconds: float
    """Until the host reverts by itself."""


@dataclass(frozen=True)
class Ours:
    machine_id: str
    boot_id: str
    pending: Pending | None = None
    outcome: Mapping[str, str] = field(default_factory=dict)
    """Of the last guarded attempt: "kept", or "reverted" and by whom."""
    jobs: tuple[str, ...] = ()
    """The attempts whose scripts run now."""
    records: tuple[Record, ...] = ()
    files: Mapping[str, Present] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> tuple[Record, ...]:
        """The notes of `step@target` that still stand, oldest first."""
        over = {record.attempt for record in self.records if record.kind == "end"}
        return tuple(r for r in self.records if r.step == name and r.attempt not in over and r.kind != "end")

    def waits_for(self, name: str) -> Pending | None:
        """The armed guard, if it is `step@target` that waits to be confirmed."""
        waits = self.pending is not None and any(r.attempt == self.pending.attempt for r in self.of(name))
        return self.pending if waits else None

    def attempts(self, name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(record.attempt for record in self.of(name)))

    def inverses(self, name: str) -> tuple[Action, ...]:
        """What takes `step@target` back to how it was before the first of its attempts, last deed first."""
        deeds: dict[tuple[str, str], Action] = {}
        for record in self.of(name):
            key = (record.kind, record.what)
            earlier = deeds.get(key)
            if isinstance(earlier, RestoreFile):
                deeds[key] = RestoreFile(record.what, record.sha, earlier.before)
            elif earlier is None:
                deeds[key] = _inverse(record)
        return tuple(reversed(deeds.values()))

    def as_written(self, path: str) -> str | None:
        """What we wrote to `path`, where it is no longer as we left it; None where it is, or was never ours."""
        over = {record.attempt for record in self.records if record.kind == "end"}
        left = [r.sha for r in self.records if (r.kind, r.what) == ("file", path) and r.attempt not in over]
        now = self.files[path].sha if path in self.files else "absent"
        return self.written.get(left[-1]) if left and left[-1] != now else None

    def drifts(self, name: str) -> tuple[Drift, ...]:
        """The files of `step@target` that are no longer as we left them."""
        left = {record.what: record.sha for record in self.of(name) if record.kind == "file"}
        return tuple(
            Drift(path, unified(path, self.written.get(sha), now.content if (now := self.files.get(path)) else None))
            for path, sha in left.items()
            if (self.files[path].sha if path in self.files else "absent") != sha
        )


def _inverse(record: Record) -> Action:
    match record.kind:
        case "file":
            return RestoreFile(record.what, record.sha, record.before)
        case "dir":
            return RemoveDirectory(record.what)
        case "undo":
            return TakeBack(record.what)
        case _:
            raise FactError(f"the manifest has an unknown kind of line: {record.kind}")


def parse_ours(output: Output) -> Ours:
    values: dict[str, str] = {}
    records: list[Record] = []
    jobs: list[str] = []
    files: dict[str, Present] = {}
    written: dict[str, str] = {}
    for line in output.text.splitlines():
        word, _, rest = line.partition(" ")
        match word:
            case "note":
                records.append(_record(rest))
            case "job":
                jobs.append(rest)
            case "file":
                sha, content, path = rest.split(" ", 2)
                files[path] = Present(sha, _text(content))
            case "written":
                sha, _, content = rest.partition(" ")
                written[sha] = _text(content)
            case _:
                values[word] = rest
    return Ours(
        machine_id=values["machine"],
        boot_id=values["boot"],
        pending=_pending(values.get("pending", "")),
        outcome=dict([values["outcome"].split(" ", 1)]) if "outcome" in values else {},
        jobs=tuple(jobs),
        records=tuple(records),
        files=files,
        written=written,
    )


def _record(line: str) -> Record:
    fields = line.split("\t")
    if len(fields) != 6:
        raise FactError(f"the manifest has a line that is not ours: {line!r}")
    attempt, step, kind, what, sha, before = fields
    return Record(attempt, step, kind, what, sha, None if before == "-" else before)


def _pending(line: str) -> Pending | None:
    attempt, _, seconds = line.partition(" ")
    return Pending(attempt, float(seconds or 0)) if attempt else None


def _text(in64: str) -> str:
    return base64.b64decode(in64).decode("utf-8", "surrogateescape")


OURS = Fact("ours", _COMMAND, parse_ours)
"""Seen at every observation: it says what can be undone, what drifted, and whether a guard waits."""
