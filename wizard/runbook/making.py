"""From the material to the text of the runbook."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from wizard import __version__
from wizard.engine.planned import first_state
from wizard.events import State
from wizard.model import Secret, Unknown
from wizard.runbook.book import Book, Material, Shown, Subject, book, first_line, hosts
from wizard.runbook.dates import when
from wizard.runbook.history import Run, Tried
from wizard.runbook.markdown import Writer
from wizard.runbook.masking import masker
from wizard.runbook.reading import KEPT, Back, Command, Deed, File
from wizard.template import render

CONFIRM = f'sh {KEPT}/guard/script "$(cat {KEPT}/guard/pending)" keep'

ACCEPTED = {
    "no-kvm": "guests run without hardware virtualisation, many times slower",
    "slow-fsync": "the disk is slow at making writes safe; etcd may time out under load",
    "small-guest": "a guest has less memory or fewer CPUs than kubeadm asks for",
    "no-console": "there is no way to the machine but the network; only the guard helps if that is lost",
    "local-confirm": "a change of the network is confirmed from the machine itself, not over a new connection",
}
"""What accepting a finding (by its id) means."""

_LANGUAGES = {".xml": "xml", ".yaml": "yaml", ".netdev": "ini", ".network": "ini", ".conf": "", ".sh": "sh"}


def runbook(material: Material, secrets: Iterable[Secret] = ()) -> str:
    """The Markdown, which ends with a newline. `secrets` are masked wherever they should stand after all."""
    writer = Writer(masker(secrets))
    telling = _Telling(writer, book(material))
    return render(
        "runbook/runbook.md.j2",
        book=telling.book,
        cluster=material.cluster,
        yaml=material.yaml,
        at=material.at,
        version=__version__,
        looked=material.looked,
        unseen=material.unseen,
        hosts=hosts(material.cluster),
        accepted=[(each, ACCEPTED.get(each, "")) for each in material.cluster.hypervisor.accept],
        confirm=CONFIRM,
        prose=writer.prose,
        code=writer.code,
        fence=writer.fence,
        exact=writer.exact,
        masks=writer.masks,
        when=when,
        took=took,
        sha256=sha256,
        blocks=blocks,
        first_line=first_line,
        language=language,
        way_back=way_back,
        standing=telling.standing,
        brief=telling.brief,
        ended=telling.ended,
        ended_attempt=telling.ended_attempt,
    )


class _Telling:
    """Short sentences about where things stand."""

    def __init__(self, writer: Writer, told: Book) -> None:
        self._writer, self.book = writer, told
        self._looked = told.material.looked

    def standing(self, subject: Subject) -> str:
        """Where it stands by the hosts, or where they were not looked at, by the journal."""
        if self._looked and subject.planned:
            return self._said(subject.planned.state, subject.planned.since, subject.planned.reason)
        if subject.standing:
            told = self._said(subject.standing.state, subject.standing.since, subject.standing.reason)
            return f"{told} (by the journal)"
        if subject.planned is None:
            return "no longer wanted by `cluster.yaml`"
        if isinstance(subject.planned.plan, Unknown):
            return "not done as far as the journal knows; what it would do depends on the host"
        _, why = first_state(subject.planned.plan)
        return f"not done as far as the journal knows; on a fresh host: {self._writer.prose(why)}"

    def brief(self, subject: Subject) -> str:
        """The same in a word."""
        if self._looked and subject.planned:
            return self._said(subject.planned.state, subject.planned.since, "")
        if subject.standing:
            return self._said(subject.standing.state, subject.standing.since, "")
        return "not done, as far as the journal knows"

    def _said(self, state: State, since: str, reason: str) -> str:
        at = f" since {when(since)}" if since else ""
        return f"**{_STATES.get(state, state.value)}**{at}{': ' if reason else ''}{self._writer.prose(reason)}"

    def ended(self, run: Run) -> str:
        """How a run ended, in words."""
        what = _OUTCOMES.get(run.outcome, f"**{run.outcome}**")
        if run.undoing and run.outcome != "undone":
            what = f"undoing: {what}"
        return f"{what}{': ' if run.reason else ''}{self._writer.prose(run.reason)}"

    def ended_attempt(self, tried: Tried, run: Run) -> str:
        """How an attempt ended; its reason, where the run has not said it already."""
        why = f": {self._writer.prose(tried.why)}" if tried.why and tried.why != run.reason else ""
        return f"{tried.outcome}{why}"


_STATES = {State.TODO: "to do", State.CHECK: "not measured yet"}
_OUTCOMES = {"done": "done", "": "**its end is not known**", "undone": "**undone**"}


def took(tried: Tried) -> str:
    return "" if tried.seconds is None else f" ({tried.seconds:g} s)"


def sha256(script: str) -> str:
    return hashlib.sha256(script.encode("utf-8", "surrogateescape")).hexdigest()


def language(path: str) -> str:
    return _LANGUAGES.get(PurePosixPath(path).suffix, "")


def blocks(deeds: Sequence[Deed]) -> Iterator[tuple[str, Deed, str]]:
    """(kind, deed, text): files one by one, commands that follow each other as one block."""
    lines: list[str] = []
    last: Deed | None = None
    for deed in deeds:
        if isinstance(deed, Command):
            lines += _lines(deed)
            last = deed
            continue
        if lines and last:
            yield "commands", last, "\n".join(lines)
            lines = []
        yield ("file", deed, deed.content) if isinstance(deed, File) else ("gone", deed, "")
    if lines and last:
        yield "commands", last, "\n".join(lines)


def _lines(command: Command) -> list[str]:
    words = [f"# {' '.join(command.words.split())}"] if command.words else []
    return [*words, command.line]


def way_back(shown: Shown) -> str:
    """The commands that take a part back, as far as they can be told without the host."""
    lines: list[str] = []
    for each in shown.body.back:
        lines += _lines(each) if isinstance(each, Command) else [_restored(each, shown.attempt)]
    if any(isinstance(deed, Command) and deed.line.startswith("apt-get install") for deed in shown.body.main):
        lines.append(
            f"grep packages_ {KEPT}/manifest    # the packages that came with it; take away those you want gone"
        )
    return "\n".join(lines) or "# nothing to take back"


def _restored(back: Back, attempt: str) -> str:
    if back.remove:
        return shlex.join(("rm", "-f", back.path))
    return shlex.join(("cp", "-p", f"{KEPT}/backup/{attempt}{back.path}", back.path))
