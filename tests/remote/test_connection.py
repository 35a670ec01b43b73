"""Scripts on a host, over a real sshd."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.remote.conftest import Server, login_to, until
from wizard.errors import HostLostError, HostUnavailable, TookTooLong
from wizard.remote.connection import CHANNELS, Connection, connect
from wizard.remote.wire import KILLED

OwnSshd = Callable[..., Server]


def cut(server: Server) -> None:
    server.signal_sessions(signal.SIGKILL)


# ---------------------------------------------------------------- run


def test_both_streams_and_the_status(connection: Connection) -> None:
    answer = connection.run("echo out; echo err >&2; exit 3")
    assert (answer.rc, answer.out, answer.err, answer.dropped) == (3, b"out\n", b"err\n", 0)


def test_the_environment_is_known(connection: Connection) -> None:
    script = "umask; pwd; echo $LC_ALL; type sshd >/dev/null || echo no sbin; tty; echo ~"
    assert connection.run(script).text.split("\n")[:4] == ["0022", "/", "C", "not a tty"]
    assert connection.run("echo $HOME").text == "/root\n"


def test_quotes_and_odd_bytes_arrive(connection: Connection) -> None:
    text = 'it\'s "$HOME" `id` \\n \\ ! * é \udcff\n  two\tlines'
    answer = connection.run(f"cat <<'END'\n{text}\nEND\n")
    assert answer.out == text.encode("utf-8", "surrogateescape") + b"\n"


def test_a_script_of_any_size(connection: Connection) -> None:
    lines = "\n".join(f"x={number}" for number in range(200_000))
    assert len(lines) > 1_000_000
    assert connection.run(f"{lines}\necho $x").text == "199999\n"


def test_no_script_can_hold_nul(connection: Connection) -> None:
    with pytest.raises(ValueError, match="NUL"):
        connection.run("echo \0")
    assert connection.run("echo alive").text == "alive\n"


def test_stdin_is_the_scripts(connection: Connection) -> None:
    data = bytes(range(256)) * 40_000
    answer = connection.run("sha256sum; cat", stdin=data)
    assert (
        answer.out.split()[0]
        == subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout.split()[0]
    )
    assert connection.run("cat", stdin=data, keep=20_000_000).out == data


def test_stdin_that_nobody_reads(connection: Connection) -> None:
    assert connection.run("exit 5", stdin=b"x" * 10_000_000).rc == 5
    assert connection.run("cat").out == b""


def test_nothing_hangs_on_unread_streams(connection: Connection) -> None:
    answer = connection.run("head -c 5000000 /dev/zero >&2; head -c 6000000 /dev/zero; exit 4", keep=1000)
    assert (answer.rc, len(answer.out), answer.dropped, len(answer.err)) == (4, 1000, 5_999_000, 65536)


def test_a_signal_is_told_from_an_exit(connection: Connection) -> None:
    assert connection.run("kill -9 $$").rc == KILLED
    assert connection.run("sh -c 'kill -9 $$'").rc == 137
    assert connection.run("exit 255").rc == 255


def test_a_syntax_error_is_the_scripts(connection: Connection) -> None:
    answer = connection.run("if then")
    assert answer.rc == 2
    assert "yntax" in answer.complaint


def test_a_limit(connection: Connection) -> None:
    start = time.monotonic()
    with pytest.raises(TookTooLong):
        connection.run("sleep 60", limit=0.5)
    assert time.monotonic() - start < 3
    assert connection.run("echo alive").text == "alive\n"


def test_a_process_left_behind_does_not_hold_it_up(connection: Connection) -> None:
    start = time.monotonic()
    assert connection.run("sleep 30 & echo $!").rc == 0
    assert time.monotonic() - start < 10


def test_many_at_once_queue(connection: Connection) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: connection.run(f"sleep 0.05; echo {number}").text, range(40)))
    assert answers == [f"{number}\n" for number in range(40)]


def test_a_host_with_few_sessions(own_sshd: OwnSshd, tmp_path: Path) -> None:
    server = own_sshd("MaxSessions 2")
    with connect(login_to(server, tmp_path)) as connection, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: connection.run("exit 7").rc, range(16))) == [7] * 16


def test_channels_are_given_back(connection: Connection) -> None:
    for _ in range(2 * CHANNELS):
        with pytest.raises(TookTooLong):
            connection.run("sleep 9", limit=0.01)
        with pytest.raises(ZeroDivisionError):
            connection.stream("echo", lambda chunk: None if not chunk else 1 / 0)  # type: ignore[arg-type,return-value]
        connection.pipe(["true"]).close()
    assert connection.run("echo still").text == "still\n"


# ---------------------------------------------------------------- stream


def test_output_streams_as_it_comes(connection: Connection) -> None:
    first, chunks = threading.Event(), []

    def collect(chunk: bytes) -> None:
        chunks.append(chunk)
        if b"one" in b"".join(chunks):
            first.set()

    fifo = connection.run("mktemp -u").text.strip()
    connection.run(f"mkfifo {fifo}")
    releaser = threading.Thread(target=lambda: first.wait(10) and connection.run(f"echo >{fifo}"))
    releaser.start()
    assert connection.stream(f"echo one; read x <{fifo}; rm {fifo}; echo two; echo err >&2; exit 6", collect) == 6
    releaser.join()
    assert b"".join(chunks) == b"one\ntwo\n"


def test_stop_ends_what_runs_there(connection: Connection, tmp_path: Path) -> None:
    stop, pid = threading.Event(), []

    def started(chunk: bytes) -> None:
        pid.append(int(chunk))
        stop.set()

    assert (
        connection.stream("sleep 3600 & echo $!; wait", lambda chunk: started(chunk) if chunk else None, stop=stop)
        is None
    )
    until(lambda: not Path(f"/proc/{pid[0]}").exists())


def test_a_lost_connection_ends_what_streams_there(own_sshd: OwnSshd, tmp_path: Path) -> None:
    server = own_sshd()
    connection = connect(login_to(server, tmp_path))
    pid: list[int] = []

    def started(chunk: bytes) -> None:
        if chunk:
            pid.append(int(chunk))
            cut(server)

    with pytest.raises(HostLostError):
        connection.stream("sleep 3600 & echo $!; wait", started)
    until(lambda: not Path(f"/proc/{pid[0]}").exists())


def test_gigabytes_take_no_memory(connection: Connection) -> None:
    import tracemalloc

    seen = 0

    def count(chunk: bytes) -> None:
        nonlocal seen
        seen += len(chunk)

    tracemalloc.start()
    try:
        assert connection.stream("head -c 300000000 /dev/zero", count) == 0
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    assert seen == 300_000_000


def test_a_stream_has_no_stdin(connection: Connection) -> None:
    chunks: list[bytes] = []
    assert connection.stream("cat; echo end", chunks.append) == 0
    assert b"".join(chunks) == b"end\n"


# ---------------------------------------------------------------- pipe


def test_a_pipe_carries_bytes_both_ways(connection: Connection) -> None:
    pipe = connection.pipe(["cat"])
    data = bytes(range(256)) * 1000
    sender = threading.Thread(target=pipe.sendall, args=(data,))
    sender.start()
    received = b""
    while len(received) < len(data):
        received += pipe.recv()
    sender.join()
    assert received == data
    closer = threading.Timer(0.2, pipe.close)
    closer.start()
    assert pipe.recv() == b""


def test_a_pipe_tells_what_was_complained_about(connection: Connection) -> None:
    pipe = connection.pipe(["cat", "/does/not/exist"])
    assert pipe.recv() == b""
    assert "No such file" in pipe.complaint
    pipe.close()


@pytest.mark.parametrize("argv", [[], ["a b"], ["$HOME"], ["x;y"], ["'"]])
def test_a_pipe_takes_plain_words_alone(connection: Connection, argv: list[str]) -> None:
    with pytest.raises(ValueError, match="plain words"):
        connection.pipe(argv)


# ---------------------------------------------------------------- the link


@pytest.mark.parametrize("how", ["run", "stream", "pipe"])
def test_a_lost_connection_is_said(own_sshd: OwnSshd, tmp_path: Path, how: str) -> None:
    server = own_sshd()
    connection = connect(login_to(server, tmp_path))
    cutter = threading.Timer(0.3, cut, [server])
    cutter.start()
    if how == "pipe":
        pipe = connection.pipe(["cat"])
        assert pipe.recv() == b""
    else:
        with pytest.raises(HostLostError) as lost:
            connection.run("sleep 60") if how == "run" else connection.stream("sleep 60", lambda chunk: None)
        assert lost.value.where == "test-host"
    cutter.join()
    assert not connection.alive
    with pytest.raises(HostLostError):
        connection.run("true")
    connection.close()


def test_closing_is_safe_from_another_thread(connection: Connection) -> None:
    threading.Timer(0.3, connection.close).start()
    with pytest.raises(HostLostError):
        connection.run("sleep 60")
    assert not connection.alive


def test_what_it_knows_of_itself(connection: Connection, sshd: Server) -> None:
    shown = subprocess.run(["ssh-keygen", "-lf", sshd.host_key], capture_output=True, text=True, check=True).stdout
    assert connection.host_key.fingerprint == shown.split()[1]
    assert (connection.address, connection.ends.client, connection.ends.host) == ("127.0.0.1",) * 3
    assert connection.alive


def test_the_socket_finds_dead_peers_and_waits_for_nothing(connection: Connection) -> None:
    import socket

    sock = connection._transport.sock  # the kernel's options cannot be seen otherwise
    tcp = socket.IPPROTO_TCP
    options = (socket.TCP_NODELAY, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    assert [sock.getsockopt(tcp, option) for option in options] == [1, 5, 3, 3]
    assert sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 15_000
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_importing_is_cheap() -> None:
    code = (
        "import sys; import wizard.remote.connection, wizard.remote.observe, wizard.remote.destination;"
        "sys.exit(bool({'paramiko', 'libvirt', 'textual', 'cryptography'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------- login shells


def test_a_shell_that_chatters_changes_nothing(own_sshd: OwnSshd, tmp_path: Path) -> None:
    server = own_sshd()
    (server.home / ".bashrc").write_text(
        "echo welcome; echo warning >&2; printf 'no newline'; head -c 2000000 /dev/zero | tr '\\0' x\n"
        "alias exec='echo no'; alias sh='echo no'; export LC_ALL=xx_XX.UTF-8 CDPATH=/tmp; umask 077; cd /tmp\n"
    )
    with connect(login_to(server, tmp_path)) as connection:
        answer = connection.run("echo out; echo err >&2; cat; umask; exit 3", stdin=b"in\n")
        assert (answer.rc, answer.out, answer.err) == (3, b"out\nin\n0022\n", b"err\n")
        chunks: list[bytes] = []
        assert connection.stream("echo streamed", chunks.append) == 0
        assert b"".join(chunks) == b"streamed\n"


@pytest.mark.parametrize("shell", ["fish", "tcsh", "bash", "dash", "zsh", "busybox sh"])
def test_any_login_shell(own_sshd: OwnSshd, tmp_path: Path, shell: str) -> None:
    import shutil

    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"no {shell} here")
    server = own_sshd(f'ForceCommand exec {shell} -c "$SSH_ORIGINAL_COMMAND"')
    with connect(login_to(server, tmp_path)) as connection:
        answer = connection.run("echo out; echo err >&2; cat; exit 3", stdin=b"'!\\$in\n")
        assert (answer.rc, answer.out, answer.err) == (3, b"out\n'!\\$in\n", b"err\n")
        chunks: list[bytes] = []
        assert connection.stream("echo 'it''s'", chunks.append) == 0
        assert b"".join(chunks) == b"its\n"


def test_a_shell_that_runs_nothing(own_sshd: OwnSshd, tmp_path: Path) -> None:
    server = own_sshd("ForceCommand echo This account is currently not available.; exit 1")
    with connect(login_to(server, tmp_path)) as connection, pytest.raises(HostUnavailable) as refused:
        connection.run("true")
    assert "currently not available" in refused.value.what
    assert refused.value.cure
