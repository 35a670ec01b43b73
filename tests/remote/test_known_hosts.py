"""Which host keys are trusted."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.remote.known_hosts import (
    Changed,
    KnownHosts,
    OtherTypeKnown,
    PublicKey,
    Revoked,
    Trusted,
    UnknownHost,
    algorithms,
    host_name,
    matches,
)


def key(name: str, kind: str = "ssh-ed25519") -> PublicKey:
    return PublicKey(kind, len(kind).to_bytes(4, "big") + kind.encode() + name.encode())


def line(names: str, which: PublicKey) -> str:
    return f"{names} {which.kind} {base64.b64encode(which.blob).decode()}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def known(file: Path, *lines: str) -> KnownHosts:
    file.write_text("\n".join(lines) + "\n")
    return KnownHosts([file, file.with_name("absent")], file.with_name("accepted"))


A, B, EC = key("a"), key("b"), key("ec", "ecdsa-sha2-nistp256")


def test_known(file: Path) -> None:
    assert known(file, "# a comment", "", line("host,10.0.0.1", A)).verdict("host", 22, A) == Trusted()
    assert known(file, line("host,10.0.0.1", A)).verdict("10.0.0.1", 22, A) == Trusted()
    assert known(file, line("Host", A) + " a comment").verdict("HOST", 22, A) == Trusted()


def test_unknown(file: Path) -> None:
    assert known(file, line("other", A)).verdict("host", 22, A) == UnknownHost()
    assert KnownHosts([], file).verdict("host", 22, A) == UnknownHost()


def test_changed(file: Path) -> None:
    verdict = known(file, "# 1", line("host", A)).verdict("host", 22, B)
    assert isinstance(verdict, Changed)
    assert (verdict.known.file, verdict.known.line, verdict.known.fingerprint) == (file, 2, A.fingerprint)


def test_old_and_new_key_side_by_side(file: Path) -> None:
    assert known(file, line("host", A), line("host", B)).verdict("host", 22, B) == Trusted()


def test_another_type_alone_is_no_alarm(file: Path) -> None:
    verdict = known(file, line("host", EC)).verdict("host", 22, A)
    assert isinstance(verdict, OtherTypeKnown)
    assert [place.kind for place in verdict.known] == [EC.kind]


def test_revoked_wins_over_all(file: Path) -> None:
    verdict = known(file, line("host", A), "@revoked " + line("*", A)).verdict("host", 22, A)
    assert isinstance(verdict, Revoked)
    assert verdict.known.line == 2


def test_certificate_authorities_are_left_out(file: Path) -> None:
    assert known(file, "@cert-authority " + line("*", A)).verdict("host", 22, A) == UnknownHost()


def test_garbage_is_skipped(file: Path) -> None:
    garbage = ["host", "host ssh-ed25519", "host ssh-ed25519 !!!", "@what " + line("host", B), "host 1024 35 1234"]
    other = "host sk-ssh-ed25519@openssh.com " + line("x", key("s", "sk-ssh-ed25519@openssh.com")).split()[-1]
    lying = "host ssh-rsa " + base64.b64encode(A.blob).decode()
    assert known(file, *garbage, other, lying, line("host", A)).verdict("host", 22, A) == Trusted()
    file.write_bytes(b"\xff\xfe\0\n" + line("host", A).encode() + b"\r\n")
    assert KnownHosts([file], file).verdict("host", 22, A) == Trusted()


@pytest.mark.parametrize(
    ("names", "name", "port", "found"),
    [
        ("*.example", "a.example", 22, True),
        ("*.example", "example", 22, False),
        ("10.0.0.?", "10.0.0.7", 22, True),
        ("*,!bad", "bad", 22, False),
        ("!bad,*", "good", 22, True),
        ("!bad", "good", 22, False),
        ("[host]:2222", "host", 2222, True),
        ("host", "host", 2222, False),
        ("[*]:2222", "host", 2222, True),
        ("[host]:22", "host", 22, False),
        ("[h]ost", "host", 22, False),
        ("fe80::1%eth0", "fe80::1%eth0", 22, True),
        ("|1|nonsense", "host", 22, False),
        ("|1|!!|!!", "host", 22, False),
        ("|2|aaaa|aaaa", "host", 22, False),
    ],
)
def test_names(names: str, name: str, port: int, found: bool) -> None:
    assert matches(names, host_name(name, port)) is found


@given(st.lists(st.text(alphabet="abAB.*?!,[]|:1 @#=\t", max_size=40), max_size=20))
def test_any_text_can_be_read(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    file = tmp_path_factory.mktemp("known") / "known_hosts"
    assert known(file, *lines, line("host", A)).verdict("host", 22, A) == Trusted()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
def test_hashed_by_ssh_keygen(file: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True)
    real = PublicKey.from_text((tmp_path / "id.pub").read_text())
    hosts = known(file, line("host", real), line("[host]:2222", A), line("10.0.0.1", B))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert "host" not in file.read_text()
    assert hosts.verdict("host", 22, real) == Trusted()
    assert hosts.verdict("other", 22, real) == UnknownHost()
    shown = subprocess.run(["ssh-keygen", "-lf", tmp_path / "id.pub"], check=True, capture_output=True, text=True)
    assert shown.stdout.split()[1] == real.fingerprint


def test_time_grows_with_the_lines_alone(file: Path) -> None:
    def seconds(count: int) -> float:
        hosts = known(file, *(line(f"host{number},10.0.{number // 256}.{number % 256}", A) for number in range(count)))
        start = time.process_time()
        assert hosts.verdict(f"host{count - 1}", 22, A) == Trusted()
        return time.process_time() - start

    seconds(10)
    assert seconds(5000) < 1.0
    assert seconds(20000) < 10 * max(seconds(5000), 0.01)


def test_recorded_keys_are_private_and_kept_apart(file: Path) -> None:
    hosts = known(file, line("other", A))
    before = file.read_bytes()
    hosts.record("host", 22, A)
    hosts.record("host", 2222, B)
    assert hosts.verdict("host", 22, A) == Trusted()
    assert hosts.verdict("host", 2222, B) == Trusted()
    assert isinstance(hosts.verdict("host", 2222, A), Changed)
    assert file.read_bytes() == before
    assert hosts.accepted.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["accepted", "known_hosts"]


def test_recording_again_replaces(file: Path) -> None:
    hosts = known(file)
    for which in (A, B, EC):
        hosts.record("host", 22, which)
    assert hosts.verdict("host", 22, EC) == Trusted()
    assert isinstance(hosts.verdict("host", 22, A), OtherTypeKnown)
    assert len(hosts.accepted.read_text().splitlines()) == 1


def test_known_types_are_asked_for_first(file: Path) -> None:
    rsa = key("r", "ssh-rsa")
    hosts = known(file, line("host", EC), line("host", rsa), "@revoked " + line("host", A))
    offered = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
    assert hosts.kinds("host", 22) == (EC.kind, "ssh-rsa")
    assert algorithms(hosts.kinds("host", 22), offered) == (
        "ecdsa-sha2-nistp256",
        "rsa-sha2-512",
        "rsa-sha2-256",
        "ssh-ed25519",
    )
    assert algorithms((), offered) == offered


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "x y z"])
def test_not_a_public_key(text: str) -> None:
    with pytest.raises(ValueError, match="not a public key"):
        PublicKey.from_text(text)
