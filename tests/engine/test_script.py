"""A part as a script: what it does to files, by a local sh in a directory of its own; shellcheck likes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from wizard.actions import (
    EditLine,
    Hole,
    OnUndo,
    RemoveFile,
    RestoreFile,
    Run,
    SecretFile,
    TakeBack,
    Wait,
    WriteFile,
    digest,
)
from wizard.facts.ours import parse_ours
from wizard.model import Guard, Output, Part
from wizard.script import compile_part

HYPERVISOR = "hypervisor"


class Host:
    """A directory that stands for the host's memory; files are written beside it, never outside `tmp_path`."""

    def __init__(self, tmp_path: Path) -> None:
        self.etc = tmp_path / "etc"
        self.etc.mkdir()
        self.memory = tmp_path / "memory"

    def run(self, part: Part, attempt: str = "a1") -> subprocess.CompletedProcess[str]:
        script, here = compile_part("a.step", HYPERVISOR, part), {**os.environ, "HK8S_HOME": str(self.memory)}
        return subprocess.run(
            ["sh", "-s", "--", attempt], input=script, env=here, capture_output=True, text=True, timeout=30
        )

    def manifest(self) -> list[list[str]]:
        return [line.split("\t") for line in (self.memory / "manifest").read_text().splitlines()]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_file_is_written_with_its_mode_and_its_before_image_is_kept(host: Host) -> None:
    path = host.etc / "a b.conf"
    path.write_text("old\n")
    done = host.run(Part(HYPERVISOR, "t", (WriteFile(str(path), "new\n", "old\n", 0o600),)))
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o777 == 0o600
    [[_, _, kind, what, sha, before]] = host.manifest()
    assert (kind, what, sha) == ("file", str(path), digest("new\n"))
    assert Path(before).read_text() == "old\n"


def test_a_second_run_changes_and_notes_nothing(host: Host) -> None:
    part = Part(HYPERVISOR, "t", (WriteFile(str(host.etc / "a"), "x\n", None), Run(("touch", str(host.etc / "ran")))))
    host.run(part)
    before = host.manifest()
    assert host.run(part, "a2").returncode == 0
    assert host.manifest() == before


RULE = "PostUp = iptables -t nat -A POSTROUTING -o 'br0' -j MASQUERADE; echo \\\\ $x"
NARROW = "PostUp = iptables -t nat -A POSTROUTING -s 10.8.0.0/24 -o 'br0' -j MASQUERADE; echo \\\\ $x"


@pytest.mark.parametrize(
    ("rule", "narrow"),
    [
        (RULE, NARROW),
        (RULE.replace(" ", "\t"), NARROW.replace(" ", "\t")),
        (f"\t{RULE}\t'\t$tab", NARROW),
        (f"{RULE} || a\t'b", f"{NARROW} || a\t'b"),
    ],
)
def test_one_line_of_a_foreign_file(host: Host, rule: str, narrow: str) -> None:
    path = host.etc / "wg 0.conf"
    path.write_text(f"[Interface]\nPrivateKey = hush\n{rule}\n{rule}x")
    path.chmod(0o600)
    part = Part(HYPERVISOR, "t", (EditLine(str(path), rule, narrow),))
    for attempt in ("a1", "a2"):
        done = host.run(part, attempt)
        assert done.returncode == 0, done.stderr
        assert path.read_text() == f"[Interface]\nPrivateKey = hush\n{narrow}\n{rule}x\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "hush" not in done.stdout + done.stderr
    assert not [file for file in host.memory.rglob("*") if file.is_file() and "hush" in file.read_text()]
    [[*_, kind, inverse, _, _]] = host.manifest()
    assert kind == "undo"
    back = TakeBack(inverse)
    assert back.summary == f"put the line back in {path}"
    assert host.run(Part(HYPERVISOR, "back", (back,)), "a3").returncode == 0
    assert path.read_text() == f"[Interface]\nPrivateKey = hush\n{rule}\n{rule}x\n"


def test_a_line_that_is_there_twice_is_changed_twice(host: Host) -> None:
    path = host.etc / "wg0.conf"
    path.write_text(f"{RULE}\nother\n{RULE}\n")
    assert host.run(Part(HYPERVISOR, "t", (EditLine(str(path), RULE, NARROW),))).returncode == 0
    assert path.read_text() == f"{NARROW}\nother\n{NARROW}\n"
    [[*_, inverse, _, _]] = host.manifest()
    assert host.run(Part(HYPERVISOR, "back", (TakeBack(inverse),)), "a2").returncode == 0
    assert path.read_text() == f"{RULE}\nother\n{RULE}\n"


@pytest.mark.parametrize("content", ["other\n", f" {RULE}\n", ""])
def test_a_line_that_is_not_there_is_said(host: Host, content: str) -> None:
    path = host.etc / "wg0.conf"
    path.write_text(content)
    done = host.run(Part(HYPERVISOR, "t", (EditLine(str(path), RULE, NARROW),)))
    assert done.returncode == 75
    assert "has no line that reads" in done.stderr
    assert path.read_text() == content


def test_a_file_that_changed_since_the_plan_is_left_alone(host: Host) -> None:
    path = host.etc / "a"
    path.write_text("edited\n")
    done = host.run(Part(HYPERVISOR, "t", (WriteFile(str(path), "new\n", "old\n"),)))
    assert done.returncode == 75
    assert "no longer as it was" in done.stderr
    assert path.read_text() == "edited\n"
    assert [each.name for each in host.etc.iterdir()] == ["a"]


@pytest.mark.parametrize("make", ["symlink", "directory"])
def test_a_link_or_a_directory_is_not_followed(host: Host, make: str) -> None:
    path = host.etc / "a"
    if make == "symlink":
        (host.etc / "elsewhere").write_text("theirs\n")
        path.symlink_to(host.etc / "elsewhere")
    else:
        path.mkdir()
    done = host.run(Part(HYPERVISOR, "t", (WriteFile(str(path), "new\n", None),)))
    assert done.returncode == 1
    assert "left as it is" in done.stderr
    assert make == "directory" or (host.etc / "elsewhere").read_text() == "theirs\n"


def test_content_that_looks_like_the_end_of_a_here_document_arrives_whole(host: Host) -> None:
    content = "END_OF_FILE\nEND_OF_FILE_\n$HOME `id` \\ 'quoted' \"twice\"\n"
    path = host.etc / "a"
    assert host.run(Part(HYPERVISOR, "t", (WriteFile(str(path), content, None),))).returncode == 0
    assert path.read_text() == content


def test_a_removed_file_comes_back_by_its_inverse(host: Host) -> None:
    path = host.etc / "a"
    path.write_text("theirs\n")
    host.run(Part(HYPERVISOR, "t", (RemoveFile(str(path), "theirs\n"),)))
    assert not path.exists()
    [[*_, before]] = host.manifest()
    done = host.run(Part(HYPERVISOR, "u", (RestoreFile(str(path), "absent", before),)), "a2")
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "theirs\n"


def test_the_way_back_is_noted_before_the_deed_and_read_back_in_reverse(host: Host) -> None:
    first, second = str(host.etc / "first"), str(host.etc / "new" / "second")
    part = Part(
        HYPERVISOR,
        "t",
        (
            OnUndo(Run(("echo", "last"))),
            WriteFile(first, "1\n", None),
            WriteFile(second, "2\n", None),
            Run(("false",), undo=Run(("echo", "failed"))),
        ),
    )
    assert host.run(part).returncode == 1
    notes = "".join(f"note {line}\n" for line in (host.memory / "manifest").read_text().splitlines())
    ours = parse_ours(Output(0, f"machine m\nboot b\n{notes}".encode()))
    assert [action.summary for action in ours.inverses("a.step@hypervisor")] == [
        "echo failed",
        f"remove {second}",
        f"remove the directory {host.etc}/new if it is empty",
        f"remove {first}",
        "echo last",
    ]


def test_the_clean_up_runs_when_the_script_fails_too(host: Host) -> None:
    part = Part(HYPERVISOR, "t", (Run(("false",)),), always=(Run(("touch", str(host.etc / "cleaned"))),))
    assert host.run(part).returncode == 1
    assert (host.etc / "cleaned").exists()


def test_unless_leaves_a_command_out(host: Host) -> None:
    part = Part(HYPERVISOR, "t", (Run(("touch", str(host.etc / "ran")), unless=("true",)),))
    assert host.run(part).returncode == 0
    assert not (host.etc / "ran").exists()


def test_waiting_ends_with_the_reason(host: Host) -> None:
    done = host.run(Part(HYPERVISOR, "t", (Wait(("false",), 0, "pigs fly"),)))
    assert done.returncode == 1
    assert "still not so after 0 s: pigs fly" in done.stderr


@pytest.mark.parametrize("guard", [None, Guard(("192.0.2.1",))])
def test_shellcheck_finds_nothing(guard: Guard | None, tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    part = Part(
        HYPERVISOR,
        "t",
        (WriteFile("/etc/a'b", "x\n", None), Run(("echo", "it's"), unless=("false",), undo=Run(("rm", "-f", "a b")))),
        guard=guard,
    )
    script = tmp_path / "script"
    script.write_text(compile_part("a.step", HYPERVISOR, part))
    done = subprocess.run(["shellcheck", "-s", "sh", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


TOKEN = Hole("join-token", "aki0", ("kubeadm", "token", "create"), "a bootstrap token")
CA = Hole("ca", "aki0", ("cat", "/etc/kubernetes/pki/ca.crt"), "the CA")
JOIN = "token: SECRET{join-token} # SECRET{join-token}\nca: |\nSECRET{ca}\n$HOME & \\1\n"


def brought(host: Host, **secrets: str) -> None:
    place = host.memory / "secrets" / "a1"
    place.mkdir(parents=True)
    for name, value in secrets.items():
        (place / name.replace("_", "-")).write_text(value)


def test_secrets_are_filled_in_and_nowhere_else(host: Host) -> None:
    path = host.etc / "join.yaml"
    brought(host, join_token="abcdef.0123456789abcdef\n", ca="-----BEGIN\nx&y\\1\n-----END\n")
    done = host.run(Part(HYPERVISOR, "t", (SecretFile(str(path), JOIN, (TOKEN, CA)),)))
    assert done.returncode == 0, done.stderr
    token = "abcdef.0123456789abcdef"
    assert path.read_text() == f"token: {token} # {token}\nca: |\n-----BEGIN\nx&y\\1\n-----END\n$HOME & \\1\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert token not in done.stdout + done.stderr
    assert not [file for file in host.memory.rglob("*") if file.is_file() and token in file.read_text()]


@pytest.mark.parametrize("given", [{}, {"join_token": "", "ca": "x"}, {"ca": "x"}])
def test_without_its_secrets_a_file_is_not_written(host: Host, given: dict[str, str]) -> None:
    path = host.etc / "join.yaml"
    brought(host, **given)
    done = host.run(Part(HYPERVISOR, "t", (SecretFile(str(path), JOIN, (TOKEN, CA)),)))
    assert done.returncode == 5
    assert (
        "the secret join-token was not brought here (a bootstrap token; on aki0: kubeadm token create)" in done.stderr
    )
    assert not path.exists()
