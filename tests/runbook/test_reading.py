"""A script read back says what its actions were, whatever the files hold."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.actions import Action, Install, OnUndo, RemoveFile, RestoreFile, Run, TakeBack, Wait, WriteFile
from wizard.model import HYPERVISOR, Guard, Part
from wizard.runbook.lasting import comes_back
from wizard.runbook.reading import Back, Body, Command, File, Gone, read_script
from wizard.script import compile_part

ODD = ("}", "main() {", "clean_up() {", "END_OF_FILE", "END_OF_FILE_", "put /x 0644 absent <<'END_OF_FILE'", "arm 5")
ODDER = ("it's", 'say "', "on_undo x", "", "\x0b", "```", "\u2028", "[Match]", "\udcff")
ANY = st.characters(exclude_characters="\0\n", exclude_categories=["Cs"])
LINE = st.sampled_from([*ODD, *ODDER]) | st.text(ANY, max_size=12)
CONTENT = st.lists(LINE, min_size=1, max_size=8).map(lambda lines: "".join(f"{line}\n" for line in lines))
PATH = st.sampled_from(["/etc/x.conf", "/etc/it's here", "/etc/a b", '/etc/"', "/etc/$(x)"])
WORD = st.text(st.characters(exclude_characters="\0\n\t", exclude_categories=["Cs"]), min_size=1, max_size=8)
ACTION = st.one_of(
    st.builds(WriteFile, PATH, CONTENT, st.none() | CONTENT, st.sampled_from([0o644, 0o600])),
    st.builds(RemoveFile, PATH, CONTENT),
    st.builds(lambda words: Run(("frobnicate", *words)), st.lists(WORD, max_size=3)),
)


def read(*actions: Action, always: tuple[Action, ...] = (), guard: Guard | None = None) -> Body:
    part = Part(HYPERVISOR, "a part", actions, always, guard=guard)
    return read_script(compile_part("bridge.port", HYPERVISOR, part, guard_seconds=90))


@settings(max_examples=40, deadline=None)
@given(st.lists(ACTION, max_size=5), st.lists(ACTION, max_size=2))
def test_files_and_commands_come_back_in_order(actions: list[Action], always: list[Action]) -> None:
    body = read(*actions, always=tuple(always))
    for deeds, wanted in ((body.main, actions), (body.always, always)):
        assert len(deeds) == len(wanted)
        for deed, action in zip(deeds, wanted, strict=True):
            match action:
                case WriteFile(path=path, content=content, was=was, mode=mode):
                    assert deed == File(path, f"{mode:04o}", content, new=was is None)
                case RemoveFile(path=path):
                    assert deed == Gone(path)
                case Run():
                    assert deed == Command(action.line())
    assert body.guard == 0


def test_the_way_back_is_in_the_order_to_do_it() -> None:
    body = read(
        OnUndo(Run(("networkctl", "reload"))),
        WriteFile("/etc/new", "x\n", None),
        WriteFile("/etc/changed", "x\n", "y\n"),
        RemoveFile("/etc/gone", "x\n"),
        Run(("systemctl", "enable", "x"), undo=Run(("systemctl", "disable", "x"))),
    )
    assert body.back == (
        Command("systemctl disable x"),
        Back("/etc/gone", remove=False),
        Back("/etc/changed", remove=False),
        Back("/etc/new", remove=True),
        Command("networkctl reload"),
    )


def test_a_guard_is_seen() -> None:
    assert read(Run(("true",)), guard=Guard(())).guard == 90


SEEN = Wait(("sh", "-c", "ip link show br0 | grep -q 'state UP'"), 15, "br0 is up")


@pytest.mark.parametrize(
    ("action", "line", "words"),
    [
        (SEEN, "until ip link show br0 | grep -q 'state UP'; do sleep 1; done", "at most 15 s, until br0 is up:"),
        (
            Run(("systemctl", "restart", "x"), unless=SEEN.argv()),
            "systemctl restart x",
            "only if it does not come about within 15 s that br0 is up:",
        ),
        (
            Run(("virsh", "net-start", "x"), unless=("test", "-e", "/run/a b")),
            "test -e '/run/a b' || virsh net-start x",
            "",
        ),
        (Install(("ovmf", "virtinst")), "apt-get install --no-install-recommends ovmf virtinst", ""),
        (RestoreFile("/etc/x", "0f", None), "rm -f /etc/x", ""),
        (RestoreFile("/etc/x", "0f", "/var/lib/b"), "cp -p /var/lib/b /etc/x", ""),
        (TakeBack("packages_remove ovmf"), "apt-get remove ovmf", ""),
        (
            Run(("kube_key", "https://x/k", "/etc/k.gpg")),
            "curl -fsSL https://x/k | gpg --dearmor --yes -o /etc/k.gpg",
            "",
        ),
        (Run(("kube_key", "/etc/k.asc", "/etc/k.gpg")), "gpg --dearmor --yes -o /etc/k.gpg /etc/k.asc", ""),
        (
            Run(("kube_there", "1.36.*", "kubelet", "kubectl")),
            "apt-cache madison kubelet kubectl",
            "there must be a version 1.36.* of each:",
        ),
        (Run(("put_block", "/etc/hosts", "# a", "# b", "1 c")), "printf '%s\\n' '# a' '1 c' '# b' >>/etc/hosts", ""),
        (Run(("containerd_serves", "60")), "ctr plugins ls | grep cri", "at most 60 s, until it is ok:"),
        (TakeBack("put_block /etc/hosts '# a' '# b'"), "sed -i '\\|^# a$|,\\|^# b$|d' /etc/hosts", ""),
        (Run(("sh", "-c", "echo ' >/dev/null 2>&1 || '")), "sh -c 'echo '\"'\"' >/dev/null 2>&1 || '\"'\"''", ""),
        (Run(("put", "x", "0644", "absent")), "put x 0644 absent", ""),
    ],
)
def test_words_of_the_library_become_commands(action: Action, line: str, words: str) -> None:
    assert read(action).main == (Command(line, words),)


def test_a_script_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    script = compile_part("a.b", HYPERVISOR, Part(HYPERVISOR, "p", (WriteFile("/etc/x", "a\nb\n", None),)))
    for end in range(0, len(script), 7):
        read_script(script[:end])
    assert read_script("") == Body(0, (), (), ())


def test_what_comes_back_after_a_restart_is_told_from_what_was_done() -> None:
    body = read(WriteFile("/etc/systemd/network/05-x.network", "x\n", None), Run(("virsh", "net-autostart", "x")))
    first, second = comes_back([body])
    assert "systemd-networkd" in first
    assert "net-autostart" in second
    assert comes_back([read(Run(("virsh", "autostart", "aki0")))]) == (
        "libvirt starts the guests that are marked with `virsh autostart`.",
    )
