"""containerd's file: edited in few lines, in each version; what Debian's 1.6, 1.7 and 2.1 made of it was captured.

tests/facts/fixtures/containerd: `containerd config default`, Debian's own file, and `containerd config dump` of it
(debian.dump), of docker.com's file (stub.dump), and of what `fitted` makes of docker.com's file (fitted.dump).
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path

import pytest

from wizard.facts.containerd import Containerd, Effective, effective, version_of
from wizard.stages.containerd_config import BIN_DIR, Wanted, fitted, lacking, version_for
from wizard.stages.toml_edit import CannotEdit, get, put

HERE = Path(__file__).parent.parent / "facts" / "fixtures" / "containerd"
VERSIONS = ("1.6.20", "1.7.24", "2.1.9")
PAUSE = "registry.k8s.io/pause:3.9"
SYSTEMD = Wanted(True, PAUSE)
DOCKERS = (HERE / "docker-stub.toml").read_text()


def read(version: str, name: str) -> str:
    return (HERE / version / name).read_text()


def changed(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-" and line[1:].strip()]


# ---------------------------------------------------------------- what containerd says


@pytest.mark.parametrize("version", VERSIONS)
def test_debians_own(version: str) -> None:
    found = effective(read(version, "debian.dump"))
    assert found.bin_dirs == ("/usr/lib/cni",)
    assert found.cri
    assert not found.systemd_cgroup
    assert found.sandbox.startswith("registry.k8s.io/pause:3.")
    assert lacking(found, SYSTEMD) == (
        "does not make control groups by systemd",
        "does not look for CNI plugins in /opt/cni/bin",
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_dockers_serves_no_kubernetes(version: str) -> None:
    found = effective(read(version, "stub.dump"))
    assert not found.cri
    assert lacking(found, Wanted(False, PAUSE))[0] == "serves no Kubernetes (its CRI plugin is switched off)"


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_written_is_what_it_runs_with(version: str) -> None:
    found = effective(read(version, "fitted.dump"))
    assert found == Effective((), True, (BIN_DIR,), PAUSE)
    assert lacking(found, Wanted(True, PAUSE, sandbox_must=True)) == ()
    assert lacking(found, Wanted(True, "mirror/pause:3.9", sandbox_must=True)) == (
        "does not take mirror/pause:3.9 for pods",
    )


def test_other_plugins_may_be_switched_off() -> None:
    assert Effective(disabled=("io.containerd.internal.v1.tracing",)).cri
    assert not Effective(disabled=("io.containerd.cri.v1.runtime",)).cri


def test_another_default_runtime_is_the_one_that_counts() -> None:
    text = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "nvidia"\n'
    runtime = '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]\nSystemdCgroup = true\n'
    assert effective(text + runtime).systemd_cgroup


# ---------------------------------------------------------------- a new file


@pytest.mark.parametrize(
    ("version", "candidate", "expected"),
    [
        ("1.6.20", "", 2),
        ("1.7.24", "", 2),
        ("2.0.5", "", 3),
        ("2.2.1", "", 3),
        ("2.3.0", "", 4),
        ("2.10.1", "", 4),
        ("", "1.6.20~ds1-1+deb12u3", 2),
        ("", "1:2.1.9-0ubuntu1", 3),
        ("", "", 2),
    ],
)
def test_its_version(version: str, candidate: str, expected: int) -> None:
    there = Containerd(version, candidate=candidate)
    assert version_for(there) == expected
    text = fitted(there, SYSTEMD)
    assert tomllib.loads(text)["version"] == expected
    assert fitted(Containerd(version, candidate=candidate, config=text), SYSTEMD) == text


def test_the_names_of_plugin_directories() -> None:
    runtime = ("plugins", "io.containerd.cri.v1.runtime", "cni")
    assert get(fitted(Containerd("2.0.5"), SYSTEMD), runtime, "bin_dir") == BIN_DIR
    assert get(fitted(Containerd("2.3.0"), SYSTEMD), runtime, "bin_dirs") == [BIN_DIR]
    deprecated = "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n  bin_dir = '/usr/lib/cni'\n"
    edited = fitted(Containerd("2.1.9", config=deprecated), SYSTEMD)
    assert get(edited, runtime, "bin_dir") == BIN_DIR
    assert get(edited, runtime, "bin_dirs") is None  # both at once are refused (containerd, internal/cri/config)


def test_a_runtime_that_is_named_has_a_type() -> None:
    """containerd 1.x makes an empty one of it otherwise, and starts no pod."""
    text = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]\n  BinaryName = "x"\n'
    runc = ("plugins", "io.containerd.grpc.v1.cri", "containerd", "runtimes", "runc")
    edited = fitted(Containerd("1.7.24", config=text), SYSTEMD)
    assert get(edited, runc, "runtime_type") == "io.containerd.runc.v2"
    assert get(edited, (*runc, "options"), "BinaryName") == "x"


# ---------------------------------------------------------------- a file that is there


@pytest.mark.parametrize("version", VERSIONS)
def test_few_lines_of_the_full_default(version: str) -> None:
    before = read(version, "default.toml")
    after = fitted(Containerd(version, config=before), Wanted(True, ""))
    assert len(changed(before, after)) <= 4
    again = fitted(Containerd(version, config=after), Wanted(True, ""))
    assert again == after


@pytest.mark.parametrize("version", VERSIONS)
def test_comments_stay(version: str) -> None:
    before = f"# mine\n{DOCKERS}# the end\n"
    after = fitted(Containerd(version, config=before), SYSTEMD)
    assert after.startswith(f"version = {version_for(Containerd(version))}\n# mine\n")
    assert "# the end" in after
    assert "disabled_plugins = []" in after


def test_what_else_is_switched_off_stays_so() -> None:
    before = 'version = 2\ndisabled_plugins = [\n  "cri",\n  "io.containerd.internal.v1.opt",\n]\nroot = "/x"\n'
    after = fitted(Containerd("1.7.24", config=before), SYSTEMD)
    assert tomllib.loads(after)["disabled_plugins"] == ["io.containerd.internal.v1.opt"]
    assert tomllib.loads(after)["root"] == "/x"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("version = 2\n[plugins\n", "no valid TOML"),
        ("[plugins.cri]\nsandbox_image = 'x'\n", "version 1"),
        ('version = 2\nplugins = {"io.containerd.grpc.v1.cri" = {cni = {bin_dir = "/usr/lib/cni"}}}\n', "of its own"),
        ('version = 2\n[plugins."io.containerd.grpc.v1.cri"]\ncni.bin_dir = "/usr/lib/cni"\n', "of its own"),
    ],
)
def test_what_is_not_edited(config: str, words: str) -> None:
    with pytest.raises(CannotEdit, match=words):
        fitted(Containerd("1.7.24", config=config), SYSTEMD)


# ---------------------------------------------------------------- one value


@pytest.mark.parametrize(
    ("text", "table", "expected"),
    [
        ("", (), "k = 1\n"),
        ("[t]\n", (), "k = 1\n[t]\n"),
        ("k = 2\n", (), "k = 1\n"),
        ("a = 0\n[t]\n  k = 2 # two\n  b = 3\n", ("t",), "a = 0\n[t]\n  k = 1\n  b = 3\n"),
        ("[t]\nb = 3\n[u]\n", ("t",), "[t]\n  k = 1\nb = 3\n[u]\n"),
        ("[a]\nx = 1\n", ("a", "b.c"), '[a]\nx = 1\n\n[a."b.c"]\n  k = 1\n'),
        ("[a.'b.c']\nx = 1\n[[d]]\nk = 5\n", ("a", "b.c"), "[a.'b.c']\n  k = 1\nx = 1\n[[d]]\nk = 5\n"),
        ("l = [\n[1],\n]\n[t]\nk = 0\n", ("t",), "l = [\n[1],\n]\n[t]\nk = 1\n"),
    ],
)
def test_one_value(text: str, table: tuple[str, ...], expected: str) -> None:
    assert put(text, table, "k", 1) == expected
    assert put(expected, table, "k", 1) == expected


def test_versions() -> None:
    assert version_of("1:2.1.9+ds1-5") == (2, 1, 9)
    assert version_of("nonsense") == ()
