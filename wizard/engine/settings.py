"""How the engine is to behave, as the command line says; nothing of it is the owner's wish for the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GUARD_SECONDS = 120
LEAST_GUARD_SECONDS = 15


@dataclass(frozen=True)
class Settings:
    state_dir: Path | None = None
    """Where all clusters' journals lie; None: $XDG_STATE_HOME/homek8s-wizard."""
    ssh_config: Path | None = None
    """Instead of ~/.ssh/config."""
    guard_seconds: int = GUARD_SECONDS
    """After which an unconfirmed change that may cut SSH is undone by the host itself."""
    take_over: bool = False
    """Work on a host that another wizard's journal owns."""
    at_keyboard: bool = False
    """Somebody sees the questions: a change over loopback can then be confirmed by hand."""

    def directory(self, cluster: str) -> Path:
        if self.state_dir is not None:
            return self.state_dir / cluster
        import platformdirs

        return platformdirs.user_state_path("homek8s-wizard", appauthor=False) / cluster
