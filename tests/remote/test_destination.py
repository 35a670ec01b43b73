"""From what is typed after `ssh` to an account on a machine."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.errors import InputError
from wizard.remote.destination import Destination, Typed, parse, resolve
from wizard.remote.ssh_config import SshConfig

Resolve = Callable[..., Destination]


@pytest.fixture
def with_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resolve:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()

    def with_config(typed: str, config: str = "", **included: str) -> Destination:
        for name, text in included.items():
            (tmp_path / ".ssh" / name).write_text(text)
        (tmp_path / "config").write_text(config)
        return resolve(typed, SshConfig(tmp_path / "config"))

    return with_config


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("owner@192.168.182.100", Typed("owner", "192.168.182.100", 0)),
        ("host", Typed("", "host", 0)),
        ("ssh://owner@[fe80::1%25eth0]:2222", Typed("owner", "fe80::1%eth0", 2222)),
        ("ssh://host:22", Typed("", "host", 22)),
        ("ssh://host/", Typed("", "host", 0)),
        ("ssh://a%40b@host", Typed("a@b", "host", 0)),
        ("[::1]", Typed("", "::1", 0)),
        ("[::1]:2222", Typed("", "::1", 2222)),
        ("user@2001:db8::1", Typed("user", "2001:db8::1", 0)),
        ("user@domain@host", Typed("user@domain", "host", 0)),
    ],
)
def test_typed(typed: str, meant: Typed) -> None:
    assert parse(typed) == meant


@pytest.mark.parametrize(
    "typed",
    ["", "-oProxyCommand=x", "a b", "a\nb", "@host", "user@", "host:22", "[::1", "ssh://", "ssh://host:70000", "x@-y"],
)
def test_not_a_destination(typed: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(typed)
    assert refused.value.findings[0].cure


@given(st.text(max_size=30))
def test_any_text_is_understood_or_refused(typed: str) -> None:
    try:
        meant = parse(typed)
    except InputError:
        return
    assert meant.host
    assert not meant.host.startswith("-")


def test_without_a_configuration(with_config: Resolve, tmp_path: Path) -> None:
    found = with_config("somewhere")
    assert (found.host, found.port, found.user, found.jumps) == ("somewhere", 22, getpass.getuser(), ())
    assert found.identity_files[0] == tmp_path / ".ssh/id_ed25519"
    assert found.known_hosts[0] == tmp_path / ".ssh/known_hosts"
    assert Path("/etc/ssh/ssh_known_hosts") in found.known_hosts


def test_an_alias(with_config: Resolve, tmp_path: Path) -> None:
    found = with_config(
        "aki",
        """
        Host aki*
          HostName 192.168.182.100   # the big one
          User owner
          Port = 2222
          IdentityFile ~/keys/%r_%h
          IdentityFile "/second key"
          IdentitiesOnly yes
          IdentityAgent none
          AddressFamily inet6
          HostKeyAlias hk-1
          UserKnownHostsFile ~/%n.known /other
          GlobalKnownHostsFile none
        Host *
          User somebody
        """,
    )
    assert found == Destination(
        typed="aki",
        host="192.168.182.100",
        port=2222,
        user="owner",
        identity_files=(tmp_path / "keys/owner_192.168.182.100", Path("/second key")),
        identities_only=True,
        use_agent=False,
        family=socket.AF_INET6,
        known_hosts=(tmp_path / "aki.known", Path("/other")),
        host_key_alias="hk-1",
    )
    assert found.key_name == "hk-1"


def test_what_is_typed_wins(with_config: Resolve) -> None:
    found = with_config("ssh://me@aki:99", "Host aki\n User owner\n Port 2222\n")
    assert (found.user, found.port) == ("me", 99)


def test_what_is_typed_counts_in_conditions_and_file_names(with_config: Resolve) -> None:
    config = "Host *\n IdentityFile /keys/%r-%p\nMatch user me\n HostName mine\nHost *\n User other\n"
    found = with_config("ssh://me@a:99", config)
    assert (found.host, found.identity_files) == ("mine", (Path("/keys/me-99"),))


def test_nothing_local_is_executed(with_config: Resolve, tmp_path: Path) -> None:
    found = with_config("a", f'Match host a exec "touch {tmp_path}/ran"\n User x\nHost a\n Port 7\n')
    assert (found.port, (tmp_path / "ran").exists()) == (7, False)
    assert found.user == getpass.getuser()


def test_match_and_include(with_config: Resolve) -> None:
    config = "Include part-*\nHost a\n Include inner\n Port 7\nMatch host b user x\n Port 8\n"
    included = {"part-1": "Host a\n User x\n", "part-2": "Host b\n User x\n", "inner": "HostName inside\n"}
    a, b = with_config("a", config, **included), with_config("b", config, **included)
    assert (a.host, a.user, a.port) == ("inside", "x", 7)
    assert (b.host, b.user, b.port) == ("b", "x", 8)


def test_settings_behind_an_include_stay_in_their_block(with_config: Resolve) -> None:
    assert with_config("z", "Host a\n Include inner\n Port 7\n", inner="Host b\n User b\n").port == 22


def test_jumps(with_config: Resolve) -> None:
    config = """
    Host far
      ProxyJump me@mid:2201,ssh://near2:2202
    Host mid
      ProxyJump first
      HostName 10.0.0.2
    Host near2
      ProxyJump never-used
    """
    jumps = with_config("far", config).jumps
    assert [(jump.user, jump.host, jump.port) for jump in jumps] == [
        (getpass.getuser(), "first", 22),
        ("me", "10.0.0.2", 2201),
        (getpass.getuser(), "near2", 2202),
    ]
    assert all(jump.jumps == () for jump in jumps)
    assert with_config("far", "Host far\n ProxyJump none\n").jumps == ()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("Host a\n  Nonsense\n", "config:2: not a setting: Nonsense"),
        ("Host a\n  Port seven\n", "there is no port seven"),
        ("Host 'a\n", "not a configuration"),
        ("Match host\n", "not a configuration"),
        ("Host a\n  ProxyCommand nc %h %p\n", "ProxyCommand"),
        ("Host a\n  ProxyJump b\nHost b\n ProxyJump a\n", "circle"),
        ("Include ~/config\n", "include each other"),
        ("CanonicalizeHostname yes\nCanonicalizeMaxDots x\n", "applied to"),
        ("CanonicalizeHostname yes\n", "applied to"),
    ],
)
def test_a_bad_configuration_is_said_in_plain_words(with_config: Resolve, config: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        with_config("a", config)
    assert said in str(refused.value)


def test_a_missing_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        SshConfig(tmp_path / "none")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_refused(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    file = tmp_path_factory.mktemp("config") / "config"
    file.write_bytes(text)
    try:
        resolve("host", SshConfig(file))
    except InputError:
        return


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh here (apt-get install openssh-client)")
@pytest.mark.parametrize("typed", ["a", "b.example", "me@a", "ssh://b.example:99"])
def test_ssh_itself_agrees(with_config: Resolve, tmp_path: Path, typed: str) -> None:
    config = """
    Host a
      HostName %h.example
      IdentityFile /keys/%r@%h
      User one
    Host *.example !c.example
      Port 2022
      UserKnownHostsFile /one /two
    Match originalhost a
      HostKeyAlias alias-of-a
    """
    found = with_config(typed, config)
    shown = subprocess.run(
        ["ssh", "-G", "-F", tmp_path / "config", typed], capture_output=True, text=True, check=True
    ).stdout
    settings = dict(line.split(" ", 1) for line in reversed(shown.splitlines()) if " " in line)
    assert (settings["hostname"], settings["user"], int(settings["port"])) == (found.host, found.user, found.port)
    assert settings.get("hostkeyalias", "none") in (found.host_key_alias, "none")
    assert settings["userknownhostsfile"].startswith("/one /two") is (found.known_hosts[0] == Path("/one"))
