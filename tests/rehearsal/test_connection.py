"""Hosts over SSH against a real hypervisor: sudo, libvirt through the tunnel, cut cables, changed host keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from wizard.errors import HostLostError, HostUnavailable
from wizard.events import HostKey, NeedSecret, Question, SecretKind
from wizard.model import Fact, Known, LibvirtFact, Secret, Unseen
from wizard.rehearsal import Rehearsal
from wizard.remote.connection import Connection, connect
from wizard.remote.destination import resolve
from wizard.remote.login import Login
from wizard.remote.observe import observe
from wizard.remote.ssh_config import SshConfig

ACCOUNT = "owner@192.168.182.100"
HOSTNAME = Fact("hostname", "hostname", lambda output: output.text.strip())
NETWORKS = LibvirtFact(
    "networks", lambda host: None if host is None else sorted(n.name() for n in host.listAllNetworks())
)


@dataclass
class Owner:
    """Answers as told, and remembers what was asked."""

    secrets: list[str] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)

    def __call__(self, question: Question) -> bool | str | Secret | None:
        self.asked.append(question)
        if isinstance(question, HostKey):
            return False
        return Secret(self.secrets.pop(0)) if self.secrets else None


@dataclass
class Site:
    """The hypervisor, and logins to it as its owner's laptop makes them."""

    machine: Rehearsal
    state: Path

    @property
    def password(self) -> str:
        status = self.machine.status()
        assert status
        return status.password_file.read_text().strip()

    def login(self, *secrets: str, **changes: Any) -> tuple[Login, Owner]:
        status, owner = self.machine.status(), Owner(list(secrets))
        assert status
        destination = replace(resolve("hypervisor", SshConfig(status.ssh_config)), **changes)
        return Login(destination, owner, self.state / "accepted"), owner

    def connect(self) -> Connection:
        return connect(self.login(self.password)[0])

    def sudoers(self, line: str) -> None:
        self.machine.inside(f"umask 227; printf '%s\\n' {line!r} >/etc/sudoers.d/zz-test")

    def sshd(self, *lines: str) -> None:
        text = "".join(f"{line}\\n" for line in lines)
        self.machine.inside(f"printf '{text}' >/etc/ssh/sshd_config.d/00-test.conf; systemctl restart ssh")


@pytest.fixture
def site(request: pytest.FixtureRequest, hypervisor: Callable[..., Rehearsal], tmp_path: Path) -> Iterator[Site]:
    """Debian 12, or the release that a test asks for."""
    machine = hypervisor(getattr(request, "param", "bookworm"))
    with machine.lan():
        yield Site(machine, tmp_path)


every_release = pytest.mark.parametrize("site", ["bookworm", "trixie"], indirect=True)


def asked_for_sudo(*attempts: int) -> list[NeedSecret]:
    return [NeedSecret("hypervisor", SecretKind.SUDO, ACCOUNT, attempt) for attempt in attempts]


def refused(call: Callable[[], object]) -> HostUnavailable:
    with pytest.raises(HostUnavailable) as error:
        call()
    assert error.value.where == "hypervisor"
    assert error.value.cure
    return error.value


# ---------------------------------------------------------------- sudo


@every_release
def test_the_password_is_asked_once_and_goes_nowhere_else(site: Site) -> None:
    login, owner = site.login(site.password)
    for _ in range(2):
        with connect(login) as connection:
            answer = connection.run(
                "cat >/root/copy; id -u; tr '\\0' '\\n' </proc/self/environ; ps axeww", stdin=b"data\n"
            )
            assert (answer.rc, answer.out.split(b"\n")[0], answer.err) == (0, b"0", b"")
            assert site.password not in answer.text
            assert connection.run("cat /root/copy").out == b"data\n"
            assert connection.run("id -un", root=False).text == "owner\n"
    assert owner.asked == asked_for_sudo(1)
    assert site.machine.inside(f"journalctl --no-pager | grep -cF -- '{site.password}' || true").strip() == "0"


def test_parallel_scripts_ask_once(site: Site) -> None:
    login, owner = site.login(site.password)
    with connect(login) as connection, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: connection.run("id -u").text, range(8))) == ["0\n"] * 8
    assert owner.asked == asked_for_sudo(1)


def test_a_wrong_password_is_asked_for_again(site: Site) -> None:
    login, owner = site.login("wrong", site.password)
    with connect(login) as connection:
        assert connection.run("cat", stdin=b"line 1\nline 2\n").out == b"line 1\nline 2\n"
    assert owner.asked == asked_for_sudo(1, 2)


@every_release
def test_three_wrong_passwords_are_the_end(site: Site) -> None:
    login, owner = site.login("wrong", "false", "bad", site.password)
    with connect(login) as connection:
        assert "3 times" in refused(lambda: connection.run("touch /root/done")).what
        assert connection.run("id -un", root=False).text == "owner\n"
    assert owner.asked == asked_for_sudo(1, 2, 3)
    assert login.secrets.all() == ()
    assert site.machine.inside("ls /root/done || true") == ""


def test_three_tries_also_where_sudo_gives_one_at_a_time(site: Site) -> None:
    site.sudoers("Defaults passwd_tries=1")
    login, owner = site.login("wrong", "false", site.password)
    with connect(login) as connection:
        assert connection.run("id -u").text == "0\n"
    assert owner.asked == asked_for_sudo(1, 2, 3)


def test_a_password_that_was_changed_meanwhile(site: Site) -> None:
    login, owner = site.login(site.password, "a new 'one'")
    with connect(login) as connection:
        connection.run("true")
        site.machine.inside("echo \"owner:a new 'one'\" | chpasswd")
        assert connection.run("id -u").text == "0\n"
    assert owner.asked == asked_for_sudo(1, 2)


def test_nothing_is_sent_where_sudo_asks_nothing(site: Site) -> None:
    site.sudoers("owner ALL=(ALL) NOPASSWD: ALL")
    login, owner = site.login(site.password)
    with connect(login) as connection:
        assert connection.run("cat", stdin=b"only this").out == b"only this"
    assert owner.asked == []


def test_a_password_that_nobody_gives(site: Site) -> None:
    with connect(site.login()[0]) as connection:
        assert "none was given" in refused(lambda: connection.run("true")).what


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        ("chage -d 0 owner", "has expired"),
        ("gpasswd -d owner sudo", "may not become root"),
        ("mv /usr/bin/sudo /usr/bin/sudo.away", "there is no sudo"),
        ("umask 227; echo 'Defaults:owner requiretty' >/etc/sudoers.d/zz-test", "wants a terminal"),
        ("usermod -s /usr/sbin/nologin owner", "not available"),
    ],
)
def test_without_a_way_to_root_the_reason_is_said(site: Site, break_it: str, said: str) -> None:
    site.machine.inside(break_it)
    with site.connect() as connection:
        assert said in refused(lambda: connection.run("true")).what


@every_release
def test_an_expired_password_quotes_sudo(site: Site) -> None:
    with site.connect() as connection:
        site.machine.inside("chage -d 0 owner")
        error = refused(lambda: connection.run("true"))
    assert "Account or password is expired" in error.what
    assert "passwd" in error.cure


# ---------------------------------------------------------------- logging in


def test_passwords_for_ssh(site: Site) -> None:
    for settings in (["PasswordAuthentication yes"], ["PasswordAuthentication no", "KbdInteractiveAuthentication yes"]):
        site.sshd(*settings)
        login, owner = site.login("wrong", site.password, identity_files=())
        for _ in range(2):
            with connect(login) as connection:
                assert connection.run("id -un", root=False).text == "owner\n"
        wanted = [NeedSecret("hypervisor", SecretKind.SSH_PASSWORD, ACCOUNT, attempt) for attempt in (1, 2)]
        assert owner.asked == wanted


def test_three_wrong_passwords_for_ssh(site: Site) -> None:
    site.sshd("PasswordAuthentication yes", "MaxAuthTries 2")
    login, owner = site.login("a", "b", "c", site.password, identity_files=())
    assert "tried: password" in refused(lambda: connect(login)).what
    assert owner.secrets == [site.password]


def test_a_changed_host_key(site: Site) -> None:
    status = site.machine.status()
    assert status
    site.connect().close()
    site.machine.inside(
        "cd /etc/ssh; for k in ssh_host_*_key; do t=${k#ssh_host_}; rm $k; ssh-keygen -qN '' -t ${t%_key} -f $k; done;"
        "systemctl restart ssh"
    )
    error = refused(site.connect)
    assert f"{status.known_hosts} line" in error.what
    assert "has changed" in error.what


# ---------------------------------------------------------------- the link


def test_a_cut_cable_is_noticed_within_20_s(site: Site) -> None:
    login, owner = site.login(site.password)
    connection = connect(login)
    started = [threading.Event(), threading.Event()]
    pipe = connection.pipe(["cat"])
    calls: list[Callable[[], object]] = [
        lambda: connection.stream("echo; sleep 600", lambda chunk: chunk and started[0].set()),
        lambda: connection.stream("while echo; do sleep 1; done", lambda chunk: chunk and started[1].set()),
        lambda: connection.run("sleep 600", limit=600),
    ]
    ends: dict[int, float] = {}

    def call(number: int) -> None:
        with pytest.raises(HostLostError):
            calls[number]()
        ends[number] = time.monotonic()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    assert all(event.wait(20) for event in started)
    site.machine.cut()
    cut = time.monotonic()
    assert pipe.recv() == b""
    assert time.monotonic() - cut < 20
    for thread in threads:
        thread.join(30)
    assert sorted(ends) == [0, 1, 2]
    assert max(ends.values()) - cut < 20
    refused(lambda: connect(login, timeout=2))
    site.machine.restore()
    site.machine.wait_ssh()
    with connect(login) as again:
        assert again.run("id -u").text == "0\n"
    assert owner.asked == asked_for_sudo(1)


def test_a_reboot_is_survived_by_the_login(site: Site) -> None:
    login, owner = site.login(site.password)
    connection = connect(login)
    first = connection.run("cat /proc/sys/kernel/random/boot_id").text
    site.machine.reboot(power=True)
    with pytest.raises(HostLostError):
        connection.run("true")
    with connect(login) as again:
        assert again.run("cat /proc/sys/kernel/random/boot_id").text != first
    assert owner.asked == asked_for_sudo(1)


def test_a_new_address_is_confirmed_over_a_new_connection(site: Site) -> None:
    login, owner = site.login(site.password)
    with connect(login) as old:
        old.run(
            "ip address add 192.168.182.77/24 dev $(ip -o route get 192.168.182.1 | sed 's/.* dev \\([^ ]*\\).*/\\1/')"
        )
        with connect(login, address="192.168.182.77") as new:
            assert (new.address, new.ends.host) == ("192.168.182.77", "192.168.182.77")
            assert new.host_key == old.host_key
    assert owner.asked == asked_for_sudo(1)


@every_release
def test_stopping_a_stream_ends_it_there(site: Site) -> None:
    stop = threading.Event()
    with site.connect() as connection:
        assert connection.stream("echo; exec sleep 7777", lambda chunk: chunk and stop.set(), stop=stop) is None
        gone = "for i in $(seq 100); do pgrep -f 'sleep 777[7]' >/dev/null || exit 0; sleep 0.1; done; exit 1"
        assert connection.run(gone).rc == 0
        assert "failed" not in site.machine.inside("systemctl list-units --failed --plain --no-legend 'session*'")


# ---------------------------------------------------------------- facts


def nothing_is_left(site: Site, connection: Connection) -> None:
    script = (
        "for i in $(seq 50); do pgrep virt-ssh-helper >/dev/null || exit 0; sleep 0.1; done; pgrep -a virt-ssh; exit 1"
    )
    assert connection.run(script).rc == 0
    assert site.machine.inside("ls -d /run/hk8s* /tmp/hk8s* 2>/dev/null || true") == ""


@every_release
def test_facts_of_commands_and_of_libvirt_together(site: Site) -> None:
    with site.connect() as connection:
        for _ in range(2):
            assert observe(connection, [HOSTNAME, NETWORKS]) == {
                "hostname": Known("hypervisor"),
                "networks": Known(["default"]),
            }
        nothing_is_left(site, connection)


@every_release
def test_libvirt_that_is_stopped_is_a_value(site: Site) -> None:
    site.machine.inside("systemctl stop 'libvirtd*.socket' libvirtd.service")
    with site.connect() as connection:
        assert observe(connection, [NETWORKS]) == {"networks": Known(None)}
        site.machine.inside("systemctl start libvirtd.socket")
        assert observe(connection, [NETWORKS]) == {"networks": Known(["default"])}
        site.machine.inside("systemctl kill -s KILL libvirtd; systemctl stop 'libvirtd*.socket' libvirtd")
        stale = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('/run/libvirt/libvirt-sock')"
        site.machine.inside(f'rm -f /run/libvirt/libvirt-sock; python3 -c "{stale}"')
        assert observe(connection, [NETWORKS]) == {"networks": Known(None)}
        nothing_is_left(site, connection)


def test_libvirt_that_was_never_there_is_a_value(hypervisor: Callable[..., Rehearsal], tmp_path: Path) -> None:
    machine = hypervisor(bare=True)
    with machine.lan(), Site(machine, tmp_path).connect() as connection:
        assert observe(connection, [NETWORKS, HOSTNAME])["networks"] == Known(None)


def test_libvirt_that_does_not_answer_is_unknown(site: Site) -> None:
    with site.connect() as connection:
        observe(connection, [NETWORKS])
        site.machine.inside("systemctl kill -s STOP libvirtd")
        start = time.monotonic()
        seen = observe(connection, [replace(NETWORKS, limit=2), HOSTNAME])
        assert isinstance(seen["networks"], Unseen)
        assert seen["hostname"] == Known("hypervisor")
        assert time.monotonic() - start < 25
        site.machine.inside("systemctl kill -s CONT libvirtd")
        assert observe(connection, [NETWORKS]) == {"networks": Known(["default"])}
        nothing_is_left(site, connection)


def test_libvirt_without_its_helper_is_unknown_with_a_cure(site: Site) -> None:
    site.machine.inside("mv /usr/bin/virt-ssh-helper /root")
    with site.connect() as connection:
        seen = observe(connection, [NETWORKS])["networks"]
    assert isinstance(seen, Unseen)
    assert "virt-ssh-helper" in seen.reason


def test_a_fact_that_libvirt_refuses_is_unknown_alone(site: Site) -> None:
    refuses = LibvirtFact("refuses", lambda host: host and host.networkLookupByName("none"))
    with site.connect() as connection:
        seen = observe(connection, [refuses, NETWORKS])
    assert isinstance(seen["refuses"], Unseen)
    assert "none" in seen["refuses"].reason
    assert seen["networks"] == Known(["default"])


def test_a_link_cut_while_libvirt_is_asked(site: Site) -> None:
    def cut(host: Any) -> Any:
        site.machine.cut()
        return host.listAllNetworks()

    connection = site.connect()
    connection.run("true")
    start = time.monotonic()
    with pytest.raises(HostLostError):
        observe(connection, [LibvirtFact("cut", cut, limit=60)])
    assert time.monotonic() - start < 25
    site.machine.restore()
