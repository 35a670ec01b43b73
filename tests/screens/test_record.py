"""What the screens leave on disk is the owner's alone, and holds no secret."""

from __future__ import annotations

import stat

from screens.record import Record


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_for_the_owner_alone(tmp_path):
    record = Record(tmp_path / "state" / "aki")
    record.keep_lines(["one", "two"])
    record.keep_lines(["three"])
    assert record.log.read_text() == "one\ntwo\nthree\n"
    assert record.keep_error("it broke").read_text() == "it broke"
    assert record.keep_error("x").read_text() == "x"
    assert mode(record.log) == mode(record.directory / "last-error.txt") == 0o600
    assert mode(record.directory) == 0o700


def broken(password):
    raise ValueError(f"cannot use {password}")


def test_a_report_says_where_and_not_with_what(tmp_path):
    try:
        try:
            broken("hunter2")
        except ValueError as error:
            raise KeyError("hunter2") from error
    except KeyError as error:
        path = Record(tmp_path).keep_bug(error)
    text = path.read_text()
    assert "ValueError" in text
    assert "KeyError" in text
    assert "in broken" in text
    assert "hunter2" not in text
    assert mode(path) == 0o600


def test_a_disk_that_takes_nothing_is_no_reason_to_stop(tmp_path):
    (tmp_path / "file").write_text("")
    record = Record(tmp_path / "file" / "below")
    record.keep_lines(["one"])
    assert str(record.keep_error("x")) == "/dev/null"
