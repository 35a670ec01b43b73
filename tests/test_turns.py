"""Tests that take turns: one of a kind in each run, each of them in some run, and all where nobody asks for turns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest

def test_always(): ...

@pytest.mark.turns("place")
@pytest.mark.parametrize("place", [1, 2, 3])
@pytest.mark.parametrize("family", ["nft", "legacy"])
def test_at_a_place(place, family): ...

@pytest.mark.turns(at="a whole life")
def test_a_life(): ...

@pytest.mark.turns(at="a whole life")
def test_another_life(): ...
"""


def chosen(file: Path, *options: str) -> list[str]:
    argv = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--collect-only", "-q", *options, str(file)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line)


def test_one_of_a_kind_and_each_of_them_some_time(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(TESTS)
    everything = chosen(file)
    runs = [chosen(file, "--turns", f"--randomly-seed={seed}") for seed in range(10)]
    assert len(everything) == 9
    assert {name for run in runs for name in run} == {*everything}
    for run in runs:
        assert len(run) == 4
        assert "test_always" in run
        assert sum("nft" in name for name in run) == sum("legacy" in name for name in run) == 1
        assert sum(name.endswith("_life") for name in run) == 1
