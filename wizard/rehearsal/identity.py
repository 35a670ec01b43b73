"""Who is who in a rehearsal: the owner's key and password, the machine's keys and id. Kept as long as it exists."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from pathlib import Path

from wizard.rehearsal import network
from wizard.rehearsal.commands import run
from wizard.rehearsal.guests import Guest
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
        _key(runtime, "ed25519", runtime.key.name, f"{network.USER}@laptop")
    if not runtime.password_file.exists():
        write(runtime.password_file, f"{secrets.token_urlsafe(12)}\n", 0o600)
    if not runtime.machine_id.exists():
        write(runtime.machine_id, f"{uuid.uuid4().hex}\n")
    runtime.host_keys.mkdir(mode=0o700, exist_ok=True)
    for kind in HOST_KEY_TYPES:
        name = f"ssh_host_{kind}_key"
        if not (runtime.host_keys / name).exists():
            _key(runtime, kind, f"{runtime.host_keys.name}/{name}", f"root@{network.HOSTNAME}")
    of_guests = (Path(spec.layer) / "known_hosts").read_text() if spec.layer else ""
    write(runtime.known_hosts, _known_hosts(runtime) + of_guests)
    write(runtime.ssh_config, _ssh_config(runtime, spec.named_guests))


def password_hash(runtime: Runtime) -> str:
    """The owner's password as shadow(5) wants it. Perl has crypt(3); Python lost it in 3.13."""
    script = 'chomp(my $word = <STDIN>); print crypt($word, "\\$6\\$$ARGV[0]\\$")'
    return run(["perl", "-e", script, secrets.token_hex(8)], stdin=runtime.password_file.read_text())


def _key(runtime: Runtime, kind: str, name: str, comment: str) -> None:
    """Made under another name first, because a key without its public half is no key."""
    path = runtime.directory / name
    temporary = path.with_name(f".{path.name}.new")
    for left in (temporary, temporary.with_name(f"{temporary.name}.pub")):
        left.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", str(temporary)])
    temporary.with_name(f"{temporary.name}.pub").rename(path.with_name(f"{path.name}.pub"))
    temporary.rename(path)


def _known_hosts(runtime: Runtime) -> str:
    names = f"{network.HYPERVISOR},{network.HOSTNAME},{network.HOSTNAME}.{network.DOMAIN}"
    keys = [(runtime.host_keys / f"ssh_host_{kind}_key.pub").read_text().split()[:2] for kind in HOST_KEY_TYPES]
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
