"""A file of the owner's written whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(file: Path, text: str) -> None:
    """It has this content, 0600; its directory is there. Raises OSError, and leaves nothing beside it."""
    handle, part = tempfile.mkstemp(prefix=".hk8s.", dir=file.parent)  # 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, file)
    except BaseException:
        os.unlink(part)
        raise
