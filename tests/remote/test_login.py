"""Reaching a host, knowing it, and logging in, over a real sshd and a real agent."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.remote.conftest import Owner, Server, free_port, keygen, login_to, until
from wizard.errors import HostLostError, HostUnavailable
from wizard.events import HostKey, NeedSecret, SecretKind
from wizard.model import Secret
from wizard.remote.connection import connect
from wizard.remote.known_hosts import KnownHosts, PublicKey
from wizard.remote.login import Login

OwnSshd = Callable[..., Server]


def refusal(login: Login, **how: float) -> HostUnavailable:
    with pytest.raises(HostUnavailable) as refused:
        connect(login, **how).close()  # type: ignore[arg-type]
    assert refused.value.where == login.host
    assert refused.value.cure
    return refused.value


def accept(server: Server, *keys: Path) -> None:
    lines = [key.with_name(key.name + ".pub").read_text() for key in keys]
    (server.home / "authorized_keys").write_text("".join(lines))


def listen(sock: socket.socket) -> int:
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return int(sock.getsockname()[1])


# ---------------------------------------------------------------- reaching it


def test_nobody_listens(sshd: Server, tmp_path: Path) -> None:
    assert "refuses connections" in refusal(login_to(sshd, tmp_path, port=free_port())).what


def test_no_such_name(sshd: Server, tmp_path: Path) -> None:
    assert "cannot be resolved" in refusal(login_to(sshd, tmp_path, host="no-such-host.invalid")).what
    assert "cannot be resolved" in refusal(login_to(sshd, tmp_path, host="a" * 70 + ".invalid")).what


def test_no_route(sshd: Server, tmp_path: Path) -> None:
    # Documentation addresses (RFC 3849) without a route; class E is refused by the kernel itself.
    said = refusal(login_to(sshd, tmp_path, host="240.0.0.1"), timeout=1).what
    assert "240.0.0.1" in said


def test_a_listener_that_says_nothing(sshd: Server, tmp_path: Path) -> None:
    with socket.socket() as silent:
        start = time.monotonic()
        said = refusal(login_to(sshd, tmp_path, port=listen(silent)), timeout=1)
    assert "does not speak SSH" in said.what
    assert time.monotonic() - start < 5


def test_a_listener_that_is_no_ssh(sshd: Server, tmp_path: Path) -> None:
    with socket.socket() as web:
        port = listen(web)

        def serve() -> None:
            with web.accept()[0] as client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200)

        thread = threading.Thread(target=serve)
        thread.start()
        assert "does not speak SSH" in refusal(login_to(sshd, tmp_path, port=port), timeout=2).what
        thread.join()


def test_the_next_address_is_tried(sshd: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def two(host: str, *rest: object) -> object:
        return real("::1", *rest) + real("127.0.0.1", *rest)  # type: ignore[arg-type,operator]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with connect(login_to(sshd, tmp_path, host="both")) as connection:
        assert connection.address == "127.0.0.1"


def test_another_address_has_the_same_key(sshd: Server, tmp_path: Path) -> None:
    owner = Owner()
    login = login_to(sshd, tmp_path, owner, host="192.0.2.1")
    with connect(login, address="127.0.0.1") as connection:
        assert connection.address == "127.0.0.1"
    assert login.known_hosts.kinds("192.0.2.1", sshd.port) == ("ssh-ed25519",)
    assert [question.address for question in owner.asked if isinstance(question, HostKey)] == ["127.0.0.1"]
    connect(login, address="127.0.0.1").close()
    assert len(owner.asked) == 1


# ---------------------------------------------------------------- knowing it


def test_an_unknown_host_is_asked_about_once(sshd: Server, tmp_path: Path) -> None:
    owner = Owner()
    for _ in range(2):
        connect(login_to(sshd, tmp_path, owner)).close()
    key = PublicKey.from_text(sshd.host_key.read_text())
    assert owner.asked == [HostKey("test-host", "127.0.0.1", "ssh-ed25519", key.fingerprint)]
    assert not (tmp_path / "owners_known_hosts").exists()
    assert (tmp_path / "accepted").stat().st_mode & 0o777 == 0o600


def test_parallel_logins_ask_once(sshd: Server, tmp_path: Path) -> None:
    owner = Owner()
    threads = [threading.Thread(target=lambda: connect(login_to(sshd, tmp_path, owner)).close()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(owner.asked) == 1


def test_a_key_that_is_not_accepted(sshd: Server, tmp_path: Path) -> None:
    refused = refusal(login_to(sshd, tmp_path, Owner(trusts=False)))
    assert "was not accepted" in refused.what
    assert "ssh_host_ed25519_key.pub" in refused.cure
    assert not (tmp_path / "accepted").exists()


def test_a_changed_key_is_refused_with_all_there_is_to_know(sshd: Server, tmp_path: Path) -> None:
    owner, owners_file = Owner(), tmp_path / "owners_known_hosts"
    other = PublicKey.from_text(keygen(tmp_path / "other").with_suffix(".pub").read_text())
    shown = PublicKey.from_text(sshd.host_key.read_text())
    owners_file.write_text(f"# mine\n[127.0.0.1]:{sshd.port} " + (tmp_path / "other.pub").read_text())
    refused = refusal(login_to(sshd, tmp_path, owner))
    assert f"{owners_file} line 2" in refused.what
    assert other.fingerprint in refused.what
    assert shown.fingerprint in refused.what
    assert "console" in refused.cure
    assert f"ssh-keygen -f {owners_file} -R '[127.0.0.1]:{sshd.port}'" in refused.cure
    assert owner.asked == []


def test_a_revoked_key(sshd: Server, tmp_path: Path) -> None:
    (tmp_path / "owners_known_hosts").write_text("@revoked * " + sshd.host_key.read_text())
    refused = refusal(login_to(sshd, tmp_path))
    assert "revoked" in refused.what
    assert "line 1" in refused.what


def test_the_known_type_of_key_is_asked_for(own_sshd: OwnSshd, tmp_path: Path) -> None:
    server = own_sshd(host_keys=("ed25519", "ecdsa", "rsa"))
    for kind in ("ecdsa", "rsa"):
        key = (server.home / f"host_{kind}.pub").read_text()
        (tmp_path / "owners_known_hosts").write_text(f"[127.0.0.1]:{server.port} {key}")
        owner = Owner()
        with connect(login_to(server, tmp_path, owner)) as connection:
            assert connection.host_key == PublicKey.from_text(key)
        assert owner.asked == []


def test_another_type_known_is_asked_about_with_a_note(sshd: Server, tmp_path: Path) -> None:
    keygen(tmp_path / "old", "ecdsa")
    (tmp_path / "owners_known_hosts").write_text(f"[127.0.0.1]:{sshd.port} " + (tmp_path / "old.pub").read_text())
    owner = Owner()
    connect(login_to(sshd, tmp_path, owner)).close()
    (question,) = owner.asked
    assert isinstance(question, HostKey)
    assert "ecdsa-sha2-nistp256 in" in question.note


# ---------------------------------------------------------------- keys


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """A real ssh-agent; call it with a key file to add that key."""
    place = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL)
    until(place.exists)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    yield lambda key: subprocess.run(["ssh-add", "-q", key], check=True) and None  # type: ignore[func-returns-value]
    process.terminate()
    process.wait()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_key_files(own_sshd: OwnSshd, tmp_path: Path, kind: str, passphrase: str) -> None:
    server, key, owner = own_sshd(), keygen(tmp_path / "id", kind, passphrase), Owner(secrets=["wrong", passphrase])
    accept(server, key)
    login = login_to(server, tmp_path, owner, identity_files=(key,))
    for _ in range(2):
        connect(login).close()
    asked = [question for question in owner.asked if isinstance(question, NeedSecret)]
    wanted = [NeedSecret("test-host", SecretKind.KEY_PASSPHRASE, str(key), attempt) for attempt in (1, 2)]
    assert asked == (wanted if passphrase else [])


def test_a_passphrase_is_asked_three_times(own_sshd: OwnSshd, tmp_path: Path) -> None:
    server, key = own_sshd(), keygen(tmp_path / "id", "ed25519", "right")
    owner = Owner(secrets=["a", "b", "c", "right"])
    accept(server, key)
    refused = refusal(login_to(server, tmp_path, owner, identity_files=(key,)))
    assert "no usable key" in refused.what
    assert owner.secrets == ["right"]


def test_a_passphrase_is_asked_once_for_all_hosts(own_sshd: OwnSshd, tmp_path: Path) -> None:
    key, owner = keygen(tmp_path / "id", "ed25519", "right"), Owner(secrets=["right"])
    one, two = own_sshd(), own_sshd()
    accept(one, key)
    accept(two, key)
    first = login_to(one, tmp_path, owner, identity_files=(key,))
    second = login_to(two, tmp_path, owner, identity_files=(key,))
    second.secrets = first.secrets
    connect(first).close()
    connect(second).close()
    assert sum(isinstance(question, NeedSecret) for question in owner.asked) == 1
    assert [secret.reveal() for secret in first.secrets.all()] == ["right"]


def test_no_passphrase_is_asked_in_vain(own_sshd: OwnSshd, tmp_path: Path) -> None:
    server, locked, owner = own_sshd(), keygen(tmp_path / "locked", "ed25519", "x"), Owner()
    connect(login_to(server, tmp_path, owner, identity_files=(locked, server.key))).close()
    assert not any(isinstance(question, NeedSecret) for question in owner.asked)


def test_the_agents_keys(own_sshd: OwnSshd, tmp_path: Path, agent: Callable[[Path], None]) -> None:
    server = own_sshd()
    agent(server.key)
    connect(login_to(server, tmp_path, identity_files=(), use_agent=True)).close()
    refusal(login_to(server, tmp_path, identity_files=(), use_agent=False))
    refusal(login_to(server, tmp_path, identity_files=(tmp_path / "none",), use_agent=True, identities_only=True))


def test_a_locked_key_in_the_agent_needs_no_passphrase(
    own_sshd: OwnSshd, tmp_path: Path, agent: Callable[[Path], None]
) -> None:
    server, key, owner = own_sshd(), keygen(tmp_path / "id"), Owner()
    accept(server, key)
    agent(key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True, stdout=subprocess.DEVNULL)
    connect(login_to(server, tmp_path, owner, identity_files=(key,), use_agent=True, identities_only=True)).close()
    assert not any(isinstance(question, NeedSecret) for question in owner.asked)


@pytest.mark.parametrize("tries", [1, 2, 6])
def test_more_keys_than_the_host_has_patience(own_sshd: OwnSshd, tmp_path: Path, tries: int) -> None:
    server = own_sshd(f"MaxAuthTries {tries}")
    wrong = tuple(keygen(tmp_path / f"wrong{number}") for number in range(4))
    login = login_to(server, tmp_path, identity_files=(*wrong, server.key))
    connect(login).close()
    log = server.home / "log"
    before = log.read_text().count("Failed publickey")
    connect(login).close()
    assert log.read_text().count("Failed publickey") == before, "the key that fits is not offered first"


def test_no_key_fits(sshd: Server, tmp_path: Path) -> None:
    wrong = keygen(tmp_path / "wrong")
    refused = refusal(login_to(sshd, tmp_path, identity_files=(wrong, tmp_path / "none", Path("/etc/passwd"))))
    assert f"tried: key {wrong}" in refused.what
    assert "publickey" in refused.what
    assert "ssh-copy-id" in refused.cure


def test_thinking_longer_than_the_host_waits(own_sshd: OwnSshd, tmp_path: Path) -> None:
    server, key = own_sshd("LoginGraceTime 3"), keygen(tmp_path / "id", "ed25519", "right")
    accept(server, key)

    def think(question: object) -> bool | Secret:
        until(lambda: not server.sessions())
        return True if isinstance(question, HostKey) else Secret("right")

    login = login_to(server, tmp_path, think, identity_files=(key,))  # type: ignore[arg-type]
    connect(login).close()


# ---------------------------------------------------------------- jump hosts


def through(jumps: list[Server], server: Server, state: Path, owner: Owner) -> Login:
    destinations = tuple(replace(login_to(jump, state).destination, typed=f"jump{n}") for n, jump in enumerate(jumps))
    return login_to(server, state, owner, jumps=destinations)


def test_jump_hosts_are_known_and_logged_in_to_on_their_own(own_sshd: OwnSshd, tmp_path: Path) -> None:
    near, far, last = own_sshd(), own_sshd(), own_sshd()
    owner = Owner()
    login = through([near, far], last, tmp_path, owner)
    login.destination = replace(login.destination, host="localhost")
    with connect(login) as connection:
        assert connection.run("echo there").text == "there\n"
        assert connection.host_key == PublicKey.from_text(last.host_key.read_text())
        assert connection.address == "localhost"
    names = [question.host for question in owner.asked if isinstance(question, HostKey)]
    assert names == ["jump0", "jump1", "test-host"]
    known = KnownHosts([], tmp_path / "accepted")
    assert all(known.kinds("127.0.0.1", server.port) for server in (near, far))
    assert known.kinds("localhost", last.port)


def test_what_a_jump_host_cannot_reach(own_sshd: OwnSshd, tmp_path: Path) -> None:
    near, last = own_sshd(), own_sshd()
    login = through([near], last, tmp_path, Owner())
    last.stop()
    assert "the jump host cannot reach" in refusal(login).what
    with pytest.raises(HostUnavailable) as refused:
        connect(through([last], near, tmp_path, Owner()))
    assert refused.value.where == "jump0"


def test_a_host_that_dies_beyond_a_jump_host(own_sshd: OwnSshd, tmp_path: Path) -> None:
    """TCP to the jump host lives on, so only the heartbeat can tell."""
    near, last = own_sshd(), own_sshd()
    with connect(through([near], last, tmp_path, Owner())) as connection:
        last.signal_sessions(signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(HostLostError):
            connection.run("true", limit=60)
        assert time.monotonic() - start < 20
        last.signal_sessions(signal.SIGCONT)


def test_openssh_reads_what_was_recorded(own_sshd: OwnSshd, tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("no ssh here (apt-get install openssh-client)")
    server = own_sshd()
    connect(login_to(server, tmp_path)).close()
    options = ["-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={tmp_path}/accepted"]
    argv = ["ssh", *options, "-i", str(server.key), "-p", str(server.port), "127.0.0.1", "echo", "in"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    assert done.stdout == "in\n", done.stderr
