"""What makes a root tree this very machine: names, keys, password and its foreign network file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from wizard.rehearsal import kubernetes_store, network
from wizard.rehearsal.identity import HOST_KEY_TYPES, password_hash
from wizard.rehearsal.machines import Machine
from wizard.rehearsal.runtime import write

HOSTS = """\
127.0.0.1 localhost
127.0.1.1 {host}.{domain} {host}
::1 localhost ip6-localhost ip6-loopback
"""

GENERATORS = "usr/local/lib/systemd/system-generators"
NOT_NEEDED = (
    *("cryptsetup", "debug", "gpt-auto", "hibernate-resume", "import", "integritysetup", "rc-local", "run", "ssh"),
    *("system-update", "tpm2", "veritysetup"),
)
"""Generators of systemd that find nothing to do in a container. All of them run whenever systemd is told to reload,
which is often; an empty file of its name keeps one from running (systemd.generator(7))."""

LAN_NETWORK = """\
[Match]
Name={nic}

[Network]
Address={address}/{prefix}
Gateway={router}
DNS={router}
"""


def fresh(machine: Machine) -> None:
    """Give the machine an empty disk over its tree, with only its identity on it; the machine must be off."""
    wipe(machine)
    machine.upper.mkdir(mode=0o755)
    for path, (text, mode) in (_files(machine) | dict(machine.files)).items():
        _put(machine.upper, machine.tree, Path(path), text, mode)
    _give_home(machine.upper, machine.tree)
    machine.root.mkdir(exist_ok=True)
    for path, store in machine.plain.items():
        machine.beside(path).parent.mkdir(exist_ok=True)
        kubernetes_store.copy(store, machine.beside(path))
    # Its existence says that everything above is complete.
    machine.work.mkdir()


def wipe(machine: Machine) -> None:
    """Forget the machine's disk."""
    shutil.rmtree(machine.work, ignore_errors=True)
    shutil.rmtree(machine.upper, ignore_errors=True)
    for plain in machine.plain:
        shutil.rmtree(machine.beside(plain), ignore_errors=True)


def _files(machine: Machine) -> dict[str, tuple[str, int]]:
    lan = LAN_NETWORK.format(nic=machine.nics[0], address=machine.address, prefix=network.PREFIX, router=network.ROUTER)
    files = {
        "etc/hostname": (f"{machine.host}\n", 0o644),
        "etc/hosts": (HOSTS.format(host=machine.host, domain=network.DOMAIN), 0o644),
        "etc/resolv.conf": (f"nameserver {network.ROUTER}\n", 0o644),
        "etc/machine-id": (machine.machine_id.read_text(), 0o444),
        "etc/systemd/network/10-lan.network": (lan, 0o644),
        "etc/shadow": (_shadow(machine), 0o640),
        f"home/{network.USER}/.ssh/authorized_keys": (machine.runtime.key.with_suffix(".pub").read_text(), 0o600),
    }
    files |= {f"{GENERATORS}/systemd-{name}-generator": ("", 0o644) for name in NOT_NEEDED}
    for kind in HOST_KEY_TYPES:
        private = machine.host_keys / f"ssh_host_{kind}_key"
        files[f"etc/ssh/{private.name}"] = (private.read_text(), 0o600)
        files[f"etc/ssh/{private.name}.pub"] = (private.with_suffix(".pub").read_text(), 0o644)
    # Not its first boot: caches of libraries and messages are as the tree has them (systemd-update-done.service(8)).
    return files | {"etc/.updated": ("", 0o644), "var/.updated": ("", 0o644)}


def _shadow(machine: Machine) -> str:
    lines = [line.split(":") for line in (machine.tree / "etc/shadow").read_text().splitlines()]
    for fields in lines:
        if fields[0] == network.USER:
            fields[1] = password_hash(machine.runtime)
    return "".join(":".join(fields) + "\n" for fields in lines)


def parents(upper: Path, tree: Path, path: Path) -> None:
    """Make the directories that a file in the upper directory needs, as they are in the tree."""
    for parent in reversed(path.parents[:-1]):
        if not (upper / parent).exists():
            (upper / parent).mkdir(mode=0o755)
            _own_like(tree / parent, upper / parent)


def _put(upper: Path, tree: Path, path: Path, text: str, mode: int) -> None:
    """An overlay shows the upper directory's owner and mode, so these must be the tree's."""
    parents(upper, tree, path)
    write(upper / path, text, mode)
    _own_like(tree / path, upper / path)
    (upper / path).chmod(mode)


def _own_like(model: Path, path: Path) -> None:
    if model.exists():
        known = model.stat()
        os.chown(path, known.st_uid, known.st_gid)
        path.chmod(known.st_mode & 0o7777)


def _give_home(upper: Path, tree: Path) -> None:
    """sshd refuses a key file that is not its user's own."""
    home = (tree / "home" / network.USER).stat()
    ssh = upper / "home" / network.USER / ".ssh"
    ssh.chmod(0o700)
    for path in (ssh, ssh / "authorized_keys"):
        os.chown(path, home.st_uid, home.st_gid)
