"""A real sshd on a loopback port, with keys of its own, for the current user."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wizard.events import HostKey, NeedSecret, Question
from wizard.model import Secret
from wizard.remote.connection import Connection, connect
from wizard.remote.destination import Destination
from wizard.remote.login import Login, Secrets

SSHD = shutil.which("sshd", path=f"/usr/sbin:{os.environ['PATH']}")


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)], check=True)
    return path


@dataclass
class Server:
    """A running sshd; `home` has its configuration and authorized_keys, `key` is one it accepts."""

    home: Path
    port: int
    key: Path
    process: subprocess.Popen[bytes]

    @property
    def host_key(self) -> Path:
        return self.home / "host_ed25519.pub"

    def sessions(self) -> list[int]:
        """The processes that serve a connection."""
        shown = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in shown.stdout.split()]

    def signal_sessions(self, number: int) -> None:
        for pid in self.sessions():
            os.kill(pid, number)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@dataclass
class Owner:
    """Answers as told, and remembers what was asked."""

    trusts: bool = True
    secrets: list[str] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)

    def __call__(self, question: Question) -> bool | str | Secret | None:
        self.asked.append(question)
        if isinstance(question, HostKey):
            return self.trusts
        if isinstance(question, NeedSecret) and self.secrets:
            return Secret(self.secrets.pop(0))
        return None


def until(holds: Callable[[], bool], limit: float = 10) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_sshd(home: Path, *settings: str, host_keys: tuple[str, ...] = ("ed25519",)) -> Server:
    """`settings` are lines of sshd_config; `home` is also the home of who logs in."""
    assert SSHD is not None
    home.mkdir(mode=0o700, exist_ok=True)
    os.makedirs("/run/sshd", exist_ok=True)
    key = home / "id"
    if not key.exists():
        keygen(key)
        (home / "authorized_keys").write_text((home / "id.pub").read_text())
    for kind in host_keys:
        if not (home / f"host_{kind}").exists():
            keygen(home / f"host_{kind}", kind)
    port = free_port()
    lines = [
        *settings,
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        f"AuthorizedKeysFile {home}/authorized_keys",
        *(f"HostKey {home}/host_{kind}" for kind in host_keys),
        # The profile of whoever runs the tests stays out of it.
        f"SetEnv HOME={home}",
    ]
    (home / "sshd_config").write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", home / "sshd_config"], stderr=(home / "log").open("ab"))

    def listens() -> bool:
        assert process.poll() is None, (home / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(listens)
    return Server(home, port, key, process)


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if SSHD is None:
        pytest.skip("no sshd here (apt-get install openssh-server)")
    server = start_sshd(tmp_path_factory.mktemp("sshd") / "sshd")
    yield server
    server.stop()


@pytest.fixture
def own_sshd(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts an sshd for one test: `own_sshd("MaxAuthTries 2", host_keys=("rsa",))`."""
    if SSHD is None:
        pytest.skip("no sshd here (apt-get install openssh-server)")
    servers: list[Server] = []

    def start(*settings: str, **how: object) -> Server:
        server = start_sshd(tmp_path / f"sshd{len(servers)}", *settings, **how)  # type: ignore[arg-type]
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def login_to(server: Server, state: Path, owner: Owner | None = None, **changes: object) -> Login:
    """A login as the current user with the server's key; nothing known about the host yet."""
    import getpass
    from dataclasses import replace

    destination = Destination(
        typed="test-host",
        host="127.0.0.1",
        port=server.port,
        user=getpass.getuser(),
        identity_files=(server.key,),
        use_agent=False,
        known_hosts=(state / "owners_known_hosts",),
    )
    return Login(replace(destination, **changes), owner or Owner(), state / "accepted", Secrets())  # type: ignore[arg-type]


@pytest.fixture
def connection(sshd: Server, tmp_path: Path) -> Iterator[Connection]:
    with connect(login_to(sshd, tmp_path)) as connection:
        yield connection
