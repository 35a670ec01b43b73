"""Files of the owner's own machine, read where they are: beside cluster.yaml, in the home, anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wizard.facts.owner_files import owner_file
from wizard.model import Known, Unseen
from wizard.remote.local import LocalConnection
from wizard.remote.observe import observe


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    (tmp_path / "a file").mkdir()
    (tmp_path / "it's $(a) key.asc").write_text("key\n")
    (tmp_path / "-n").write_text("dash")
    (tmp_path / "big").write_bytes(b"x" * (1024 * 1024 + 1))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "dangling").symlink_to("nowhere")
    return tmp_path


def seen(beside: Path, path: str) -> object:
    fact = owner_file(path)
    return observe(LocalConnection(beside, beside / "here"), [fact])[fact.id]


@pytest.mark.parametrize(("path", "content"), [("it's $(a) key.asc", "key\n"), ("-n", "dash"), ("no-such", None)])
def test_beside_the_cluster_file(beside: Path, path: str, content: str | None) -> None:
    assert seen(beside, path) == Known(content)
    assert seen(beside, str(beside / path)) == Known(content)


def test_in_the_home(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(beside))
    assert seen(Path("/"), "~/it's $(a) key.asc") == Known("key\n")


@pytest.mark.parametrize(
    ("path", "why"), [("a file", "no file"), ("big", "1 MiB"), ("bytes", "UTF-8"), ("dangling", "no file")]
)
def test_what_cannot_be_used_says_why(beside: Path, path: str, why: str) -> None:
    answer = seen(beside, path)
    assert isinstance(answer, Unseen)
    assert why in answer.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(beside: Path) -> None:
    (beside / "-n").chmod(0)
    assert "cannot be read" in str(seen(beside, "-n"))
