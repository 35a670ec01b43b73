"""The file on disk: unchanged where nothing changed, whole or not at all, and never over somebody else's work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wizard.cluster.file import ClusterFile, load, new
from wizard.errors import InputError, WaitsForOwner, WizardError

EXAMPLES = sorted(Path(__file__, "../../../examples").resolve().glob("*.yaml"))
AKI = next(path for path in EXAMPLES if path.name == "aki.yaml").read_text()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(AKI)
    return path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_saving_what_was_not_changed_touches_nothing(tmp_path: Path, example: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(example.read_bytes())
    before = path.stat()
    load(path).save()
    assert path.read_bytes() == example.read_bytes()
    assert path.stat().st_ino == before.st_ino


def test_a_changed_value_changes_one_line(path: Path) -> None:
    file = load(path)
    file.set("bridge.port", "enp5s0")
    file.save()
    assert path.read_text() == AKI.replace("port: enp4s0 ", "port: enp5s0 ")
    assert load(path).cluster.bridge == file.cluster.bridge


def test_keys_that_belong_together_can_be_set_one_after_another(path: Path) -> None:
    file = load(path)
    file.set("bridge.dhcp", True)
    with pytest.raises(InputError, match="both DHCP and fixed addresses"):
        file.cluster  # noqa: B018
    file.set("bridge.addresses", ())
    file.set("bridge.gateway", None)
    file.save()
    assert load(path).cluster.bridge.dhcp  # type: ignore[union-attr]


def test_what_would_not_load_is_not_saved(path: Path) -> None:
    file = load(path)
    file.set("bridge.port", "br0")
    with pytest.raises(InputError):
        file.save()
    assert path.read_text() == AKI


def test_a_key_that_does_not_exist_is_a_bug(path: Path) -> None:
    with pytest.raises(KeyError):
        load(path).set("bridge.colour", "red")


def test_somebody_elses_change_is_kept(path: Path) -> None:
    file = load(path)
    file.set("name", "other")
    path.write_text(AKI + "# mine\n")
    with pytest.raises(WaitsForOwner, match="changed by somebody else") as caught:
        file.save()
    assert caught.value.where == str(path)
    assert path.read_text() == AKI + "# mine\n"


def test_a_removed_file_is_not_written_again(path: Path) -> None:
    file = load(path)
    path.unlink()
    with pytest.raises(WaitsForOwner, match="removed"):
        file.save()


def test_saving_twice(path: Path) -> None:
    file = load(path)
    for name in ("one", "two"):
        file.set("name", name)
        file.save()
    assert load(path).cluster.name == "two"


def test_mode_is_kept_and_nothing_is_left_behind(path: Path) -> None:
    path.chmod(0o640)
    file = load(path)
    file.set("name", "other")
    file.save()
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(path.parent) == ["cluster.yaml"]


def test_a_link_is_followed(path: Path) -> None:
    real = path.rename(path.parent / "real.yaml")
    path.symlink_to("real.yaml")
    file = load(path)
    file.set("name", "other")
    file.save()
    assert path.is_symlink()
    assert load(real).cluster.name == "other"


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(WizardError, match="cannot be written: No such file or directory"):
        new("aki", "owner@h", tmp_path / "absent" / "cluster.yaml").save()


def test_new(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    file = new("aki", "owner@192.168.182.100", path)
    assert not path.exists()
    assert file.text().startswith("# yaml-language-server: $schema=cluster.schema.json\n")
    file.set("bridge.addresses", ["192.168.182.100/24"])
    file.set("bridge.port", "enp4s0")
    file.save()
    assert path.read_text().endswith(
        "  ssh: owner@192.168.182.100\nbridge:\n  port: enp4s0\n  addresses: [192.168.182.100/24]\n"
    )
    assert load(path).cluster.bridge.port == "enp4s0"  # type: ignore[union-attr]


def test_new_does_not_overwrite(path: Path) -> None:
    with pytest.raises(WaitsForOwner, match="exists already"):
        new("aki", "owner@h", path).save()
    assert path.read_text() == AKI


def test_new_refuses_both_mistakes() -> None:
    with pytest.raises(InputError) as caught:
        new("Aki", "-x")
    assert [found.key for found in caught.value.findings] == ["name", "hypervisor.ssh"]


def test_data_is_a_copy(path: Path) -> None:
    file = ClusterFile(path, AKI, None)
    file.data()["name"] = "other"
    assert file.data()["name"] == "aki"
