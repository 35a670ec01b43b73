"""The directory of an export: made, or written anew where it holds nothing but an earlier export of ours, unchanged."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wizard.errors import InputError, InputFinding
from wizard.runbook.scripts import Exported

README = "README.txt"
SUMS = "SHA256SUMS"
"""As sha256sum(1) checks it. It says which files are ours: those that it names, with that content."""
OURS = "# Exported by homek8s-wizard; it replaces these files as long as nobody changed them."


def write(exported: Exported, directory: Path) -> None:
    """Raises `InputError` where something else is in the directory; nothing of it is touched then."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        earlier = _ours(directory)
        for path in earlier:
            path.unlink()
        _write_all(exported, directory)
    except OSError as error:
        raise _refused(directory, f"it cannot be written: {error.strerror}", "Choose another directory.") from error


def _write_all(exported: Exported, directory: Path) -> None:
    files = {**dict(exported.scripts), README: exported.readme}
    contents = {name: text.encode("utf-8", "surrogateescape") for name, text in files.items()}
    # The sums first: if this is cut off, what is there is still known as ours.
    sums = [OURS, *(f"{_sha256(content)}  {name}" for name, content in contents.items()), ""]
    for name, content in {SUMS: "\n".join(sums).encode(), **contents}.items():
        path = directory / name
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(content)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)


def _ours(directory: Path) -> tuple[Path, ...]:
    """The files of an earlier export, the sums last."""
    sums = _sums(directory / SUMS)
    found = sorted(directory.iterdir(), key=lambda path: (path.name == SUMS, path.name))
    for path in found:
        if path.is_symlink() or not path.is_file() or path.name not in sums:
            cure = "Choose a directory that is empty or not there yet, or one with an earlier export and nothing else."
            raise _refused(directory, f"{path.name} is in it, and is not from an export", cure)
        if sums[path.name] not in ("", _sha256(path.read_bytes())):
            raise _refused(directory, f"{path.name} in it was changed since it was exported", "Move it away first.")
    return tuple(found)


def _sums(path: Path) -> dict[str, str]:
    """Name to checksum, the sums themselves among them without one; empty where they are not of an export."""
    lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    if lines[:1] != [OURS]:
        return {}
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines[1:])}
    return {**sums, path.name: ""}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _refused(directory: Path, message: str, cure: str) -> InputError:
    return InputError([InputFinding(str(directory), 0, "", message, cure)])
