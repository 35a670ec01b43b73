"""What a guest says of who sets its links up; nothing secret leaves it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from wizard.facts.netplan import DIRECTORIES, NetplanFile
from wizard.facts.network_writers import NETWORK_WRITERS, NetworkWriters
from wizard.model import FactError, Output

SECRET = """\
# the password is hunter2
network:
  version: 2
  renderer: networkd
  ethernets:
    enp1s0:
      match: {macaddress: "52:54:00:00:00:01"}
      addresses: [192.168.182.130/24]   # the office
      auth:
        key-management: 802.1x
        method: ttls
        identity: hunter2
        password: |
          hunter2
            hunter2
      optional: true
    enp2s0:
      addresses:
      - 10.0.0.5/8
      - "10.0.0.6/8": {label: "enp2s0:x"}
  wifis:
    wlan0:
      access-points:
        "home": {password: hunter2}
      dhcp4: true
  tunnels:
    wg0:
      keys:
        private: hunter2
      peers:
      - keys: {shared: hunter2}
  vlans:
    vlan7: {id: 7, link: enp1s0}
"""


def looked(directory: Path) -> NetworkWriters:
    """The command as a guest runs it, with its directories below this one."""
    command = NETWORK_WRITERS.command
    for place in (*DIRECTORIES[:2], "/usr/lib/netplan"):
        command = command.replace(f" {place}/*", f" {directory}{place}/*")
    command = command.replace(" /lib/netplan/*", f" {directory}/none/*").replace(
        "/etc/network/", f"{directory}/etc/network/"
    )
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/sbin"}
    )
    assert b"hunter2" not in done.stdout
    return NETWORK_WRITERS.parse(Output(done.returncode, done.stdout, done.stderr))


def write(directory: Path, path: str, text: str) -> None:
    (directory / path).parent.mkdir(parents=True, exist_ok=True)
    (directory / path).write_text(text)


def test_nothing_secret_leaves_the_guest(tmp_path: Path) -> None:
    write(tmp_path, "etc/netplan/50-cloud-init.yaml", SECRET)
    [file] = looked(tmp_path).netplan.files
    found = {each.id: each for each in file.definitions()}
    assert list(found) == ["enp1s0", "enp2s0", "vlan7"]
    assert [str(each) for each in found["enp1s0"].addresses] == ["192.168.182.130/24"]
    assert found["enp1s0"].config["optional"] is True
    assert [str(each) for each in found["enp2s0"].addresses] == ["10.0.0.5/8", "10.0.0.6/8"]


def test_a_secret_on_the_one_line_there_is(tmp_path: Path) -> None:
    write(tmp_path, "etc/netplan/one.yaml", "network: {wifis: {w: {access-points: {x: {password: hunter2}}}}}\n")
    [file] = looked(tmp_path).netplan.files
    assert list(file.definitions()) == []


def test_the_files_that_count_in_the_order_of_their_names(tmp_path: Path) -> None:
    for path in (
        "run/netplan/50-a.yaml",
        "etc/netplan/90-b.yaml",
        "etc/netplan/50-a.yaml",
        "usr/lib/netplan/00-c.yaml",
    ):
        write(tmp_path, path, "network: {version: 2}\n")
    paths = [file.path.removeprefix(str(tmp_path)) for file in looked(tmp_path).netplan.files]
    assert paths == ["/usr/lib/netplan/00-c.yaml", "/etc/netplan/50-a.yaml", "/etc/netplan/90-b.yaml"]


def test_ifupdown(tmp_path: Path) -> None:
    write(tmp_path, "etc/network/interfaces", "auto lo\niface lo inet loopback\n\tiface ens3 inet dhcp\n")
    assert looked(tmp_path).ifupdown == ("ens3",)


def test_what_was_said_of_programs_and_files() -> None:
    said = b"networkd\tactive\nnm\tinactive\ntaken\tenp7s0\t/etc/systemd/network/10.network\ninstalled\nend\n"
    found = NETWORK_WRITERS.parse(Output(0, said))
    assert (found.networkd, found.network_manager, found.netplan.installed) == (True, False, True)
    assert found.taken == {"enp7s0": "/etc/systemd/network/10.network"}
    with pytest.raises(FactError):
        NETWORK_WRITERS.parse(Output(0, said[:-4]))


@pytest.mark.parametrize("text", ["network: [", "network: {ethernets: [a]}", "- a\n", "network: {ethernets: {a: b}}"])
def test_what_is_not_as_netplan_has_it(text: str) -> None:
    with pytest.raises(ValueError, match="is not as netplan has it"):
        [each.addresses for each in NetplanFile("/etc/netplan/a.yaml", text).definitions()]
