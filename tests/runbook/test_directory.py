"""The directory of an export: new, empty, or an earlier export of ours; anything of somebody else's stays."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from wizard.errors import InputError
from wizard.runbook.directory import SUMS, write
from wizard.runbook.scripts import Exported

FIRST = Exported((("01-a.sh", "#!/bin/sh\n"), ("02-b.sh", "#!/bin/sh\n")), "Read me.\n", 2)
SECOND = Exported((("01-c.sh", "#!/bin/sh\necho \udcff\n"),), "Read me again.\n", 1)


def there(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != SUMS}


def test_it_is_made_with_its_files(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "exported"
    write(FIRST, directory)
    assert there(directory) == {"01-a.sh": b"#!/bin/sh\n", "02-b.sh": b"#!/bin/sh\n", "README.txt": b"Read me.\n"}
    assert stat.S_IMODE((directory / "01-a.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((directory / "README.txt").stat().st_mode) == 0o644
    done = subprocess.run(["sha256sum", "-c", "--strict", SUMS], cwd=directory, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["", "01-a.sh", "README.txt"])
def test_an_earlier_export_is_replaced_also_one_cut_off(tmp_path: Path, missing: str) -> None:
    write(FIRST, tmp_path)
    if missing:
        (tmp_path / missing).unlink()
    write(SECOND, tmp_path)
    assert there(tmp_path) == {"01-c.sh": b"#!/bin/sh\necho \xff\n", "README.txt": b"Read me again.\n"}


def foreign_file(directory: Path) -> None:
    (directory / "notes.txt").write_text("mine")


def foreign_directory(directory: Path) -> None:
    (directory / "more").mkdir()


def link_in_place(directory: Path) -> None:
    target = directory.parent / "elsewhere"
    target.write_bytes((directory / "01-a.sh").read_bytes())
    (directory / "01-a.sh").unlink()
    (directory / "01-a.sh").symlink_to(target)


def edited(directory: Path) -> None:
    (directory / "01-a.sh").write_text("#!/bin/sh\necho mine\n")


def foreign_sums(directory: Path) -> None:
    """As beside downloaded images: all of it checks, none of it is ours."""
    lines = (directory / SUMS).read_text().splitlines(keepends=True)[1:]
    (directory / SUMS).write_text("".join(lines))


@pytest.mark.parametrize("change", [foreign_file, foreign_directory, link_in_place, edited, foreign_sums])
def test_what_is_not_ours_is_named_and_nothing_is_touched(tmp_path: Path, change: object) -> None:
    directory = tmp_path / "exported"
    write(FIRST, directory)
    assert callable(change)
    change(directory)
    before = {path.name: path.lstat() for path in directory.iterdir()}
    with pytest.raises(InputError, match=r"is in it, and is not from an export|was changed since it was exported"):
        write(SECOND, directory)
    assert {path.name: path.lstat() for path in directory.iterdir()} == before


def test_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "exported").write_text("mine")
    with pytest.raises(InputError, match="cannot be written: File exists"):
        write(FIRST, tmp_path / "exported")
