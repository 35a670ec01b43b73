"""The export as scripts: one to each part, to be run by hand in their order on the hosts, and what to know about them.

Each carries the part's script unchanged, and runs it as the wizard would: as a unit of systemd, under the guard where
it may cut the connection, with the same notes on the host. So the wizard can take over from there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from wizard import __version__
from wizard.model import HYPERVISOR, OWNER, Probe, Secret, in_words
from wizard.runbook.book import Material, hosts
from wizard.runbook.dates import when
from wizard.runbook.markdown import in_base64, printable, visible
from wizard.runbook.masking import masker
from wizard.runbook.reading import read_script, secrets_in
from wizard.runbook.replay import LeftOut, Replay, replays
from wizard.template import render, text

END = "END_OF_PART"

Mask = Callable[[str], str]


@dataclass(frozen=True)
class Exported:
    """Scripts by name, in the order to run them, each with its confirmation after it; and README.txt. `count` is
    without the confirmations."""

    scripts: tuple[tuple[str, str], ...]
    readme: str
    count: int


@dataclass(frozen=True)
class Numbered:
    """A script with its place in the order. `masked` is the part's script, secrets masked."""

    number: str
    replay: Replay
    place: str
    """The host in words, with the way there."""
    masked: str

    @property
    def stem(self) -> str:
        of = self.replay
        at = "" if of.target == HYPERVISOR else f"@{of.target}"
        return re.sub(r"[^A-Za-z0-9._@-]", "_", f"{self.number}-{of.host}-{of.step.id}{at}")

    @property
    def slug(self) -> str:
        """As the end of an attempt's id, and so of a unit's name, where @ means something."""
        return self.stem.replace("@", "_")

    @property
    def name(self) -> str:
        return f"{self.stem}.sh"

    @property
    def confirm(self) -> str:
        return f"{self.stem}-confirm.sh" if self.guard else ""

    @property
    def guard(self) -> int:
        """Seconds; 0 where it is not guarded, or cannot be run."""
        return 0 if self.is_masked else read_script(self.replay.script).guard

    @property
    def asks(self) -> tuple[tuple[str, str], ...]:
        """The secrets that it asks for at the keyboard: the name, what it is and how it is had."""
        return tuple(secrets_in(self.replay.script))

    @property
    def is_masked(self) -> bool:
        return self.masked != self.replay.script


def scripts(material: Material, secrets: Iterable[Secret] = ()) -> Exported:
    mask, found = masker(secrets), replays(material)
    numbered = tuple(_numbered(material, [each for each in found if isinstance(each, Replay)], mask))
    files = tuple(file for each in numbered for file in _files(material, each, mask))
    left_out = tuple(each for each in found if isinstance(each, LeftOut))
    return Exported(files, _readme(material, numbered, left_out, mask), len(numbered))


def _numbered(material: Material, found: list[Replay], mask: Mask) -> Iterator[Numbered]:
    width = max(2, len(str(len(found))))
    for number, each in enumerate(found, 1):
        yield Numbered(f"{number:0{width}}", each, _place(material, each.host), mask(each.script))


def _place(material: Material, host: str) -> str:
    if host == OWNER:
        return in_words(host)
    ssh = {name: destination for name, destination, _ in hosts(material.cluster)}.get(host, "")
    guest = (
        "the machine" if any(each.name == host and each.physical for each in material.cluster.guests) else "the guest"
    )
    kind = "the hypervisor" if host == HYPERVISOR else f"{guest} {host}"
    return f"{kind} ({ssh})" if ssh else kind


def _line(mask: Mask, words: str) -> str:
    """As a comment or a message: one line, without anything that a terminal would act on."""
    return " ".join(visible(mask(words)).split())


# ---------------------------------------------------------------- the scripts


def _files(material: Material, each: Numbered, mask: Mask) -> Iterator[tuple[str, str]]:
    yield each.name, _script(material, each, mask)
    if each.guard:
        yield each.confirm, _confirmation(each, mask)


def _script(material: Material, each: Numbered, mask: Mask) -> str:
    plain = printable(each.masked)
    part = each.masked if plain else in_base64(each.masked)
    return render(
        "runbook/script.sh.j2",
        **_about(each, mask),
        origin=_line(mask, each.replay.origin),
        at=when(material.at),
        version=__version__,
        cluster=_line(mask, material.cluster.name),
        guard=each.guard,
        confirm=each.confirm,
        reach=shlex.quote(_line(mask, " or ".join(each.replay.reach))),
        reads=each.replay.reads,
        marks=each.replay.marks,
        is_masked=each.is_masked,
        limit=each.replay.limit,
        part=part,
        plain=plain,
        end=_end(part),
        own=each.replay.host == OWNER,
        asks=[shlex.join((name, _line(mask, words))) for name, words in each.asks],
        job=_job_words(),
        words=_words(
            "words",
            "run",
            *(["fill"] if each.replay.reads else []),
            *(["secrets"] if each.asks else []),
            *(["login", "guarded"] if each.guard else ["plain"]),
        ),
    )


def _confirmation(each: Numbered, mask: Mask) -> str:
    about = _about(each, mask)
    return render(
        "runbook/confirm.sh.j2", **{**about, "name": each.confirm}, script=each.name, words=_words("words", "login")
    )


def _about(each: Numbered, mask: Mask) -> dict[str, object]:
    return {
        "name": each.name,
        "slug": each.slug,
        "title": _line(mask, f"{each.replay.name}, {each.replay.title}"),
        "place": _line(mask, each.place),
        "probes": tuple(_questions(each.replay.probes, mask)),
    }


def _questions(probes: tuple[Probe, ...], mask: Mask) -> Iterator[tuple[str, str]]:
    """(title, command), each as words of sh; a question with a secret in it is not asked."""
    for probe in probes:
        command = shlex.join(probe.argv)
        if mask(command) == command and printable(f"{command}\n"):
            yield shlex.quote(_line(mask, probe.title)), command


def _job_words() -> str:
    """Those of host/job.sh, without its last line, which says what is to be done, and what only the wizard needs: what
    is run by hand belongs to no journal."""
    left_out = re.compile(r"^(lease|stop|stop_session)\(\) \{[^\n]*\n.*?^\}\n\n", re.MULTILINE | re.DOTALL)
    words = left_out.sub("", text("host/job.sh"))
    return words.replace("\n  lease\n", "\n").removesuffix("\n\n$verb\n") + "\n"


def _words(*names: str) -> str:
    return "".join(text(f"runbook/{name}.sh") for name in names)


def _end(part: str) -> str:
    end = END
    while end in part.splitlines():
        end += "_"
    return end


# ---------------------------------------------------------------- what to know about them


def _readme(material: Material, numbered: tuple[Numbered, ...], left_out: tuple[LeftOut, ...], mask: Mask) -> str:
    return render(
        "runbook/readme.txt.j2",
        cluster=material.cluster.name,
        at=when(material.at),
        version=__version__,
        unseen=_line(mask, material.unseen),
        scripts=numbered,
        left_out=left_out,
        guarded=[each for each in numbered if each.guard],
        owners=[each for each in numbered if each.replay.host == OWNER],
        asking=[each for each in numbered if each.asks],
        hosts=[(name, ssh) for name, ssh, _ in hosts(material.cluster) if ssh],
        line=lambda words: _line(mask, words),
    )
