"""What is looked at before a guest is made: images and disks, and the keys that open the hypervisor."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from wizard.facts.images import Image, guest_files
from wizard.facts.login_keys import LOGIN_KEYS, LoginKeys
from wizard.model import FactError, Output

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIABJ93G378JWNOF5MeHDtTA5iuaeYKmO2lmgP4eQdL79"


def run(command: str, **environment: str) -> Output:
    done = subprocess.run(["sh", "-c", command], capture_output=True, env={**os.environ, "LC_ALL": "C", **environment})
    return Output(done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
def test_images_and_disks(tmp_path: Path) -> None:
    def look(image: str) -> Image | None:
        fact = guest_files("aki0", f"{tmp_path}/{image}", f"{tmp_path}/disks/aki0.qcow2", f"{tmp_path}/seed.iso")
        found = fact.parse(run(fact.command))
        assert found.disk is None
        assert not found.seed
        assert found.available > 0
        return found.image

    assert look("nothing") is None
    assert look(".") is None
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "good.qcow2", "64M"], check=True)
    good = look("good.qcow2")
    assert good is not None
    assert (good.format, good.virtual, good.is_disk) == ("qcow2", 64 * 1024**2, True)
    (tmp_path / "page.img").write_text("<html>not found</html>" * 100)
    page = look("page.img")
    assert page is not None
    assert (page.format, page.is_disk) == ("raw", False)
    (tmp_path / "disk.raw").write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 512)
    raw = look("disk.raw")
    assert raw is not None
    assert raw.is_disk


def test_a_cut_off_answer_is_not_known() -> None:
    with pytest.raises(FactError):
        guest_files("aki0", "/a", "/b", "/c").parse(Output(0, b"room\t1\n"))
    with pytest.raises(FactError):
        LOGIN_KEYS.parse(Output(0, b"user\towner\n"))


def test_keys_with_options_open_no_guest(tmp_path: Path) -> None:
    said = f"""user\towner
authorized\t{KEY} owner@laptop
authorized\t{KEY} owner@laptop
authorized\tfrom="192.168.182.0/24" {KEY} restricted
authorized\tcert-authority {KEY}
authorized\t# a remark
authorized\tssh-dss AAAAB3NzaC1kc3MAAACBAO old
authorized\tsk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAA on\x07a stick
own\tssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7
end
"""
    assert LOGIN_KEYS.parse(Output(0, said.encode())) == LoginKeys(
        "owner",
        (f"{KEY} owner@laptop", "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAA ona stick"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7",),
    )


def test_the_command_answers_here() -> None:
    found = LOGIN_KEYS.parse(run(LOGIN_KEYS.command, SUDO_USER="root"))
    assert found.user == "root"
