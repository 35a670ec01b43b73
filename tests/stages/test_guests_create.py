"""guests.create: what is there stays, what is missing is made, and what stands in the way is said with its cure."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
import yaml

from wizard.actions import Action, Install, Run, TakeBack, WriteFile
from wizard.cluster import Cluster
from wizard.diagnose import likely_cause
from wizard.facts.guests import ADDRESSES, GuestAddresses
from wizard.facts.images import IMAGES_FOUND, GuestFiles, Image
from wizard.facts.libvirt import DOMAINS, Domain, Domains
from wizard.facts.login_keys import LOGIN_KEYS, LoginKeys
from wizard.facts.network import LINKS, NAMESERVERS, ROUTES, SSH_PATH, Address, Link, Links, Route, SshPath
from wizard.facts.ours import OURS, Ours, Record
from wizard.facts.system import MEMORY, Memory
from wizard.facts.virtualisation import KVM, Kvm
from wizard.marks import commands_in
from wizard.model import HYPERVISOR, Blocked, Context, Do, Known, Nothing, Plan, Refused, Risk
from wizard.script import compile_part
from wizard.stages.guests_create import STEP
from wizard.stages.guests_create_fresh import fresh_guests
from wizard.stages.guests_create_parts import Paths
from wizard.stages.guests_create_seen import files_of, seed_files, uuid_of

IMAGE = "/var/lib/libvirt/images/debian-12-cloud-amd64.qcow2"
GIB = 1024**3
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIABJ93G378JWNOF5MeHDtTA5iuaeYKmO2lmgP4eQdL79 owner@laptop"
OTHER = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7"
PATHS = Paths("aki0")
READY = GuestFiles(Image(150_000_000, "qcow2", 1_059_061_760), None, False, 70 * GIB)


def cluster(create: dict[str, Any] | None = None, bridge: dict[str, Any] | None = None, **guest: Any) -> Cluster:
    made = {"address": "192.168.182.130/24", "memory": "4GiB", "vcpus": 2, "disk": "40GiB", "image": IMAGE}
    wanted = {"port": "enp4s0", "addresses": ["192.168.182.100/24"], "gateway": "192.168.182.1", "network": "lan"}
    aki0 = {"name": "aki0", "role": "worker", "ssh": "owner@192.168.182.130", "isolated_address": "192.168.190.100"}
    return Cluster.model_validate(
        {
            "name": "home",
            "hypervisor": {"ssh": "owner@192.168.182.100"},
            "bridge": wanted | {"nameservers": ["192.168.182.1"]} | (bridge or {}),
            "isolated": {"name": "kube-isolated", "cidr": "192.168.190.0/24"},
            "guests": [
                {key: value for key, value in (aki0 | guest | {"create": made | (create or {})}).items() if value}
            ],
        }
    )


CLUSTER = cluster()
UUID = uuid_of(CLUSTER, "aki0")
GONE = f"remove_guest aki0 {UUID} {PATHS.definition}"
DISK_GONE = f"remove_guest_disk {PATHS.disk} {PATHS.console}"


def context(wanted: Cluster = CLUSTER, notes: tuple[str, ...] = (), **changed: Any) -> Context:
    """A host with all that is needed and no guest; `changed` are values by the fact's id, with `_` for `-`."""
    guest = wanted.guests[0]
    assert guest.create
    records = tuple(Record("1", "guests.create@aki0", "undo", line, "-", None) for line in notes)
    values: dict[Any, Any] = {
        DOMAINS: Domains(),
        ADDRESSES: GuestAddresses(),
        LOGIN_KEYS: LoginKeys("owner", (KEY,), (OTHER,)),
        SSH_PATH: SshPath("192.168.182.10", "192.168.182.100", 22),
        ROUTES: (Route("default", "192.168.182.1", "br0"),),
        NAMESERVERS: ("192.168.182.1",),
        KVM: Kvm(True, True),
        MEMORY: Memory(32 * GIB, 30 * GIB),
        OURS: Ours("machine", "boot", records=records),
        files_of(guest, guest.create): READY,
        seed_files("aki0"): {},
        IMAGES_FOUND: (IMAGE, PATHS.disk),
        LINKS: Links(()),
    }
    named = {fact.id: value for fact, value in values.items()}
    named |= {key.replace("_", "-"): value for key, value in changed.items() if key != "files"}
    named |= {"guest-files aki0": changed["files"]} if "files" in changed else {}
    return Context(wanted, {(HYPERVISOR, fact): Known(value) for fact, value in named.items()})


def plan(wanted: Cluster = CLUSTER, notes: tuple[str, ...] = (), **changed: Any) -> Plan:
    return STEP.plan(context(wanted, notes, **changed), "aki0")


def do(*args: Any, **changed: Any) -> Do:
    found = plan(*args, **changed)
    assert isinstance(found, Do), found
    return found


def runs(actions: tuple[Action, ...], word: str) -> list[tuple[str, ...]]:
    return [action.argv for action in actions if isinstance(action, Run) and action.argv[0] == word]


def domain(seed: bool = False, uuid: str = UUID, **changed: Any) -> Domain:
    files = [PATHS.disk, *([PATHS.seed] if seed else [])]
    disks = "".join(f"<disk><source file='{path}'/></disk>" for path in files)
    macs = {"lan": "52:54:00:00:00:01", "kube-isolated": "52:54:00:00:00:02"} | changed.pop("macs", {})
    nics = "".join(
        f"<interface type='network'><mac address='{mac}'/><source network='{name}'/></interface>"
        for name, mac in macs.items()
        if mac
    )
    memory, vcpus = changed.pop("memory", 4), changed.pop("vcpus", 2)
    xml = f"<domain><memory unit='KiB'>{memory * 1024 * 1024}</memory><vcpu>{vcpus}</vcpu>"
    xml += f"<devices>{disks}{nics}</devices></domain>"
    return Domain(changed.pop("name", "aki0"), uuid, True, True, xml, xml)


# ---------------------------------------------------------------- made


def test_a_guest_is_made_in_three_parts() -> None:
    found = do()
    assert [(part.on, part.introduces, bool(part.answers_within)) for part in found.parts] == [
        (HYPERVISOR, "aki0", False),
        ("aki0", "", True),
        (HYPERVISOR, "", False),
    ]
    assert found.risk is Risk.NONE
    make = found.parts[0]
    assert runs(make.actions, "guest_disk") == [("guest_disk", IMAGE, PATHS.disk, PATHS.console, str(40 * GIB))]
    [define] = runs(make.actions, "guest_define")
    assert define[:4] == ("guest_define", "aki0", UUID, PATHS.definition)
    assert "--memory 4096 --vcpus 2 --machine q35 --virt-type kvm --cpu host-passthrough" in " ".join(define)
    assert f"path={PATHS.seed},format=raw,bus=virtio,readonly=on" in define
    assert runs(make.actions, "guest_start") == [("guest_start", "aki0", "192.168.182.130", "br0")]
    assert [action.argv for action in make.always if isinstance(action, Run)] == [("rm", "-f", f"{PATHS.disk}.part")]


def test_both_nics_are_there_from_the_start_with_lasting_macs() -> None:
    def nics(wanted: Cluster) -> list[str]:
        [define] = runs(do(wanted).parts[0].actions, "guest_define")
        return [word for word in define if word.startswith("network=")]

    lan, isolated = nics(CLUSTER)
    assert lan.startswith("network=lan,model=virtio,mac=52:54:00:")
    assert isolated.startswith("network=kube-isolated,model=virtio,mac=52:54:00:")
    assert nics(CLUSTER) == [lan, isolated]
    given = cluster({"mac": "52:54:00:a0:00:10", "isolated_mac": "52:54:00:a0:00:20"})
    assert [word[-17:] for word in nics(given)] == ["52:54:00:a0:00:10", "52:54:00:a0:00:20"]
    assert nics(cluster(isolated_address=None)) == [lan]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_scripts_are_good_shell(tmp_path: Any) -> None:
    url = cluster({"image": "https://images.example/debian.qcow2", "sha256": "a" * 64})
    missing = replace(READY, image=None, curl=False)
    left = replace(READY, disk=Image(1, "qcow2", 40 * GIB))
    plans = (
        do(),
        do(url, files=missing),
        do(notes=(GONE,), libvirt_domains=Domains((domain(seed=True),))),
        do(notes=(DISK_GONE,), files=left),
    )
    for number, found in enumerate(plans):
        for place, part in enumerate(found.parts):
            script = tmp_path / f"{number}-{place}"
            script.write_text(compile_part(STEP.id, "aki0", part))
            done = subprocess.run(["shellcheck", "-s", "sh", str(script)], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout


def test_the_seed_says_who_may_log_in_and_sets_up_one_nic() -> None:
    files = {
        action.path.rpartition("/")[2]: action.content
        for action in do().parts[0].actions
        if isinstance(action, WriteFile)
    }
    assert files["user-data"].startswith("#cloud-config\n")
    user = yaml.safe_load(files["user-data"])
    assert user["hostname"] == "aki0"
    assert user["users"] == [
        {
            "name": "owner",
            "lock_passwd": True,
            "ssh_authorized_keys": [KEY],
            "shell": "/bin/bash",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
        }
    ]
    assert not user["package_update"]
    assert "packages" not in user
    assert user["write_files"][0]["content"] == "network: {config: disabled}\n"
    assert yaml.safe_load(files["meta-data"]) == {"instance-id": UUID, "local-hostname": "aki0"}
    network = yaml.safe_load(files["network-config"])
    assert list(network["ethernets"]) == ["00-lan"]
    nic = network["ethernets"]["00-lan"]
    assert nic["addresses"] == ["192.168.182.130/24"]
    assert nic["routes"] == [{"to": "0.0.0.0/0", "via": "192.168.182.1"}]
    assert nic["nameservers"] == {"addresses": ["192.168.182.1"]}


@pytest.mark.parametrize(
    ("guest", "keys", "path", "expected"),
    [
        ({"ssh": "admin@192.168.182.130"}, LoginKeys("owner", (KEY,)), "192.168.182.10", ("admin", [KEY])),
        ({"ssh": "aki0"}, LoginKeys("jane", (KEY,)), "192.168.182.10", ("jane", [KEY])),
        ({"ssh": None}, LoginKeys("owner", (KEY,)), "192.168.182.10", ("owner", [KEY])),
        ({}, LoginKeys("owner", (KEY,), (OTHER,)), "127.0.0.1", ("owner", [KEY, OTHER])),
        ({"ssh": "root@192.168.182.130"}, LoginKeys("root", (KEY,)), "192.168.182.10", ("root", [KEY])),
    ],
)
def test_who_logs_in(guest: dict[str, Any], keys: LoginKeys, path: str, expected: tuple[str, list[str]]) -> None:
    found = do(cluster(**guest), login_keys=keys, ssh_path=SshPath(path, path, 22))
    [data] = [a.content for a in found.parts[0].actions if isinstance(a, WriteFile) and a.path.endswith("user-data")]
    user = yaml.safe_load(data)
    [account] = user["users"]
    assert (account["name"], account["ssh_authorized_keys"]) == expected
    assert user["disable_root"] is (expected[0] != "root")


def test_the_gateway_is_the_guests_the_bridges_or_the_hosts() -> None:
    def gateway(wanted: Cluster, **changed: Any) -> Any:
        found = do(wanted, **changed)
        [text] = [a.content for a in found.parts[0].actions if isinstance(a, WriteFile) and "network-config" in a.path]
        return yaml.safe_load(text)["ethernets"]["00-lan"].get("routes", [{}])[0].get("via"), found.notes

    assert gateway(cluster({"gateway": "192.168.182.2"}))[0] == "192.168.182.2"
    dhcp = cluster(bridge={"addresses": [], "dhcp": True, "gateway": None})
    assert gateway(dhcp)[0] == "192.168.182.1"
    found, notes = gateway(dhcp, routes=())
    assert found is None
    assert any("no way out of its LAN" in note for note in notes)


def test_without_kvm_qemu_is_asked_for_by_name() -> None:
    found = do(kvm=Kvm(True, False, "run: failed"))
    [define] = runs(found.parts[0].actions, "guest_define")
    assert "--virt-type qemu" in " ".join(define)
    assert "host-passthrough" not in define
    assert "KVM does not work here, so the first boot takes minutes." in found.notes


def test_an_image_from_the_web_is_fetched_and_kept() -> None:
    url = cluster({"image": "https://images.example/debian.qcow2", "sha256": "ab" * 32})
    found = do(url, files=replace(READY, image=None, curl=False))
    install, fetch, *_ = found.parts[0].actions
    kept = "/var/lib/libvirt/images/abababababababab-debian.qcow2"
    assert install == Install(("curl", "ca-certificates"), refresh=True)
    assert isinstance(fetch, Run)
    assert fetch.argv == ("guest_fetch", "https://images.example/debian.qcow2", kept, "ab" * 32)
    [disk] = runs(found.parts[0].actions, "guest_disk")
    assert disk[1] == kept
    assert any(kept in note for note in found.notes)
    there = do(url)
    assert not runs(there.parts[0].actions, "guest_fetch")


def test_a_local_image_with_a_checksum_is_compared() -> None:
    [disk] = runs(do(cluster({"sha256": "ab" * 32})).parts[0].actions, "guest_disk")
    assert disk[-1] == "ab" * 32


def test_too_little_memory_and_room_to_grow_are_said() -> None:
    notes = do(memory=Memory(8 * GIB, 5 * GIB), files=replace(READY, available=10 * GIB)).notes
    assert "5120 MiB of memory are free: too little for 4GiB beside 2GiB for the host." in notes
    assert "The disk may grow to 40GiB, and 10 GiB are free for it." in notes


# ---------------------------------------------------------------- there already


def test_one_that_was_made_here_is_done_when_its_seed_is_gone() -> None:
    files = replace(READY, disk=Image(1, "qcow2", 40 * GIB))
    found = plan(notes=(GONE,), libvirt_domains=Domains((domain(),)), files=files)
    assert found == Nothing("aki0 was made here and runs")


def test_one_whose_first_boot_is_not_over_is_gone_on_with() -> None:
    found = do(notes=(GONE,), libvirt_domains=Domains((domain(seed=True),)))
    assert found.why == "aki0 is there, but its first boot is not over"
    assert [action.argv[0] for action in found.parts[0].actions if isinstance(action, Run)] == [
        "guest_start",
        "guest_console",
    ]
    assert len(found.parts) == 3


def test_one_that_others_made_is_left_alone_and_differences_are_shown() -> None:
    there = domain(uuid="another", memory=2, vcpus=1, macs={"kube-isolated": ""})
    files = replace(READY, disk=Image(1, "qcow2", 20 * GIB))
    found = plan(libvirt_domains=Domains((there,)), files=files)
    assert found == Nothing(
        "aki0 exists already and runs; `create` is read once, so this stays: memory 2GiB, not 4GiB, 1 CPU, not 2, "
        "a disk of 20GiB, not 40GiB, no NIC on kube-isolated"
    )
    half = replace(there, xml=domain(seed=True).xml)
    assert isinstance(plan(libvirt_domains=Domains((half,))), Nothing)


def test_its_disk_is_used_again_where_libvirt_forgot_the_guest() -> None:
    files = replace(READY, disk=Image(1, "qcow2", 40 * GIB))
    found = do(notes=(DISK_GONE, GONE), files=files)
    assert "its disk is left, and is used again" in found.why
    [part] = found.parts
    assert part.introduces == "aki0", "its console still has its host keys"
    assert [action.argv[0] for action in part.actions if isinstance(action, Run)] == [
        "mkdir",
        "guest_define",
        "virsh",
        "guest_start",
        "guest_keys",
    ]
    before = do(notes=(DISK_GONE,), files=replace(files, seed=True))
    assert len(before.parts) == 3


def test_a_disk_whose_guest_was_never_defined_gets_its_seed() -> None:
    """As after a loss of power, or on a full disk: brought back without one, nobody could ever log in."""
    found = do(notes=(DISK_GONE,), files=replace(READY, disk=Image(1, "qcow2", 40 * GIB)))
    assert len(found.parts) == 3
    assert "its disk /var/lib/libvirt/images/aki0.qcow2 is left" in found.why
    [define] = runs(found.parts[0].actions, "guest_define")
    assert f"path={PATHS.seed},format=raw,bus=virtio,readonly=on" in define


def test_the_seed_is_there_before_the_disk() -> None:
    words = [action.argv[0] for action in do().parts[0].actions if isinstance(action, Run)]
    assert words.index("xorrisofs") < words.index("guest_disk") < words.index("guest_define")


def test_a_seed_that_the_guest_did_not_let_go_of_goes_later() -> None:
    files = replace(READY, disk=Image(1, "qcow2", 40 * GIB), seed=True)
    held = replace(domain(), live_xml=domain(seed=True).xml)
    found = plan(notes=(GONE,), libvirt_domains=Domains((held,)), files=files)
    assert isinstance(found, Nothing)
    assert "it lets go of the disk of its first boot when it is shut down and started" in found.why
    for free in (domain(), replace(held, active=False, live_xml="")):
        later = do(notes=(GONE,), libvirt_domains=Domains((free,)), files=files)
        assert later.why == "the disk of aki0's first boot is left, and of no use any more"
        [part] = later.parts
        assert runs(part.actions, "guest_eject") == [("guest_eject", "aki0", PATHS.seed)]
    foreign = plan(libvirt_domains=Domains((domain(),)), files=files)
    assert isinstance(foreign, Nothing)


def test_one_that_stands_still_in_its_first_boot_is_not_waited_for() -> None:
    full = replace(domain(seed=True), paused="I/O error")
    found = plan(notes=(GONE,), libvirt_domains=Domains((full,)))
    assert isinstance(found, Blocked)
    assert "virsh resume aki0" in found.findings[0].cure


def test_host_keys_are_read_from_the_console_also_where_it_was_rotated(tmp_path: Any) -> None:
    words = (Path(__file__).parents[2] / "templates" / "host" / "guests.sh").read_text()
    log, keys = tmp_path / "console.log", f"-----BEGIN SSH HOST KEY KEYS-----\n{KEY}\n-----END SSH HOST KEY KEYS-----\n"

    def shown() -> str:
        script = f"set -eu\n{words}\nguest_keys {log}"
        return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout

    assert shown() == ""
    log.write_text(f"BdsDxe: starting\n{keys}login:\n")
    assert shown() == keys
    log.rename(f"{log}.1")
    log.write_text("login:\n")
    assert shown() == keys


def fetched(tmp_path: Path, url: str) -> str:
    """What `guest_fetch` complains of."""
    host = Path(__file__).parents[2] / "templates" / "host"
    words = "\n".join((host / name).read_text() for name in ("library.sh", "guests.sh"))
    script = f"set -eu\n{words}\nguest_fetch {url} {tmp_path}/disk.img {'ab' * 32}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 1
    return done.stderr


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_an_image_that_cannot_be_fetched_or_written(tmp_path: Path) -> None:
    """/dev/full is a disk without room; curl ends alike (23) where it cannot write for another reason."""
    (tmp_path / "there").write_bytes(b"x" * 100_000)
    part, room, url = tmp_path / "disk.img.part", tmp_path / "disk.img.room", f"file://{tmp_path}/there"
    assert "check the address in cluster.yaml" in fetched(tmp_path, f"{url}-not")

    part.symlink_to("/dev/full")
    said = fetched(tmp_path, url)
    assert "curl: (23)" in said
    assert f"error: the image could not be written to {part}: see what curl says" in said
    assert part.is_symlink()

    room.symlink_to("/dev/full")
    said = fetched(tmp_path, url)
    assert "curl: (23)" in said
    cause = likely_cause(said)
    assert cause
    assert cause.why == "the disk of the host is full"
    assert not part.is_symlink()
    assert not room.is_symlink()


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"])
@pytest.mark.parametrize("name", ["authorized_keys", "authorized_keys2"])
def test_an_exported_script_reads_the_key_of_who_logged_in(tmp_path: Path, kind: str, name: str) -> None:
    seen = fresh_guests(CLUSTER)[HYPERVISOR, LOGIN_KEYS.id]
    assert isinstance(seen, Known)
    [user], [key] = (commands_in(mark) for mark in (seen.value.user, *seen.value.authorized))
    (tmp_path / "bin").mkdir()
    getent = tmp_path / "bin" / "getent"
    getent.write_text(f'#!/bin/sh\n[ "$*" = "passwd admin" ] && echo "admin:x:0:0:,:{tmp_path}/elsewhere:/bin/sh"\n')
    getent.chmod(0o755)
    (tmp_path / "elsewhere/.ssh").mkdir(parents=True)
    keys = f'# ssh-rsa AAAA\nfrom="10.0.0.1" ssh-rsa AAAAB3\n{kind} AAAAE2+/= the "owner\'s"\nssh-rsa AAAAB4\n'
    (tmp_path / "elsewhere/.ssh" / name).write_text(keys)

    def told(command: str) -> str:
        environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "SUDO_USER": "admin"}
        return subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment).stdout

    assert told(user) == "admin\n"
    assert told(key) == f"{kind} AAAAE2+/=\n"


# ---------------------------------------------------------------- what stands in the way


def findings(**changed: Any) -> list[str]:
    found = plan(**changed)
    assert isinstance(found, Refused), found
    assert all(finding.cure for finding in found.findings)
    return [finding.id for finding in found.findings]


def test_what_is_refused() -> None:
    assert findings(files=replace(READY, image=None)) == ["no-image"]
    assert findings(files=replace(READY, image=Image(10))) == ["not-an-image"]
    assert findings(files=replace(READY, image=Image(10, "raw", 512, bootable=False))) == ["not-an-image"]
    assert findings(files=replace(READY, image=Image(10, "qcow2", 41 * GIB))) == ["disk-too-small"]
    assert findings(files=replace(READY, disk=Image(1, "qcow2", GIB))) == ["disk-taken"]
    found = plan(files=replace(READY, available=GIB // 2))
    assert isinstance(found, Refused)
    assert found.why == "the disk needs up to 1.0 GiB at once, and 0.5 GiB are free in its directory"


def test_a_mac_that_another_guest_has() -> None:
    mac = "52:54:00:a0:00:10"
    other = domain(name="web", uuid="x", macs={"lan": mac.upper()})
    found = plan(cluster({"mac": mac}), libvirt_domains=Domains((other,)))
    assert isinstance(found, Refused)
    assert found.why == f"the guest web has the MAC {mac} already"


def test_without_libvirt_or_keys() -> None:
    assert isinstance(plan(libvirt_domains=Domains(daemon=False)), Blocked)
    found = plan(login_keys=LoginKeys("owner", (), (OTHER,)))
    assert isinstance(found, Blocked)
    assert found.by == "you"
    assert "ssh-copy-id owner@192.168.182.100" in found.findings[0].cure


# ---------------------------------------------------------------- undo, the form, the runbook


def test_undo_destroys_and_is_refused_for_another_guest() -> None:
    assert STEP.undo is not None
    inverses = (TakeBack(GONE), TakeBack(DISK_GONE))
    ctx = context(notes=(DISK_GONE, GONE), libvirt_domains=Domains((domain(),)))
    found = STEP.undo(ctx, "aki0", inverses)
    assert isinstance(found, Do)
    assert found.risk is Risk.DESTROYS_DATA
    assert found.irreversible == "the disk of aki0 with all that is on it is deleted"
    assert found.parts[0].actions == inverses
    assert "remove_guest_disk() {" in compile_part(STEP.id, "aki0", found.parts[0])
    other = context(notes=(DISK_GONE, GONE), libvirt_domains=Domains((domain(uuid="another"),)))
    assert isinstance(STEP.undo(other, "aki0", inverses), Refused)
    gone = STEP.undo(context(notes=(GONE,)), "aki0", inverses)
    assert isinstance(gone, Do)
    assert isinstance(STEP.undo(context(libvirt_domains=Domains(daemon=False)), "aki0", inverses), Blocked)


def test_what_a_form_offers() -> None:
    found = STEP.defaults(context(libvirt_domains=Domains((domain(),))))
    assert [each.value for each in found["guests[].create.image"]] == [IMAGE]
    assert [each.value for each in found["guests[].create.address"]] == [
        "192.168.182.101/24",
        "192.168.182.102/24",
        "192.168.182.103/24",
    ]
    assert [each.value for each in found["guests[].isolated_address"]] == [
        "192.168.190.101",
        "192.168.190.102",
        "192.168.190.103",
    ]


def test_a_form_offers_neither_a_guests_disk_nor_an_address_of_the_host() -> None:
    kept = ("/var/lib/libvirt/images/aki0-1.qcow2", "/var/lib/libvirt/images/aki0.before-upgrade")
    iso = "/var/lib/libvirt/images/a-rescue-disk.img"
    br0 = Link("br0", mac="52:54:00:00:00:07", addresses=(Address(IPv4Interface("192.168.182.101/24")),))
    seen = {"libvirt_domains": Domains((domain(),)), "images_found": (iso, *kept, IMAGE), "links": Links((br0,))}
    found = STEP.defaults(context(**seen))
    assert [each.value for each in found["guests[].create.image"]] == [IMAGE, iso]
    assert found["guests[].create.address"][0].value == "192.168.182.102/24"


def test_an_image_that_begins_as_a_guest_is_called_is_offered() -> None:
    found = STEP.defaults(context(libvirt_domains=Domains((domain(name="debian", uuid="x"),))))
    assert IMAGE in [each.value for each in found["guests[].create.image"]]


def test_an_unconnected_runbook_shows_it() -> None:
    for wanted in (CLUSTER, cluster({"image": "https://images.example/debian.qcow2", "sha256": "ab" * 32})):
        found = STEP.plan(Context(wanted, STEP.fresh(wanted)), "aki0")
        assert isinstance(found, Do)
        assert len(found.parts) == 3


def test_a_runbook_shows_commands_that_can_be_typed() -> None:
    from wizard.runbook.reading import Command, read_script

    url = cluster({"image": "https://images.example/debian.qcow2", "sha256": "ab" * 32})
    parts = do(url, files=replace(READY, image=None, curl=False)).parts
    bodies = [read_script(compile_part(STEP.id, "aki0", part)) for part in parts]
    lines = [deed.line for body in bodies for deed in body.main if isinstance(deed, Command)]
    words = [line.split()[0] for line in lines]
    assert words == [
        *("apt-get", "apt-get", "curl", "xorrisofs", "qemu-img", "virt-install", "virsh", "virsh", "tail"),
        *("cloud-init", "virsh"),
    ]
    assert "--print-xml >/var/lib/homek8s-wizard/guests/aki0/domain.xml && virsh define" in lines[5]
