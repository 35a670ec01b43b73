"""The whole runbook: a canned journal and plan against a golden file, every example unconnected, hostile content.

After a wanted change of wording: HOMEK8S_GOLDEN=write pytest tests/runbook
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from wizard import __version__, catalog
from wizard.actions import Run, WriteFile
from wizard.cluster.file import ClusterFile, load
from wizard.engine.engine import Engine
from wizard.engine.planned import Planned
from wizard.engine.settings import Settings
from wizard.events import State
from wizard.journal import Entry, Journal
from wizard.model import (
    HYPERVISOR,
    Blocked,
    Check,
    Context,
    Do,
    Fact,
    Finding,
    Guard,
    LibvirtFact,
    Nothing,
    Part,
    Plan,
    Probe,
    Secret,
    Stage,
    Step,
    Unknown,
    Verdict,
    on_hypervisor,
)
from wizard.runbook import Material, export, planned_fresh, runbook
from wizard.script import compile_part

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"
AT = "2026-11-23T07:30:00+00:00"
CANARY = "C4n4ry-9f8e7d6c5b4a39281706f5e4d3c2b1a0"

LINKS = Fact("links", "ip -j addr\nip -j link", lambda output: output.text)
NETWORKS = LibvirtFact("libvirt-networks", lambda connection: ())


def undecided(ctx: Context, target: str) -> Plan:
    return Unknown("links", "not observed")


def step(name: str, title: str, **more: Any) -> Step:
    return Step(name, title, f"Why {title.lower()}.", undecided, on_hypervisor(LINKS, NETWORKS), **more)


PORT = step("bridge.port", "The bridge", needs=("look.machine",), look=lambda cluster, target: ("bridge link",))
NETWORK = step("bridge.network", "The network", needs=("bridge.port",))
MACHINE = step("look.machine", "Look at the machine")
ATTACH = step("guests.attach", "Attach the guests", targets=lambda cluster: ("aki0", "aki1"))
STAGES = (
    Stage("look", "First look", "Before anything is changed.", (MACHINE,)),
    Stage("bridge", "Bridge", "One card for all.", (PORT, NETWORK)),
    Stage("guests", "Guests", "They join.", (ATTACH,)),
)

SCRIPT = """\
#!/bin/sh
# bridge.port@hypervisor, part 1 of 1, on hypervisor: br0 with port enp4s0
main() {
arm 120
on_undo 'networkctl reload'
put /etc/systemd/network/05-homek8s-br0.netdev 0644 absent <<'END_OF_FILE'
[NetDev]
Name=br0
END_OF_FILE
put /etc/systemd/network/05-homek8s-br0.network 0644 3f2a <<'END_OF_FILE'
[Match]
Name=br0
END_OF_FILE
drop /etc/systemd/network/10-old.network 77aa
say 'networkctl reload'
networkctl reload
await 15 'br0 is up' sh -c 'ip link show br0 | grep -q UP'
}

clean_up() {
:
say 'rm -f /run/token'
rm -f /run/token
}
"""
FAILING = SCRIPT.replace("Name=br0", "Name=br1")
ATTACHING = "main() {\nput /etc/x 0600 absent <<'END_OF_FILE'\nx\nEND_OF_FILE\n}\n"
UNDO = """\
#!/bin/sh
main() {
restore /etc/x 0f -
forget 20261123-070000-guests.attach-0001
}

clean_up() {
:
}
"""


class Log:
    """A canned journal."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, at: str, kind: str, name: str, attempt: str = "", **payload: Any) -> None:
        of, _, target = name.partition("@")
        row = (f"2026-11-23T{at}.000Z", kind, of, target or HYPERVISOR, attempt, payload)
        self.entries.append(Entry(len(self.entries) + 1, *row))

    def run(self, at: str, name: str, script: str, rc: int, end: str, reason: str, **more: Any) -> None:
        """A step with one part, begun `at` (HH:MM:SS) and ended a moment later."""
        attempt = f"20261123-{at.replace(':', '')}-{name.partition('@')[0]}-1f3a"
        guard, undoing = more.get("kept") is not None, more.get("undoing", False)
        self.add(at, "started", name, digest="", undoing=undoing, reason="")
        self.add(at, "running", name, attempt, before=[])
        intent = {"host": HYPERVISOR, "part": 1, "parts": 1, "title": "br0 with port enp4s0", "script": script}
        reach = {"reach": ["192.168.182.100"], "probes": [["the gateway answers", "ping", "192.168.182.1"]]}
        self.add(
            at, "intent", name, attempt, **intent, limit=900, **(reach if guard else {"reach": None, "probes": None})
        )
        self.add(at, "ended", name, attempt, word="ended", rc=rc, seconds=4.2)
        if guard:
            self.add(at, "settled", name, attempt, kept=more["kept"], why=more["why"])
        self.add(at, end, name, attempt, reason=reason)


def canned() -> tuple[Entry, ...]:
    log = Log()
    log.add("07:00:00", "measured", "", fact="fsync", rc=0, out=CANARY)
    for at in ("07:01:00", "07:02:00", "07:03:00"):
        log.run(at, "bridge.port", FAILING, 1, "failed", "br0 with port enp4s0: the script ended with status 1")
    late = "no new connection succeeded, so the host went back (the time ran out); all is as it was"
    log.run("07:05:00", "bridge.port", SCRIPT, 0, "reverted", late, kept=False, why=late)
    kept = "confirmed over a new connection to 192.168.182.100"
    log.run("07:15:00", "bridge.port", SCRIPT, 0, "done", "br0 has port enp4s0", kept=True, why=kept)
    log.run("07:20:00", "guests.attach@aki0", ATTACHING, 0, "done", "")
    log.run("07:21:00", "guests.attach@aki0", UNDO, 0, "undone", "nothing of it was done by the wizard", undoing=True)
    log.add("07:22:00", "skipped", "guests.attach@aki1", reason="aki1 is away until December")
    log.add("07:23:00", "done", "firewall.nat", reason="nothing to restrict")
    return tuple(log.entries)


def planned(of: Step, plan: Plan, state: State, reason: str, target: str = HYPERVISOR, **more: Any) -> Planned:
    return Planned(of, target, plan, state, reason, **more)


NETWORK_SCRIPT = "#!/bin/sh\nmain() {\non_undo 'virsh net-undefine lan'\nvirsh net-define /root/lan.xml\n}\n"
CHECKS = (
    Check(
        "kvm", "Virtual machines", Verdict.WARN, "no /dev/kvm (accepted in cluster.yaml)", "Guests are slow.", "BIOS"
    ),
    Check("memory", "Memory", Verdict.OK, "30 GiB free", "A full one ends guests."),
)


def plans() -> tuple[Planned, ...]:
    part = Part(HYPERVISOR, "libvirt network lan", (Run(("virsh", "net-define", "/root/lan.xml")),))
    do = Do("libvirt has no network lan", (part,), ("It is new.\n--- a\n+++ b",), irreversible="")
    cable = Finding("no-carrier", "aki1 has no cable", "plug it in")
    return (
        planned(MACHINE, Nothing("2 checks"), State.DONE, "2 checks, nothing stands in the way", checks=CHECKS),
        planned(PORT, Nothing("as wanted"), State.DONE, "br0 has port enp4s0", since="2026-11-23T07:15:00.000Z"),
        planned(NETWORK, do, State.TODO, "libvirt has no network lan", scripts=(NETWORK_SCRIPT,)),
        planned(ATTACH, Nothing("not attached"), State.DONE, "aki0 has no isolated address", "aki0"),
        planned(ATTACH, Blocked("you", "no cable", (cable,)), State.SKIPPED, "aki1 is away until December", "aki1"),
    )


@pytest.fixture(scope="module")
def aki() -> ClusterFile:
    return load(EXAMPLES / "aki.yaml")


def material(file: ClusterFile, **more: Any) -> Material:
    accepting = file.text().replace("accept: []", "accept: [no-kvm]")
    hypervisor = file.cluster.hypervisor.model_copy(update={"accept": ("no-kvm",)})
    cluster = file.cluster.model_copy(update={"hypervisor": hypervisor})
    return replace(Material(cluster, accepting, STAGES, plans(), canned(), AT), **more)


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def headings(text: str) -> list[str]:
    tokens = parsed(text)
    return [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]


def blocks(text: str) -> list[str]:
    return [token.content for token in parsed(text) if token.type == "fence"]


# ---------------------------------------------------------------- the whole


def test_golden(aki: ClusterFile) -> None:
    text = runbook(material(aki)).replace(__version__, "VERSION")
    golden = HERE / "golden.md"
    if os.environ.get("HOMEK8S_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_same_goes_in_the_same_comes_out(aki: ClusterFile) -> None:
    assert runbook(material(aki)) == runbook(material(aki))


def test_scripts_are_whole_and_printed_once(aki: ClusterFile) -> None:
    found = blocks(runbook(material(aki)))
    for script in (SCRIPT, FAILING, UNDO, NETWORK_SCRIPT):
        assert found.count(script) == 1
        assert hashlib.sha256(script.encode()).hexdigest() in runbook(material(aki))


def test_unconnected_it_says_so_and_tells_from_the_journal(aki: ClusterFile) -> None:
    text = runbook(material(aki, unseen="no route to host", planned=plans()))
    assert "**No host was looked at**: no route to host." in text
    assert "What ran" in text
    assert "by the journal" in text
    assert "30 GiB free" not in text, "what was not looked at has no verdict"


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_every_example_makes_a_runbook_without_any_host(example: str) -> None:
    file = load(EXAMPLES / example)
    fresh = planned_fresh(file.cluster, catalog.STAGES, 120)
    text = runbook(Material(file.cluster, file.text(), catalog.STAGES, fresh, (), AT, "not reachable"))
    assert "a secret is masked here" not in text
    assert file.text() in blocks(text)
    for each in fresh:
        assert not isinstance(each.plan, Unknown) or each.step.only_checks, f"{each.name}: {each.reason}"
        assert any(each.step.id in heading for heading in headings(text))
        for script in each.scripts:
            assert script in blocks(text)
    for path in re.findall(r"^put (\S+)", "".join(script for each in fresh for script in each.scripts), re.M):
        assert f"`{path}`" in text


def test_what_only_the_host_knows_is_marked() -> None:
    file = load(EXAMPLES / "dhcp.yaml")
    fresh = planned_fresh(file.cluster, catalog.STAGES, 120)
    text = runbook(Material(file.cluster, file.text(), catalog.STAGES, fresh, (), AT, "not reachable"))
    assert "MACAddress=READ-FROM-THE-HOST{cat /sys/class/net/eno1/address}" in text
    assert "arked `READ-FROM-THE-HOST{COMMAND}`" in text


# ---------------------------------------------------------------- a real engine, and no host


def engine(tmp_path: Path, **more: Any) -> Engine:
    """Of a cluster whose hypervisor does not answer: nothing listens on port 1 of this machine."""
    (tmp_path / "ssh_config").write_text("Host *\n  Port 1\n")
    (tmp_path / "cluster.yaml").write_text(
        f"name: aki\nhypervisor:\n  ssh: owner@127.0.0.1 # {CANARY}\nbridge:\n  port: enp4s0\n"
        "  addresses: [192.168.182.100/24]\n  gateway: 192.168.182.1\n"
    )
    settings = Settings(state_dir=tmp_path / "state", ssh_config=tmp_path / "ssh_config", **more)
    return Engine(load(tmp_path / "cluster.yaml"), settings, lambda question: None, lambda event: None)


def test_an_engine_that_reaches_no_host_exports_from_its_journal(tmp_path: Path) -> None:
    with_journal = engine(tmp_path)
    try:
        with_journal.journal.append("skipped", "isolated.network", HYPERVISOR, reason="later")
        text = export(with_journal)
    finally:
        with_journal.close()
    assert "No host was looked at" in text
    assert "`isolated.network` was skipped" in text
    assert "05-homek8s-br0.netdev" in text


def test_no_secret_gets_in(tmp_path: Path) -> None:
    """A canary in every place that a secret could get to."""
    of = engine(tmp_path)
    journal: Journal = of.journal
    try:
        (journal.directory / "logs").mkdir()
        (journal.directory / "logs" / "a1.log").write_text(CANARY)
        script = SCRIPT.replace("[Match]", f"PrivateKey={CANARY}\n# {CANARY}")
        journal.append("measured", target=HYPERVISOR, fact="fsync", rc=0, out=CANARY)
        journal.append("started", "bridge.port", HYPERVISOR)
        intent = {"host": CANARY, "title": CANARY, "script": script, "reach": [CANARY], "probes": [[CANARY, CANARY]]}
        journal.append("intent", "bridge.port", HYPERVISOR, "a1", part=1, parts=1, limit=1, **intent)
        journal.append("ended", "bridge.port", HYPERVISOR, "a1", word="ended", rc=0, seconds=1.0)
        journal.append("settled", "bridge.port", HYPERVISOR, "a1", kept=True, why=CANARY)
        journal.append("done", "bridge.port", HYPERVISOR, "a1", reason=CANARY)
        journal.append("failed", "old.step", CANARY, reason=CANARY)
        text = export(of, [Secret(CANARY)])
    finally:
        of.close()
    assert CANARY not in text
    assert base64.b64encode(CANARY.encode()).decode()[:-4] not in text
    assert "a secret is masked here, so this is not the whole script" in text


# ---------------------------------------------------------------- hostile content

BREAKING = ("```\n# Owned\n", "````````", "</details>", "<script>alert(1)</script>", "`", "~~~\n", "<!--")
HIDING = ("\x1b[2J\x1b]0;x\x07", "\u202e", "\0", "\udcff", "\r\n# Owned\r\n", "\n\n# Owned\n\n")
NASTY = st.sampled_from([*BREAKING, *HIDING, "| a | b |\n|---|---|\n", "[x](javascript:x)"])


@settings(max_examples=25, deadline=None)
@given(st.lists(NASTY, min_size=1, max_size=5).map("".join))
def test_hostile_content_stays_content(text: str) -> None:
    file = load(EXAMPLES / "aki.yaml")
    content = text.replace("\0", "") + "\n"
    part = Part(
        HYPERVISOR,
        text,
        (WriteFile("/etc/`x`</details>", content, None),),
        guard=Guard((text,), (Probe(text, ("x",)),)),
    )
    clean = replace(part, title="t", guard=Guard(("a",), (Probe("b", ("x",)),)))

    def made(part: Part, words: str, content: str) -> str:
        script = compile_part("bridge.port", HYPERVISOR, part)
        do = Do(words, (part,), (words,), irreversible=words)
        asked = (Check("a", words, Verdict.STOP, words, words, words),)
        found = planned(PORT, do, State.TODO, words, scripts=(script,), checks=asked)
        log = Log()
        log.run("07:00:00", "bridge.port", script, 0, "failed", words, kept=True, why=words)
        log.add("07:01:00", "skipped", "guests.attach@aki1", reason=words)
        return runbook(Material(file.cluster, content, STAGES, (found,), tuple(log.entries), AT))

    hostile, plain = made(part, text, content), made(clean, "words", "name: aki\n")
    assert headings(hostile) == headings(plain)
    kinds = [token.type for token in parsed(hostile)]
    assert "html_block" not in kinds
    assert "table_open" not in kinds
    assert not any(child.type == "html_inline" for token in parsed(hostile) for child in token.children or ())
    assert not set(hostile) & set("\x1b\0\r\u202e\x07\udcff")
