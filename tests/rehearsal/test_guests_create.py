"""guests.create on real machines: guests made from a cloud image, interrupted anywhere, taken back; what goes wrong.

An emulated boot takes one to two minutes, so what belongs to one guest's life is one test.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.rehearsal.conftest import Hypervisor
from tests.rehearsal.wizard_on import WizardOn, cut_off
from wizard.rehearsal import image, network

IMAGES = "/var/lib/libvirt/images"
NOTES = "/var/lib/homek8s-wizard"
GUEST = "192.168.182.130"

Make = Callable[[], WizardOn]


@pytest.fixture
def wizard_on(hypervisor: Hypervisor, tmp_path: Path) -> Make:
    """A hypervisor with its networks, and one guest in cluster.yaml that is still to be made."""

    def make() -> WizardOn:
        wizard = WizardOn(hypervisor(guests=1), tmp_path / "owner")
        wizard.ok("apply", "bridge", "isolated", "--yes")
        return wizard

    return make


def change(wizard: WizardOn, key: str, value: str) -> None:
    """A line of the guest's `create`, replaced or added."""
    text = wizard.cluster_file.read_text()
    line = f"      {key}: {value}"
    found, count = re.subn(rf"^      {key}: .*$", line, text, flags=re.MULTILINE)
    wizard.cluster_file.write_text(found if count else text.rstrip("\n") + f"\n{line}\n")


def apply_until(wizard: WizardOn, sign: str, *, cut_at: str = "") -> None:
    """Applies, and is killed as soon as it has shown a line with this; the LAN is cut for a while at an earlier one."""
    running = wizard.start("apply", "guests.create", "--yes")
    assert running.stdout
    seen: list[str] = []
    for line in running.stdout:
        seen.append(line)
        if cut_at and cut_at in line:
            cut_off(wizard.machine)
            cut_at = ""
        if sign in line:
            break
    else:
        pytest.fail(f"{sign!r} was never shown:\n{''.join(seen)}")
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not cut_at, f"it was not cut off:\n{''.join(seen)}"


def in_guest(wizard: WizardOn, command: str) -> str:
    """Over the owner's own ssh, with the host key that the wizard learned and no other."""
    [known] = wizard.directory.glob("state/homek8s-wizard/*/known_hosts")
    options = ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]
    argv = ["ssh", "-F", str(wizard.status.ssh_config), *options, f"owner@{GUEST}", command]
    done = wizard.machine.run_on_lan(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def files(wizard: WizardOn) -> set[str]:
    """All that could be left of a guest."""
    places = f"{IMAGES} {NOTES}/guests /var/lib/libvirt/qemu/nvram /var/log/libvirt/qemu"
    found = wizard.machine.inside(f"find {places} -name '*aki0*' 2>/dev/null; true")
    return set(found.split()) - {"/var/log/libvirt/qemu/aki0.log"}


def domain(wizard: WizardOn, *options: str) -> ElementTree.Element:
    return ElementTree.fromstring(wizard.machine.inside(f"virsh dumpxml aki0 {' '.join(options)}"))


def nics(xml: ElementTree.Element) -> dict[str, str]:
    def attribute(node: ElementTree.Element, child: str, name: str) -> str:
        found = node.find(child)
        assert found is not None
        return found.attrib[name]

    return {
        attribute(node, "source", "network"): attribute(node, "mac", "address")
        for node in xml.findall("./devices/interface")
    }


def disks(xml: ElementTree.Element) -> list[str]:
    return [source.attrib["file"] for source in xml.findall("./devices/disk/source")]


# ---------------------------------------------------------------- the life of a guest


@pytest.mark.turns(at="guests, step by step")
@pytest.mark.long
def test_made_through_every_interruption_and_taken_back(wizard_on: Make) -> None:
    wizard = wizard_on()
    planned = wizard.json("plan", "guests.create")["steps"][-1]
    assert (planned["state"], planned["risk"], len(planned["parts"])) == ("todo", "none", 3)

    # The script itself ended at the seed, which then gets lost, and in the middle of the copy: nothing half-made is
    # taken for a guest that has had its first boot, or for a disk.
    kill = "systemctl kill --signal=KILL 'hk8s-job-*' 2>/dev/null || true; pkill -KILL -x qemu-img || true"
    seed = f"{IMAGES}/aki0-seed.iso"
    apply_until(wizard, f"write {seed}")
    wizard.machine.inside(f"{kill}; rm -f {seed}")
    assert len(wizard.json("plan", "guests.create")["steps"][-1]["parts"]) == 3
    assert wizard.run("apply", "guests.create").returncode == 5, "what was under way is settled, and nothing begun"
    apply_until(wizard, "qemu-img convert")
    wizard.machine.inside(kill)
    assert seed in files(wizard)
    # The wizard alone, in each part: the script goes on, and is found again.
    apply_until(wizard, "Linux version", cut_at="qemu-img convert")
    another_wizard_leaves_it_alone(wizard)
    apply_until(wizard, "part 3 of 3", cut_at="cloud-init status --wait")
    done = wizard.ok("apply", "guests.create", "--yes")
    assert "aki0 was made here and runs" in done.stderr + done.stdout

    check_made(wizard)
    check_shown_not_applied(wizard)
    check_found_again(wizard)
    check_taken_back(wizard)


def another_wizard_leaves_it_alone(wizard: WizardOn) -> None:
    """It has a journal of its own, and the host is this one's."""
    other = WizardOn(wizard.machine, wizard.directory.with_name("elsewhere"))
    refused = other.run("apply", "guests.create", "--yes")
    assert refused.returncode == 5, refused.stderr
    assert "another wizard's journal owns this host" in refused.stderr


def check_made(wizard: WizardOn) -> None:
    """With an independent eye: libvirt's own word, and the guest's."""
    persistent, live = domain(wizard, "--inactive"), domain(wizard)
    assert disks(persistent) == disks(live) == [f"{IMAGES}/aki0.qcow2"]
    assert list(nics(persistent)) == ["vxlan10-bridge", "kube-isolated"]
    assert nics(persistent) == nics(live)
    info = wizard.machine.inside("LC_ALL=C virsh dominfo aki0")
    assert re.search(r"Autostart: +enable", info)
    assert re.search(r"Persistent: +yes", info)
    assert wizard.json("plan", "guests.create")["changes"] == 0
    assert not {path for path in files(wizard) if path.endswith((".iso", ".part"))}

    links = json.loads(in_guest(wizard, "ip -j addr"))
    macs = {link["address"]: [a["local"] for a in link["addr_info"] if a["scope"] == "global"] for link in links}
    assert macs[nics(live)["vxlan10-bridge"]] == [GUEST]
    assert macs[nics(live)["kube-isolated"]] == []
    said = in_guest(
        wizard, "hostname; sudo cat /etc/cloud/cloud.cfg.d/99-homek8s-net.cfg; ip route show default; lsblk -bno SIZE"
    )
    assert said.split("\n")[:2] == ["aki0", "network: {config: disabled}"]
    assert "via 192.168.182.1" in said
    assert str(6 * 1024**3) in said
    assert in_guest(wizard, "sudo passwd -S owner").split()[1] == "L"
    assert "no-user" in in_guest(wizard, "id debian >/dev/null 2>&1 || echo no-user")


def check_shown_not_applied(wizard: WizardOn) -> None:
    before = wizard.cluster_file.read_text()
    change(wizard, "memory", "1GiB")
    planned = wizard.json("plan", "guests.create")["steps"][-1]
    assert planned["state"] == "done"
    assert "so this stays: memory 768MiB, not 1GiB" in planned["reason"]
    wizard.cluster_file.write_text(before)


def check_found_again(wizard: WizardOn) -> None:
    """Undefined by hand, its disk is left: it is defined again, and is the same guest.

    Its host key is known also to a wizard that has never seen it. While it boots, no change is pending.
    """
    uuid = wizard.machine.inside("virsh domuuid aki0")
    wizard.machine.inside("virsh destroy aki0; virsh undefine aki0 --nvram")
    [known] = wizard.directory.glob("state/homek8s-wizard/*/known_hosts")
    keys = known.read_text()
    known.unlink()
    planned = wizard.json("plan", "guests.create")["steps"][-1]
    assert "but its disk is left, and is used again" in planned["reason"]
    wizard.ok("apply", "guests.create", "--yes")
    assert wizard.machine.inside("virsh domuuid aki0") == uuid
    assert "running" in wizard.machine.inside("LC_ALL=C virsh domstate aki0")
    assert known.read_text() == keys

    looked = wizard.run("plan", "guests.reach", "--json")
    assert looked.returncode == 4, looked.stderr
    seen = json.loads(looked.stdout)
    assert seen["changes"] == 0
    assert (seen["steps"][-1]["step"], seen["steps"][-1]["state"]) == ("guests.reach", "unknown")
    assert "does not answer yet" in seen["steps"][-1]["reason"]
    waited = wizard.ok("apply", "guests.reach", timeout=600)
    assert "aki0 answers over SSH, sudo works" in waited.stderr, "nobody was asked whether one may wait"
    assert in_guest(wizard, "hostname") == "aki0\n"


def check_taken_back(wizard: WizardOn) -> None:
    refused = wizard.run("undo", "guests.create@aki0", "--yes")
    assert refused.returncode == 5
    assert "--destroy aki0" in refused.stderr + refused.stdout
    assert f"{IMAGES}/aki0.qcow2" in files(wizard)
    wizard.ok("undo", "guests.create@aki0", "--yes", "--destroy", "aki0")
    assert files(wizard) == set()
    assert "aki0" not in wizard.machine.inside("virsh list --all --name")
    assert image.INSIDE in wizard.machine.inside(f"ls {IMAGES}/*")
    again = wizard.run("undo", "guests.create@aki0", "--yes", "--destroy", "aki0")
    assert "nothing that the wizard did is left of it" in again.stderr + again.stdout


# ---------------------------------------------------------------- what goes wrong


def test_what_contradicts_the_file_is_refused_before_anything_is_touched(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.machine.inside(
        "echo '<html>404</html>' >/srv/page.img; qemu-img create -q -f qcow2 /srv/large.qcow2 7G;"
        "qemu-img create -q -f qcow2 /srv/good.qcow2 5900M"
    )

    def refused(words: str, **changes: str) -> None:
        before = wizard.cluster_file.read_text()
        for key, value in changes.items():
            change(wizard, key, value)
        done = wizard.run("apply", "guests.create", "--yes")
        assert done.returncode == 2, done.stderr
        assert words in done.stderr, done.stderr
        assert "Next:" in done.stderr
        wizard.cluster_file.write_text(before)

    refused("there is no image /srv/none.qcow2 on the hypervisor", image="/srv/none.qcow2")
    refused("/srv/page.img (17 bytes) is no disk image", image="/srv/page.img")
    refused("has 7.0 GiB, more than the 6GiB", image="/srv/large.qcow2")
    wizard.machine.inside(f"touch {IMAGES}/aki0.qcow2")
    refused(f"{IMAGES}/aki0.qcow2 is there already, and is not from here")
    wizard.machine.inside(f"rm {IMAGES}/aki0.qcow2; mount -t tmpfs -o size=5g none {IMAGES}")
    refused("the disk needs up to 5.8 GiB at once, and 5.0 GiB are free", image="/srv/good.qcow2")
    assert files(wizard) == set()


def test_failures_leave_nothing_and_say_what_to_do(wizard_on: Make) -> None:
    wizard = wizard_on()

    def fails(*words: str) -> str:
        done = wizard.run("apply", "guests.create", "--yes")
        assert done.returncode == 1, done.stderr
        for each in words:
            assert each in done.stderr, done.stderr
        return done.stderr

    wizard.machine.inside(f"head -c 40000000 {image.INSIDE} >/srv/cut.qcow2")
    change(wizard, "image", "/srv/cut.qcow2")
    fails("the image /srv/cut.qcow2 is damaged: fetch it again")
    change(wizard, "image", image.INSIDE)
    change(wizard, "sha256", "ab" * 32)
    fails(f"{image.INSIDE} is not what cluster.yaml says: its sha256 is")
    assert not {path for path in files(wizard) if path.endswith((".qcow2", ".part"))}

    wizard.machine.inside("qemu-img create -q -f qcow2 /srv/empty.qcow2 1G")
    text = wizard.cluster_file.read_text()
    wizard.cluster_file.write_text(re.sub(r"^      sha256: .*\n", "", text, flags=re.MULTILINE))
    change(wizard, "image", "/srv/empty.qcow2")
    taken = f"{GUEST}/32", "dev", network.BRIDGE
    wizard.machine.run_on_lan(["ip", "address", "add", *taken], check=True)
    slowly = "guests.create@aki0: KVM does not work here, so the first boot takes minutes."
    fails(slowly, f"another machine on the LAN answers at {GUEST}; give the guest another address in cluster.yaml")
    wizard.machine.run_on_lan(["ip", "address", "del", *taken], check=True)

    # An empty disk never starts: what the console said is shown, and why.
    fails("the firmware finds nothing to start on the disk of aki0", "BdsDxe")
    wizard.ok("undo", "guests.create@aki0", "--yes", "--destroy", "aki0")
    assert files(wizard) == set()


def test_a_disk_that_fills_up_during_the_copy(wizard_on: Make) -> None:
    wizard = wizard_on()
    wizard.machine.inside(
        "qemu-img create -q -f raw /srv/full.img 300M; head -c 290M /dev/urandom >/srv/full.img;"
        "printf '\\125\\252' | dd of=/srv/full.img bs=1 seek=510 conv=notrunc status=none;"
        f"truncate -s 300M /srv/full.img; mount -t tmpfs -o size=5g none {IMAGES}"
    )
    full = f'[ "$1" != convert ] || mount -o remount,size=50m {IMAGES}'
    wizard.machine.inside(
        f"cat >/usr/local/sbin/qemu-img <<'END'\n#!/bin/sh\n{full}\nexec /usr/bin/qemu-img \"$@\"\nEND\n"
        "chmod 755 /usr/local/sbin/qemu-img"
    )
    change(wizard, "image", "/srv/full.img")
    done = wizard.run("apply", "guests.create", "--yes")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr, done.stderr
    assert "Make room on the host" in done.stderr
    assert {path for path in files(wizard) if path.startswith(IMAGES)} == {f"{IMAGES}/aki0-seed.iso"}, (
        "nothing of a disk"
    )


@contextmanager
def web(wizard: WizardOn, directory: Path) -> Iterator[str]:
    """A web server on the LAN, at the owner's laptop."""
    argv = wizard.machine.on_lan(["python3", "-m", "http.server", "8080", "--bind", "192.168.182.10"])
    server = subprocess.Popen(argv, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield "http://192.168.182.10:8080"
    finally:
        server.kill()
        server.wait()


def test_an_image_from_the_web(wizard_on: Make, tmp_path: Path) -> None:
    """Fetched and compared; up to there, and to a disk that nothing starts from."""
    wizard = wizard_on()
    if not wizard.machine.inside("command -v curl || true"):
        pytest.skip("there is no curl on this hypervisor")
    (tmp_path / "www").mkdir()
    content = b"\0" * 510 + b"\x55\xaa" + b"\0" * (20 * 1024**2)
    (tmp_path / "www" / "disk.img").write_bytes(content)
    digest = subprocess.run(["sha256sum"], input=content, capture_output=True, check=True).stdout.decode().split()[0]
    with web(wizard, tmp_path / "www") as url:
        change(wizard, "image", f"{url}/disk.img")
        change(wizard, "sha256", "ab" * 32)
        done = wizard.run("apply", "guests.create", "--yes")
        assert done.returncode == 1
        assert f"{url}/disk.img is not what cluster.yaml says: its sha256 is {digest}" in done.stderr
        assert "abababab" not in wizard.machine.inside(f"ls {IMAGES}")
        change(wizard, "sha256", digest)
        wizard.machine.inside(f"head -c 1000 /dev/zero >{IMAGES}/{digest[:16]}-disk.img.part")
        apply_until(wizard, "its console says")
    kept = f"{IMAGES}/{digest[:16]}-disk.img"
    assert wizard.machine.inside(f"sha256sum {kept}").split()[0] == digest
    wizard.machine.inside("virsh destroy aki0")
    wizard.run("apply", "guests.create", "--yes")
    wizard.ok("undo", "guests.create@aki0", "--yes", "--destroy", "aki0")
    assert kept in wizard.machine.inside(f"ls {IMAGES}/*")
    with web(wizard, tmp_path) as url:
        change(wizard, "image", f"{url}/gone.img")
        done = wizard.run("apply", "guests.create", "--yes")
        assert done.returncode == 1
        assert "the image could not be fetched" in done.stderr
