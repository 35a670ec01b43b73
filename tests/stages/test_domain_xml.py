"""What changes a definition: kept before, remembered after, and compared before it is taken back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.domains_captured import SUITES, cluster, context, domain, xml
from wizard.actions import Run, TakeBack
from wizard.model import HYPERVISOR, Output, Part
from wizard.script import compile_part
from wizard.stages.domain_xml import Kept, alike, changing, conflicts, kept

BOTH = pytest.mark.parametrize("suite", SUITES)
BACK = (TakeBack("define_again aki0 /kept"),)


def test_a_change_is_kept_before_and_remembered_after() -> None:
    actions = tuple(changing("aki0", "guests.attach", Run(("virsh", "change"))))
    path = "/var/lib/homek8s-wizard/domains/aki0.guests.attach.before.xml"
    assert [action.shell().splitlines()[-1] for action in actions] == [
        f"keep_domain aki0 {path}",
        f"on_undo 'define_again aki0 {path}'",
        "virsh change",
        f"leave_domain aki0 {path}",
    ]
    assert "keep_domain() {" in compile_part("guests.attach", "aki0", Part(HYPERVISOR, "t", actions))


def test_what_is_kept_is_seen_without_its_content() -> None:
    parse = kept("aki0", "guests.attach").parse
    assert parse(Output(1, b"none\n")) == Kept(False, None)
    assert parse(Output(1, b"kept\n")) == Kept(True, None)
    assert parse(Output(0, b"kept\nleft\n<domain/>\n")) == Kept(True, "<domain/>\n")
    assert "before.xml" not in kept("aki0", "guests.attach").command.partition("cat")[2]


@BOTH
def test_what_libvirt_adds_by_itself_is_no_change(suite: str) -> None:
    text = xml(suite, "attached")
    assert alike(text, text.replace("  ", "\t"))
    assert alike(text, text.replace("</devices>", "<watchdog model='itco' action='reset'/></devices>"))
    assert not alike(text, xml(suite, "bridged"))
    assert not alike(text, text.replace("65536", "131072", 1))


@BOTH
def test_conflicts(suite: str) -> None:
    there = domain(suite, "attached")

    def found(attach: Kept, reach: Kept = Kept(False, None)) -> list[tuple[str, str]]:  # noqa: B008
        facts = {kept("aki0", "guests.attach"): attach, kept("aki0", "guests.reach"): reach}
        ctx = context(cluster(), there, facts=facts)
        return [(each.id, each.cure) for each in conflicts(ctx, "aki0", "guests.reach", BACK)]

    now, before = xml(suite, "attached"), xml(suite, "bridged")
    assert found(Kept(False, None), Kept(True, now)) == []
    assert found(Kept(False, None), Kept(True, None)) == [], "cut off in the middle: there is nothing to compare with"
    [(drift, cure)] = found(Kept(True, now), Kept(True, before))
    assert (drift, cure) == ("drift", "undo guests.attach@aki0 first: it came after this")
    [(drift, cure)] = found(Kept(False, None), Kept(True, before))
    assert "keep your change" in cure
    [(drift, cure)] = found(Kept(False, None), Kept(False, now))
    assert cure == "change aki0 by hand: virsh edit aki0"


# ---------------------------------------------------------------- the words, with a virsh of our own


VIRSH = """#!/bin/sh
case "$*" in
  "dumpxml --inactive --security-info aki0") sed s/PASSWORD/geheim/ "$STORE/aki0" ;;
  "dumpxml --inactive aki0") cat "$STORE/aki0" ;;
  "list --all --name") ls "$STORE" ;;
  define*) sed s/geheim/PASSWORD/ "$2" >"$STORE/aki0" ;;
esac
"""


class Words:
    """Runs lines with the library, as attempts of a step, in a home of their own."""

    def __init__(self, directory: Path) -> None:
        self.home, self.store, bin_ = directory / "home", directory / "store", directory / "bin"
        for each in (self.store, bin_):
            each.mkdir()
        (bin_ / "virsh").write_text(VIRSH)
        (bin_ / "virsh").chmod(0o755)
        self._path = f"{bin_}:/usr/bin:/bin"
        self.before = self.home / "domains" / "aki0.guests.attach.before.xml"
        self.after = self.home / "domains" / "aki0.guests.attach.after.xml"
        self.domain = self.store / "aki0"
        self.domain.write_text("one PASSWORD\n")

    def run(self, attempt: str, *lines: str) -> str:
        library = "".join((Path("templates/host") / name).read_text() for name in ("library.sh", "domains.sh"))
        library = library.replace("home=/var/lib/homek8s-wizard", f"home={self.home}")
        head = (
            f"set -eu\nattempt={attempt} step=guests.attach@aki0 STORE={self.store} PATH={self._path}\nexport STORE\n"
        )
        text = head + library + "\n" + "\n".join(lines) + "\n"
        done = subprocess.run(["sh"], input=text, capture_output=True, text=True, check=True)
        return done.stdout

    def apply(self, attempt: str, now: str) -> str:
        return self.run(attempt, *self.lines(now))

    def lines(self, now: str) -> list[str]:
        back = f"define_again aki0 {self.before}"
        change = f"echo '{now} PASSWORD' >{self.domain}"
        return [f"keep_domain aki0 {self.before}", f"on_undo '{back}'", change, f"leave_domain aki0 {self.before}"]

    def undo(self, *attempts: str) -> str:
        return self.run("undoing", f"define_again aki0 {self.before}", f"forget {' '.join(attempts)}")


@pytest.fixture
def words(tmp_path: Path) -> Words:
    return Words(tmp_path)


def test_there_and_back_and_there_again(words: Words) -> None:
    words.apply("first", "two")
    assert words.before.read_text() == "one geheim\n"
    assert words.before.stat().st_mode & 0o777 == 0o600
    assert words.after.read_text() == "two PASSWORD\n"
    words.undo("first")
    assert words.domain.read_text() == "one PASSWORD\n"
    assert not words.before.exists()
    assert not words.after.exists()
    words.domain.write_text("other PASSWORD\n")
    words.apply("second", "two")
    assert words.before.read_text() == "other geheim\n", "what is kept is how it was before this time"


@pytest.mark.parametrize("cut", range(1, 5))
def test_cut_off_anywhere_the_first_definition_is_the_one_kept(words: Words, cut: int) -> None:
    words.run("first", *words.lines("two")[:cut])
    words.apply("second", "two")
    words.apply("third", "three")
    assert words.before.read_text() == ("one geheim\n" if cut != 0 else "")
    assert words.after.read_text() == "three PASSWORD\n"
    words.undo("first", "second", "third")
    assert words.domain.read_text() == "one PASSWORD\n"


def test_a_change_by_somebody_else_in_between_stays_visible(words: Words) -> None:
    words.apply("first", "two")
    words.domain.write_text("theirs PASSWORD\n")
    assert "somebody changed the definition" in words.apply("second", "three")
    assert words.after.read_text() == "two PASSWORD\n"


def test_a_domain_that_is_gone_stays_gone(words: Words) -> None:
    words.apply("first", "two")
    words.domain.unlink()
    words.undo("first")
    assert not words.domain.exists()
    assert not words.before.exists()
    assert "back already" in words.undo("first")
