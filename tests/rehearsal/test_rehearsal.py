"""The rehearsal keeps its promises: a real machine, quick to get, hard to break, gone without a trace."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from wizard.facts.packages import HYPERVISOR_PACKAGES
from wizard.rehearsal import SUITES, BadRequest, Boot, Rehearsal, RehearsalError
from wizard.rehearsal.processes import Process
from wizard.rehearsal.waiting import until

Hypervisor = Callable[..., Rehearsal]

REPOSITORY = Path(__file__).parents[2]
ADDRESS = "192.168.182.100"


def cli(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wizard.cli.rehearse", *argv]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@contextlib.contextmanager
def login(rehearsal: Rehearsal, *, password: bool = False) -> Iterator[paramiko.SSHClient]:
    status = rehearsal.status()
    assert status
    client = paramiko.SSHClient()
    client.load_host_keys(str(status.known_hosts))
    secret = status.password_file.read_text().strip() if password else None
    key = None if password else str(status.key)
    with rehearsal.lan():
        client.connect(
            ADDRESS, username="owner", password=secret, key_filename=key, look_for_keys=False, allow_agent=False
        )
    with client:
        yield client


def said(client: paramiko.SSHClient, command: str, stdin: str = "") -> tuple[int, str]:
    into, out, _ = client.exec_command(f"{command} 2>&1")
    into.write(stdin)
    into.channel.shutdown_write()
    text = out.read().decode()
    return out.channel.recv_exit_status(), text


def boot_id(rehearsal: Rehearsal) -> str:
    return rehearsal.inside("cat /proc/sys/kernel/random/boot_id")


def boots(rehearsal: Rehearsal) -> int:
    status = rehearsal.status()
    assert status
    return int(json.loads((status.cluster_file.parent / "state.json").read_text())["boots"])


def boot_of(rehearsal: Rehearsal) -> Boot:
    status = rehearsal.status()
    assert status
    return status.hosts[0].boot


def wait_for_boot(rehearsal: Rehearsal, number: int) -> None:
    until(
        lambda: True if boots(rehearsal) >= number and boot_of(rehearsal) is Boot.UP else None,
        150,
        f"The machine did not boot for the {number}. time",
    )


def dns(name: str, *, tcp: bool) -> str:
    """The address that the router's DNS gives for a name; to be called on the LAN."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as connection:
        connection.settimeout(5)
        connection.connect(("192.168.182.1", 53))
        connection.sendall(struct.pack("!H", len(query)) + query if tcp else query)
        answer = connection.recv(4096)
        while tcp and len(answer) < 2 + len(query) + 16:
            answer += connection.recv(4096)
    return socket.inet_ntoa(answer[-4:])


@pytest.mark.parametrize("suite", SUITES)
def test_it_is_a_debian_server_with_networkd_in_charge(hypervisor: Hypervisor, suite: str) -> None:
    machine = hypervisor(suite)
    assert f"VERSION_CODENAME={suite}" in machine.inside("cat /etc/os-release")
    assert machine.inside("systemctl is-system-running").strip() == "running"
    assert machine.inside("hostname -f").strip() == "hypervisor.home.arpa"
    assert machine.inside("cat /etc/resolv.conf") == "nameserver 192.168.182.1\n"
    machine.inside("/lib/systemd/systemd-networkd-wait-online --interface=enp4s0 --timeout=20")
    links = {link["ifname"]: link for link in json.loads(machine.inside("ip -j address"))}
    main = [(a["local"], a["prefixlen"]) for a in links["enp4s0"]["addr_info"] if a["family"] == "inet"]
    assert main == [(ADDRESS, 24)]
    assert links["enp5s0"]["addr_info"] == []
    assert "unmanaged" in machine.inside("networkctl --no-legend list enp5s0")
    assert machine.inside("networkctl --no-legend list enp4s0").split()[-1] == "configured"
    assert "default via 192.168.182.1 dev enp4s0" in machine.inside("ip route")
    # The cable is in: carrier as soon as somebody sets the NIC up.
    machine.inside("ip link set enp5s0 up")
    until(lambda: "1" in machine.inside("cat /sys/class/net/enp5s0/carrier") or None, 5, "enp5s0 has no carrier")


def test_libvirt_answers_and_ufw_is_off(hypervisor: Hypervisor, suite: str) -> None:
    machine = hypervisor(suite)
    assert "Using library: libvirt" in machine.inside("virsh -c qemu:///system version")
    assert machine.inside("ufw status").strip() == "Status: inactive"
    assert machine.inside("test -e /dev/kvm || echo none").strip() == "none"
    machine.inside("ufw allow 22/tcp && ufw --force enable && ufw status | grep -q '22/tcp.*ALLOW'")
    machine.wait_ssh(5)
    guest = (
        "<domain type='qemu'><name>probe</name><memory unit='MiB'>64</memory>"
        "<os><type arch='x86_64'>hvm</type></os></domain>"
    )
    machine.inside(f'echo "{guest}" > /tmp/probe.xml && virsh -c qemu:///system create /tmp/probe.xml')
    assert machine.inside("virsh -c qemu:///system domstate probe").strip() == "running"


def test_the_owner_logs_in_by_key_or_password_and_sudo_asks(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    status = machine.status()
    assert status
    for secret in (status.key, status.password_file):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    with login(machine) as client:
        assert said(client, "echo $SSH_CONNECTION")[1].split()[0] == "192.168.182.10"
        assert said(client, "sudo -n true")[0] == 1
        assert said(client, "sudo -S -p '' id -un", status.password_file.read_text()) == (0, "root\n")
        assert said(client, "sudo -k; sudo -S -p '' id -un", "wrong\n")[0] != 0
    with login(machine, password=True) as client:
        assert said(client, "id -un") == (0, "owner\n")


def test_a_thread_steps_onto_the_lan_and_back(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    before = os.readlink("/proc/thread-self/ns/net")
    with contextlib.suppress(ZeroDivisionError), machine.lan():
        assert os.readlink("/proc/thread-self/ns/net") != before
        raise ZeroDivisionError
    assert os.readlink("/proc/thread-self/ns/net") == before


def test_the_router_answers_dns_and_dhcp(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    with machine.lan():
        for tcp in (False, True):
            assert dns("hypervisor.home.arpa", tcp=tcp) == ADDRESS
            assert dns("registry.example.org", tcp=tcp) == "192.168.182.1"
    machine.inside(
        "printf '[Match]\\nName=enp5s0\\n[Network]\\nDHCP=ipv4\\n' > /etc/systemd/network/20-spare.network\n"
        "networkctl reload\n"
        "/lib/systemd/systemd-networkd-wait-online --interface=enp5s0 --timeout=20"
    )
    (address,) = json.loads(machine.inside("ip -j -4 address show enp5s0"))[0]["addr_info"]
    assert 50 <= int(address["local"].removeprefix("192.168.182.")) <= 99


def test_a_reboot_and_a_power_cut_keep_the_disk_and_nothing_else(hypervisor: Hypervisor, suite: str) -> None:
    machine = hypervisor(suite)
    seen = {boot_id(machine)}
    for power in (False, True):
        machine.inside("echo kept >> /var/tmp/disk; touch /run/lost; sync")
        machine.reboot(power)
        seen.add(boot_id(machine))
        assert machine.inside("test -e /run/lost || echo gone").strip() == "gone"
        with login(machine) as client:
            assert said(client, "id -un") == (0, "owner\n")
    assert machine.inside("cat /var/tmp/disk") == "kept\nkept\n"
    assert len(seen) == 3


def test_it_boots_again_when_rebooted_from_inside(hypervisor: Hypervisor, suite: str) -> None:
    machine = hypervisor(suite)
    for command in ("systemctl reboot", "systemctl --no-block --force reboot", "reboot -f"):
        before, count = boot_id(machine), boots(machine)
        machine.inside(f"systemd-run --collect {command}", check=False)  # it may not live to hear that it was started
        wait_for_boot(machine, count + 1)
        machine.wait_ssh(30)
        assert boot_id(machine) != before


def test_what_is_stopped_for_a_moment_is_waited_for_all_the_same(hypervisor: Hypervisor) -> None:
    """As all is when a machine goes down."""
    assert hypervisor().inside("kill -STOP $$; echo on") == "on\n"


def test_a_poweroff_keeps_it_off_until_the_next_up(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    machine.inside("echo kept > /var/tmp/disk; systemctl --no-block poweroff")
    until(lambda: True if boot_of(machine) is Boot.OFF else None, 30, "The machine did not power off")
    with pytest.raises(RehearsalError, match="not running"):
        machine.inside("true")
    machine.up()
    assert machine.inside("cat /var/tmp/disk") == "kept\n"


def test_up_takes_over_a_machine_whose_supervisor_was_killed(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    status = machine.status()
    assert status
    state = json.loads((status.cluster_file.parent / "state.json").read_text())
    supervisor = Process.recorded(status.cluster_file.parent / "supervisor.pid")
    assert supervisor
    supervisor.end()
    assert boot_of(machine) is Boot.OFF
    machine.up()
    assert boot_of(machine) is Boot.UP
    assert not Process(**state["leader"]).alive
    machine.reboot()


def test_a_cut_is_half_open_and_heals(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    with login(machine) as client:
        machine.cut()
        channel = client.get_transport().open_session  # type: ignore[union-attr]
        with pytest.raises(paramiko.SSHException):
            channel(timeout=1)
        with pytest.raises(RehearsalError, match="did not answer"):
            machine.wait_ssh(1)
        machine.restore()
        assert said(client, "echo still here") == (0, "still here\n")


def test_a_cut_lasts_over_a_power_cut_and_names_its_nic(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    machine.cut(["enp4s0"])
    count = boots(machine)
    with pytest.raises(BadRequest, match="eth7"):
        machine.cut(["eth7"])
    until(lambda: "0" in machine.inside("cat /sys/class/net/enp4s0/carrier") or None, 5, "enp4s0 still has a carrier")
    machine.inside("systemd-run --collect reboot -f", check=False)  # it may end what asked for it too
    wait_for_boot(machine, count + 1)
    assert machine.inside("cat /sys/class/net/enp4s0/carrier").strip() == "0"
    machine.restore()
    machine.wait_ssh(10)


def test_a_second_up_changes_nothing_and_keeps_the_owners_cluster_file(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    status = machine.status()
    assert status
    status.cluster_file.write_text("name: mine\n")
    boot = boot_id(machine)
    again = cli("up", "--name", machine.name)
    assert again.returncode == 0
    assert "already running" in again.stderr
    assert boot_id(machine) == boot
    assert status.cluster_file.read_text() == "name: mine\n"
    with pytest.raises(BadRequest, match="bookworm"):
        machine.up("trixie")


def test_reset_gives_a_fresh_machine_with_the_same_keys(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    status = machine.status()
    assert status
    hosts, cluster = status.known_hosts.read_text(), status.cluster_file.read_text()
    machine.inside("touch /var/tmp/old; ip link set enp5s0 down")
    machine.run_on_lan(["ip", "link", "add", "litter", "type", "bridge"], check=True)
    machine.cut()
    status.cluster_file.write_text("name: changed\n")
    machine.reset()
    assert machine.inside("test -e /var/tmp/old || echo fresh").strip() == "fresh"
    assert machine.run_on_lan(["ip", "link", "show", "litter"], capture_output=True).returncode == 1
    assert status.cluster_file.read_text() == cluster
    assert status.known_hosts.read_text() == hosts
    with login(machine) as client:
        assert said(client, "true")[0] == 0


def test_two_rehearsals_have_nothing_in_common(hypervisor: Hypervisor) -> None:
    one, other = hypervisor(), hypervisor(which="second")
    one.inside("touch /var/tmp/mine")
    assert other.inside("test -e /var/tmp/mine || echo none").strip() == "none"
    assert one.inside("cat /etc/machine-id") != other.inside("cat /etc/machine-id")
    one.cut()
    other.wait_ssh(5)
    count = boots(other)
    one.inside("systemctl stop ssh.service")
    other.wait_ssh(5)
    assert boots(other) == count


def test_the_command_line_passes_input_and_exit_status_through(hypervisor: Hypervisor) -> None:
    name = hypervisor().name
    assert cli("exec", "--name", name, "--", "sh", "-c", "exit 7").returncode == 7
    assert cli("exec", "--name", name, "--", "cat", input="from the laptop").stdout == "from the laptop"
    assert "192.168.182.10/24" in cli("exec", "--name", name, "--", "ip", "address").stdout
    assert cli("ssh", "--name", name, "--", "cat; exit 9", input="over ssh").returncode == 9
    assert cli("ssh", "--name", name, "--", "cat", input="over ssh").stdout == "over ssh"


def test_status_names_files_that_exist(hypervisor: Hypervisor) -> None:
    name = hypervisor().name
    told = json.loads(cli("status", "--name", name, "--json").stdout)
    assert (told["schema"], told["cluster"], told["suite"], told["bare"]) == (1, name, "bookworm", False)
    for file in ("netns", "cluster_file", "ssh_config", "known_hosts", "key", "password_file"):
        assert Path(told[file]).exists(), file
    assert told["hosts"] == [{"name": "hypervisor", "address": ADDRESS, "user": "owner", "boot": "up"}]
    shell = ["nsenter", f"--net={told['netns']}", "ssh", "-F", told["ssh_config"], f"owner@{ADDRESS}", "hostname"]
    assert subprocess.run(shell, capture_output=True, text=True, check=True).stdout == "hypervisor\n"


def test_the_cut_command_heals_by_itself(hypervisor: Hypervisor) -> None:
    machine = hypervisor()
    assert cli("cut", "--name", machine.name, "--seconds", "0.2").returncode == 0
    machine.wait_ssh(5)
    assert cli("cut", "--name", machine.name, "--nic", "enp4s0").returncode == 0
    with pytest.raises(RehearsalError):
        machine.wait_ssh(0.5)
    assert cli("cut", "--name", machine.name, "--restore").returncode == 0
    machine.wait_ssh(5)


def test_a_bare_machine_has_what_makes_a_hypervisor_at_hand(hypervisor: Hypervisor, suite: str) -> None:
    machine = hypervisor(suite, bare=True)
    assert machine.inside("command -v virsh qemu-system-x86_64 || echo none").strip() == "none"
    machine.inside("timeout 10 apt-get update")
    packages = " ".join((*HYPERVISOR_PACKAGES, "fio", "genisoimage", "netcat-openbsd"))
    machine.inside(f"apt-get install -y --download-only {packages}")
    assert 'security_driver = "none"' in machine.inside("cat /etc/libvirt/qemu.conf")


def test_a_full_machine_updates_its_package_lists_without_the_internet(hypervisor: Hypervisor) -> None:
    hypervisor().inside("timeout 10 apt-get update")


# --- leaving no trace ---------------------------------------------------------------------------------------------


def surroundings() -> dict[str, object]:
    """What of this machine a rehearsal must not change; other rehearsals may come and go meanwhile."""
    mounts = [line.split(" ", 3)[3] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    rules = [
        subprocess.run([tool], capture_output=True, text=True, check=False).stdout
        for tool in ("iptables-save", "ip6tables-save")
        if Path("/usr/sbin", tool).exists()
    ]
    links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    return {
        "links": links,
        "netns": subprocess.run(["ip", "netns"], capture_output=True, check=True).stdout,
        "mounts": [mount for mount in mounts if "/rehearsals/" not in mount],
        "rules": rules,
        "run": sorted(str(path) for path in Path("/run/systemd").iterdir()) if Path("/run/systemd").exists() else [],
    }


def traces(name: str) -> list[str]:
    """What is left of a rehearsal: mounts, control groups, processes, files."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/rehearsals/{name}" in line]
    groups = glob.glob(f"**/homek8s-{name}-*", root_dir="/sys/fs/cgroup", recursive=True)  # others' may go meanwhile
    processes = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            processes += [text] if f"/rehearsals/{name}/" in f"{text.strip()}/" else []
    return mounts + groups + processes


@pytest.fixture
def own_name(hypervisor: Hypervisor) -> Iterator[str]:
    """A name for a rehearsal that the test makes and removes itself; the root tree is in the cache by then."""
    hypervisor()
    name = f"pytest-{os.getpid()}-own"
    yield name
    Rehearsal(name).down()


def test_down_leaves_no_trace_and_may_be_repeated(own_name: str) -> None:
    before = surroundings()
    machine = Rehearsal(own_name)
    machine.up()
    status = machine.status()
    assert status
    machine.inside("systemd-run --unit=busy sleep 1000")
    assert traces(own_name)
    assert machine.down()
    assert not status.cluster_file.parent.exists()
    assert traces(own_name) == []
    assert surroundings() == before
    assert not machine.down()
    assert machine.status() is None
    assert "no rehearsal" in cli("status", "--name", own_name).stdout


@pytest.mark.turns("after")
@pytest.mark.parametrize("after", [0.1, 0.2, 0.3, 0.5, 0.7])
def test_an_up_killed_anywhere_can_be_completed_or_removed(own_name: str, after: float) -> None:
    before = surroundings()
    command = [sys.executable, "-m", "wizard.cli.rehearse", "up", "--name", own_name]
    for last in (Rehearsal.up, Rehearsal.down):
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after)
            process.kill()
        last(Rehearsal(own_name))
        if last is Rehearsal.up:
            assert Rehearsal(own_name).inside("hostname").strip() == "hypervisor"
            Rehearsal(own_name).down()
    assert traces(own_name) == []
    assert surroundings() == before


def test_down_spares_a_process_that_got_a_recorded_pid_later(own_name: str) -> None:
    machine = Rehearsal(own_name)
    machine.up()
    status = machine.status()
    assert status
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        found = Process.of(stranger.pid)
        assert found
        dnsmasq = Process.recorded(status.cluster_file.parent / "dnsmasq.pid")
        assert dnsmasq
        dnsmasq.end()
        (status.cluster_file.parent / "dnsmasq.pid").write_text(f"{found.pid} {found.started - 1}\n")
        machine.down()
        assert found.alive
        stranger.kill()


def test_a_dead_dns_server_comes_back_with_up_and_the_machine_stays(own_name: str) -> None:
    machine = Rehearsal(own_name)
    machine.up()
    status = machine.status()
    assert status
    before = boot_id(machine)
    dnsmasq = Process.recorded(status.cluster_file.parent / "dnsmasq.pid")
    assert dnsmasq
    dnsmasq.end()
    machine.up()
    with machine.lan():
        assert dns("hypervisor.home.arpa", tcp=False) == ADDRESS
    assert boot_id(machine) == before


def test_removing_all_asks_first(hypervisor: Hypervisor) -> None:
    name = hypervisor().name
    refused = cli("down", "--all", input="n\n")
    assert refused.returncode == 1
    assert name in refused.stdout
    assert boot_of(Rehearsal(name)) is Boot.UP


# --- what it needs ------------------------------------------------------------------------------------------------


def test_it_says_all_that_is_missing_at_once(tmp_path: Path) -> None:
    here = {**os.environ, "PATH": str(tmp_path), "HOMEK8S_CACHE": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    refused = cli("up", env=here)
    assert refused.returncode == 2
    for package in ("systemd-container", "mmdebstrap", "util-linux", "openssh-client"):
        assert package in refused.stderr.splitlines()[-1]
    assert refused.stderr.count("systemd-nspawn") == 1
    assert not (tmp_path / "trees").exists()


@pytest.mark.parametrize("name", ["", "Upper", "../up", "-x", "x" * 41])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    refused = cli("up", f"--name={name}")
    assert refused.returncode == 2
    assert "no name for a rehearsal" in refused.stderr


SMALL_TREE = """
from wizard.rehearsal import tree
from wizard.rehearsal.recipe import mmdebstrap

class Small:
    name = title = "a small tree"
    def command(self, directory):
        return mmdebstrap("bookworm", ["dash"], "true", directory, lists=False)

tree.ensure(Small(), lambda said: print(said, flush=True))
"""


def test_a_killed_build_leaves_no_half_tree_and_two_builders_share_one(hypervisor: Hypervisor, tmp_path: Path) -> None:
    hypervisor()  # skips where no rehearsal can run

    def build() -> subprocess.Popen[str]:
        here = {**os.environ, "HOMEK8S_CACHE": str(tmp_path)}
        command = [sys.executable, "-c", SMALL_TREE]
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, env=here)

    def trees() -> list[str]:
        return [path.name for path in (tmp_path / "trees").iterdir() if not path.name.startswith(".")]

    with build() as first:
        assert first.stdout
        until(lambda: "extracting" in first.stdout.readline() or None, 120, "The build did not get going")  # type: ignore[union-attr]
        first.send_signal(signal.SIGKILL)
    assert trees() == []
    both = [build(), build()]
    told = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert any("waiting for it" in text for text in told)
    assert ["installing essential" in text for text in told].count(True) == 1
    assert trees() == ["a small tree"]
    shutil.rmtree(tmp_path / "trees")
