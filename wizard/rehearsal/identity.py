"""Who is who in a rehearsal: the owner's key and password, the machines' keys and ids. Kept as long as it exists."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from pathlib import Path

from wizard.rehearsal import machines, network
from wizard.rehearsal.commands import run
from wizard.rehearsal.guests import Guest
from wizard.rehearsal.machines import Machine
from wizard.rehearsal.record import Spec
from wizard.rehearsal.runtime import Runtime, write

HOST_KEY_TYPES = ("ed25519", "ecdsa")

SSH_CONFIG = """\
Host {names}
    HostName {address}
    User {user}
    IdentityFile {key}
    IdentitiesOnly yes
    UserKnownHostsFile {known_hosts}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""


def ensure(runtime: Runtime, spec: Spec) -> None:
    """Make what is missing: key, password, machine-id, host keys, known_hosts, ssh_config (that of guests too).

    Guests that lie in a layer know one owner's key, which is kept beside them.
    """
    if not runtime.key.exists() and spec.layer:
        for name in (f"{runtime.key.name}.pub", runtime.key.name):
            write(runtime.directory / name, (Path(spec.layer) / name).read_text(), 0o600)
    if not runtime.key.exists():
        _key(runtime.key, "ed25519", f"{network.USER}@laptop")
    if not runtime.password_file.exists():
        write(runtime.password_file, f"{secrets.token_urlsafe(12)}\n", 0o600)
    ours = machines.every(runtime, spec)
    for machine in ours:
        _of_machine(machine)
    of_guests = (Path(spec.layer) / "known_hosts").read_text() if spec.layer else ""
    write(runtime.known_hosts, "".join(map(_known_hosts, ours)) + of_guests)
    write(runtime.ssh_config, _ssh_config(runtime, (*spec.named_guests, *spec.named_nodes)))


def password_hash(runtime: Runtime) -> str:
    """The owner's password as shadow(5) wants it. Perl has crypt(3); Python lost it in 3.13."""
    script = 'chomp(my $word = <STDIN>); print crypt($word, "\\$6\\$$ARGV[0]\\$")'
    return run(["perl", "-e", script, secrets.token_hex(8)], stdin=runtime.password_file.read_text())


def _of_machine(machine: Machine) -> None:
    machine.host_keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not machine.machine_id.exists():
        write(machine.machine_id, f"{uuid.uuid4().hex}\n")
    for kind in HOST_KEY_TYPES:
        path = machine.host_keys / f"ssh_host_{kind}_key"
        if not path.exists():
            _key(path, kind, f"root@{machine.host}")


def _key(path: Path, kind: str, comment: str) -> None:
    """Made under another name first, because a key without its public half is no key."""
    temporary = path.with_name(f".{path.name}.new")
    for left in (temporary, temporary.with_name(f"{temporary.name}.pub")):
        left.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", str(temporary)])
    temporary.with_name(f"{temporary.name}.pub").rename(path.with_name(f"{path.name}.pub"))
    temporary.rename(path)


def _known_hosts(machine: Machine) -> str:
    names = f"{machine.address},{machine.host},{machine.host}.{network.DOMAIN}"
    keys = [(machine.host_keys / f"ssh_host_{kind}_key.pub").read_text().split()[:2] for kind in HOST_KEY_TYPES]
    return "".join(f"{names} {kind} {key}\n" for kind, key in keys)


def _ssh_config(runtime: Runtime, guests: Sequence[Guest]) -> str:
    hypervisor = f"{network.HOSTNAME} {network.HOSTNAME}.{network.DOMAIN} {network.HYPERVISOR}"
    hosts = [(hypervisor, network.HYPERVISOR), *((f"{each.name} {each.address}", each.address) for each in guests)]
    return "\n".join(
        SSH_CONFIG.format(
            names=names, address=address, user=network.USER, key=runtime.key, known_hosts=runtime.known_hosts
        )
        for names, address in hosts
    )
