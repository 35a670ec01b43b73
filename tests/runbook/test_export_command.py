"""`homek8s-wizard export` in its three forms, where no host answers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from wizard.cli.entry import run


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The command takes them for itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Of a cluster whose hypervisor does not answer: nothing listens on port 1 of this machine."""
    (tmp_path / "ssh_config").write_text("Host *\n  Port 1\n")
    (tmp_path / "cluster.yaml").write_text(
        "name: aki\nhypervisor:\n  ssh: owner@127.0.0.1\nisolated:\n  name: kube-isolated\n  cidr: 192.168.190.0/24\n"
    )
    given = ["-c", "cluster.yaml", "--ssh-config", "ssh_config", "--state-dir", "state"]
    return ["export", *(str(tmp_path / each) if each[0] != "-" else each for each in given)]


def test_scripts_go_into_a_directory(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "exported"
    for _ in range(2):
        assert run([*arguments, "--format", "sh", "-o", str(directory)]) == 0
        assert f"2 to run, in {directory}; begin with {directory}/README.txt" in capsys.readouterr().err
    names = sorted(path.name for path in directory.iterdir())
    scripts = ["01-hypervisor-preflight.packages.sh", "02-hypervisor-isolated.network.sh"]
    assert names == [*scripts, "README.txt", "SHA256SUMS"]
    assert "No host was looked at" in (directory / "README.txt").read_text()


def test_a_directory_must_be_named_and_ours(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--format", "sh"]) == 2
    assert "-o DIR" in capsys.readouterr().err
    assert run([*arguments, "--format", "sh", "-o", str(tmp_path)]) == 2
    assert "cluster.yaml is in it, and is not from an export" in capsys.readouterr().err
    assert (tmp_path / "cluster.yaml").exists()


def test_a_page_goes_to_standard_output_or_a_file(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--format", "html"]) == 0
    assert capsys.readouterr().out.startswith("<!DOCTYPE html>")
    assert run([*arguments, "--format", "html", "-o", str(tmp_path / "runbook.html")]) == 0
    assert "<h1>Runbook of the cluster <code>aki</code></h1>" in (tmp_path / "runbook.html").read_text()
