"""What is installed by a user: the wheel alone, in an empty environment, run from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("HOMEK8S_CACHE", "/var/cache/homek8s-wizard")) / "pip"


def run(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command, its output shown when it fails; pip's cache is the one that `dev` filled."""
    environment = {**os.environ, **({"PIP_CACHE_DIR": str(CACHE)} if os.access(CACHE, os.W_OK) else {})}
    done = subprocess.run(
        [str(word) for word in argv], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, PROJECT, cwd=out)
    [built] = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_two_packages_with_their_templates(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"wizard", "screens", f"{wheel.name.split('-py3')[0]}.dist-info"}
    here = {
        f"wizard/templates/{path.relative_to(PROJECT / 'templates')}" for path in (PROJECT / "templates").rglob("*.*")
    }
    assert here
    assert here <= set(names)
    assert "screens/app.tcss" in names


def test_it_exports_a_runbook_from_any_directory(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    locked = re.findall(r"^([A-Za-z0-9._-]+==[^\s\\]+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)
    (tmp_path / "constraints").write_text("\n".join(locked) + "\n")
    run(home / "bin" / "pip", "install", "-q", "-c", tmp_path / "constraints", wheel, cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = run(home / "bin" / "homek8s-wizard", "export", "-c", PROJECT / "examples" / "aki.yaml", cwd=elsewhere)
    assert "05-homek8s-br0.netdev" in done.stdout
    assert "virsh net-define" in done.stdout
