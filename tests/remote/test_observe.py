"""Facts of a host in one round trip, whatever its commands print."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.remote.conftest import Server, login_to, until
from wizard.errors import HostLostError
from wizard.model import Fact, FactError, Known, LibvirtFact, Output, Unseen
from wizard.remote.connection import Connection, connect
from wizard.remote.observe import ERR_CAP, OUT_CAP, facts_script, observe, parse_frames

NONCE = "0123456789abcdef"


def whole(output: Output) -> Output:
    return output


def fact(name: str, command: str, parse: Callable[[Output], Any] = whole, limit: int = 15) -> Fact[Any]:
    return Fact(name, command, parse, limit)


def locally(*commands: str, limit: int = 15, shell: str = "sh") -> dict[int, Output]:
    """The generated script, run by a shell here."""
    facts = [fact(str(number), command, limit=limit) for number, command in enumerate(commands)]
    done = subprocess.run([shell, "-s"], input=facts_script(facts, NONCE).encode(), capture_output=True, check=True)
    return {place: frame.output for place, frame in parse_frames(done.stdout, NONCE).items()}


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Any:
    def places() -> set[Path]:
        return {*Path("/run").glob("hk8s-facts.*"), *Path("/tmp").glob("hk8s-libvirt.*")}

    before = places()
    yield
    until(lambda: places() <= before)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_output_error_and_status(shell: str) -> None:
    seen = locally("echo out; echo err >&2; exit 3", "true", "printf 'no newline'", shell=shell)
    assert seen == {0: Output(3, b"out\n", b"err\n"), 1: Output(0, b"", b""), 2: Output(0, b"no newline", b"")}


def test_hostile_output() -> None:
    frame = f"{NONCE} 0 0 whole 5 0\\nhello{NONCE} end\\n"
    commands = [
        f"printf '{frame}'",
        f"printf '\\n\\n{NONCE} '",
        r"printf '\000\001\377\376 \342\202'",
        "head -c 200000 /dev/urandom",
        f"printf '{frame}' >&2",
        "echo 'it'\"'\"'s \"$(whoami)\" `id -u` \\$HOME'",
    ]
    seen = locally(*commands)
    assert sorted(seen) == list(range(6))
    assert seen[0].out == frame.replace("\\n", "\n").encode()
    assert seen[2].out == b"\0\1\xff\xfe \xe2\x82"
    assert len(seen[3].out) == 200_000
    assert seen[4].err == frame.replace("\\n", "\n").encode()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=100), st.integers(0, 123)), max_size=6))
def test_any_output_comes_back(outputs: list[tuple[bytes, bytes, int]]) -> None:
    def octal(data: bytes) -> str:
        return "".join(f"\\{byte:03o}" for byte in data)

    seen = locally(*(f"printf '{octal(out)}'; printf '{octal(err)}' >&2; exit {rc}" for out, err, rc in outputs))
    assert list(seen.values()) == [Output(rc, out, err) for out, err, rc in outputs]


@given(st.binary(max_size=300))
def test_any_stream_is_read_without_a_crash(stream: bytes) -> None:
    parse_frames(stream, NONCE)
    parse_frames(f"{NONCE} 0 0 whole 3 0\n{NONCE} end\nabc".encode() + stream, NONCE)
    parse_frames(f"{NONCE} 0 0 whole 3 0\n".encode() + stream + f"{NONCE} end\nabc".encode(), NONCE)


def test_a_stream_that_breaks_off_keeps_what_came_whole() -> None:
    stream = f"{NONCE} 0 0 whole 3 0\n{NONCE} 1 0 whole 3 0\n{NONCE} end\nabcab".encode()
    assert list(parse_frames(stream, NONCE)) == [0]
    assert list(parse_frames(stream[:40], NONCE)) == []


def test_much_output() -> None:
    seen = locally(f"head -c {OUT_CAP} /dev/zero", f"head -c {OUT_CAP} /dev/zero >&2; echo after; exit 1")
    assert len(seen[0].out) == OUT_CAP
    assert (seen[1].rc, seen[1].out, len(seen[1].err)) == (1, b"after\n", ERR_CAP)


def test_commands_have_no_stdin_and_do_not_meet() -> None:
    seen = locally("cat; echo $-; x=1; trap 'echo bye' EXIT", "echo ${x-unset}; exit 0; echo no", "cd /tmp", "exec pwd")
    assert seen[1].out == b"unset\n"
    assert seen[3].out != b"/tmp\n"


def test_too_much_output_ends_who_writes_it_and_is_not_read() -> None:
    facts = [fact("0", "yes"), fact("1", "yes | head -c 9000 >&2"), fact("2", "echo other")]
    done = subprocess.run(["sh", "-s"], input=facts_script(facts, NONCE).encode(), capture_output=True, check=True)
    frames = parse_frames(done.stdout, NONCE)
    assert (frames[0].too_big, frames[0].output.out, frames[1].too_big) == (True, b"", False)
    assert len(frames[1].output.err) == ERR_CAP
    assert frames[2].output.text == "other\n"
    assert len(done.stdout) < 2 * ERR_CAP


def test_a_process_left_behind_is_late_not_waited_for() -> None:
    start = time.monotonic()
    seen = locally("echo before; setsid sleep 3 & echo $!", limit=1)
    assert seen[0].rc == 124
    assert time.monotonic() - start < 3


def test_a_command_may_write_large_files_of_its_own(tmp_path: Path) -> None:
    """apt's cache is one, which even `apt-mark showhold` renews."""
    seen = locally(f"head -c {4 * OUT_CAP} /dev/zero >{tmp_path}/large && echo written")
    assert (seen[0].rc, seen[0].text) == (0, "written\n")


def test_commands_run_beside_each_other(tmp_path: Path) -> None:
    """The first one ends only once the second has come to it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    seen = locally(f"cat {pipe}", f"echo here >{pipe}", limit=10)
    assert (seen[0].rc, seen[0].text, seen[1].rc) == (0, "here\n", 0)


# ---------------------------------------------------------------- over ssh


def test_every_fact_has_an_answer(connection: Connection) -> None:
    def broken(output: Output) -> str:
        raise FactError("no such thing as I know it")

    seen = observe(
        connection,
        [
            fact("plain", "echo hello", lambda output: output.text.strip()),
            fact("absent", "no-such-command-here", lambda output: output.rc),
            fact("refused", "true", broken),
            fact("number", "echo x", lambda output: int(output.text)),
            fact("index", "true", lambda output: output.text.split()[3]),
            fact("none", "true", lambda output: None),
            fact("slow", "sleep 60", limit=1),
            fact("stubborn", "trap '' TERM; while :; do sleep 1; done", limit=1),
            fact("big", "head -c 3000000 /dev/zero"),
            fact("endless", "yes", limit=10),
            fact("124", "exit 124"),
            fact("root", "id -u; echo $LC_ALL", lambda output: output.text),
        ],
    )
    assert seen["plain"] == Known("hello")
    assert seen["absent"] == Known(127)
    assert seen["refused"] == Unseen("no such thing as I know it")
    assert isinstance(seen["number"], Unseen)
    assert "ValueError" in seen["number"].reason
    assert isinstance(seen["index"], Unseen)
    assert seen["none"] == Known(None)
    assert seen["slow"] == seen["stubborn"] == Unseen("no answer within 1 s")
    assert seen["big"] == seen["endless"] == Unseen("more than 1 MiB of output")
    assert isinstance(seen["124"], Unseen)
    assert seen["root"] == Known("0\nC\n")


def test_no_facts(connection: Connection) -> None:
    assert observe(connection, []) == {}


def test_a_command_that_ends_its_shell_takes_no_other_with_it(connection: Connection) -> None:
    seen = observe(connection, [fact("killer", "kill -9 $$"), fact("other", "echo here", lambda output: output.text)])
    assert set(seen) == {"killer", "other"}
    assert seen["other"] == Known("here\n")


def test_a_lost_connection_is_said(own_sshd: Callable[..., Server], tmp_path: Path) -> None:
    import signal
    import threading

    server = own_sshd()
    connection = connect(login_to(server, tmp_path))
    threading.Timer(0.3, server.signal_sessions, [signal.SIGKILL]).start()
    with pytest.raises(HostLostError):
        observe(connection, [fact("slow", "sleep 2"), LibvirtFact("libvirt", lambda host: host)])


def test_many_facts_in_one_round_trip(connection: Connection) -> None:
    seen = observe(
        connection, [fact(str(number), f"echo {number}", lambda output: int(output.text)) for number in range(60)]
    )
    assert seen == {str(number): Known(number) for number in range(60)}


# ---------------------------------------------------------------- libvirt


def test_no_libvirt_there(connection: Connection) -> None:
    if Path("/run/libvirt/libvirt-sock").exists():
        pytest.skip("libvirtd runs here")
    seen = observe(connection, [LibvirtFact("version", lambda host: host and host.getVersion())])
    assert seen == {"version": Known(None)}


def test_a_helper_that_hangs_is_given_up(
    own_sshd: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_sshd()
    monkeypatch.setattr("wizard.remote.libvirt_tunnel._HELPER", ("sleep", "60"))
    monkeypatch.setattr("wizard.remote.observe._OPEN_LIMIT", 0.5)
    with connect(login_to(server, tmp_path)) as connection:
        start = time.monotonic()
        seen = observe(connection, [LibvirtFact("version", lambda host: host, limit=1), fact("other", "echo x")])
        assert time.monotonic() - start < 5
        assert seen["version"] == Unseen("libvirt did not answer in time")
        assert isinstance(seen["other"], Known)
        assert connection.run("echo alive").text == "alive\n"
