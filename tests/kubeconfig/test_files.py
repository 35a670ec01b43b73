"""`homek8s-wizard kubeconfig` on real files: modes, backups, locks, what is printed; and an API that answers or not."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import ssl
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.kubeconfig.clusters import Authority, admin_conf
from tests.kubeconfig.test_merging import WORK
from wizard.cli.kubeconfig import kubeconfig
from wizard.facts.kubeconfig import parse_kubeconfig
from wizard.kubeconfig import place
from wizard.kubeconfig.access import Access, ca_hash
from wizard.kubeconfig.api import ask
from wizard.kubeconfig.place import KubeconfigError, default_path
from wizard.model import Output

CA = Authority()
ACCESS = CA.access()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(kubeconfig, list(words))


def merged(home: Path, access: Access = ACCESS) -> Result:
    brought = home / "admin.conf"
    brought.write_text(admin_conf(access))
    result = run("merge", "--name", "aki", str(brought))
    brought.unlink()
    return result


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def seen(*words: str) -> Any:
    result = run("show", "--name", "aki", *words)
    assert result.exit_code == 0, result.output
    assert ACCESS.key[:40] not in result.output
    return parse_kubeconfig(Output(0, result.output.encode()))


def test_made_and_taken_away_again(home: Path) -> None:
    assert not seen().there
    result = merged(home)
    assert result.exit_code == 0, result.output
    assert ACCESS.key not in result.output
    file = home / ".kube" / "config"
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert os.listdir(file.parent) == ["config"]
    found = seen()
    assert (found.server, found.ca, found.current) == (ACCESS.server, ca_hash(ACCESS.ca), "aki")
    assert run("remove", "--name", "aki", "--server", ACCESS.server).exit_code == 0
    assert not file.parent.exists()
    assert run("remove", "--name", "aki", "--server", ACCESS.server).exit_code == 0


def test_beside_others_with_a_copy_of_what_was(home: Path) -> None:
    file = home / ".kube" / "config"
    file.parent.mkdir(mode=0o755)
    file.write_text(WORK)
    file.chmod(0o644)
    assert not seen().private
    assert merged(home).exit_code == 0
    assert merged(home, CA.access()).exit_code == 0
    backup = home / ".kube" / "config.before-aki"
    assert backup.read_text() == WORK
    assert (mode(file), mode(backup), mode(file.parent)) == (0o600, 0o600, 0o755)
    assert run("remove", "--name", "aki", "--server", ACCESS.server).exit_code == 0
    assert file.read_text() == WORK
    assert os.listdir(file.parent) == ["config"]


def test_what_changed_since_is_not_taken_back(home: Path) -> None:
    file = home / ".kube" / "config"
    file.parent.mkdir()
    file.write_text(WORK)
    merged(home)
    file.write_text(file.read_text().replace("token: 0123.1e3", "token: another"))
    assert run("remove", "--name", "aki", "--server", ACCESS.server).exit_code == 0
    assert file.read_text() == WORK.replace("token: 0123.1e3", "token: another")
    assert (home / ".kube" / "config.before-aki").read_text() == WORK


def test_refused_as_a_whole(home: Path) -> None:
    merged(home, dataclasses.replace(ACCESS, server="https://elsewhere:6443"))
    file = home / ".kube" / "config"
    before = file.read_bytes()
    result = merged(home)
    assert isinstance(result.exception, KubeconfigError)
    assert "https://elsewhere:6443" in str(result.exception)
    assert ACCESS.server in str(result.exception)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["config"]


def test_a_link_is_followed_and_stays(home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / ".kube").mkdir()
    (home / "dotfiles" / "kube").write_text(WORK)
    (home / ".kube" / "config").symlink_to("../dotfiles/kube")
    merged(home)
    assert (home / ".kube" / "config").is_symlink()
    assert "name: aki" in (home / "dotfiles" / "kube").read_text()


def test_a_lock_of_kubectls(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "PATIENCE", 0.1)
    (home / ".kube").mkdir()
    (home / ".kube" / "config.lock").touch()
    result = merged(home)
    assert "kubectl is changing it" in str(result.exception)
    assert os.listdir(home / ".kube") == ["config.lock"]


def test_a_full_disk_leaves_the_old_one_whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home / ".kube" / "config"
    merged(home)
    before = file.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in str(merged(home, CA.access()).exception)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["config"]


def test_which_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = home / ".kube" / "config"
    assert default_path() == usual
    for value, expected in (("", usual), ("/a/b:", Path("/a/b")), (f"/a:{usual}:/b", usual), ("/a:/a", Path("/a"))):
        monkeypatch.setenv("KUBECONFIG", value)
        assert default_path() == expected
    monkeypatch.setenv("KUBECONFIG", "/a:/b")
    with pytest.raises(KubeconfigError, match="names several files: /a, /b"):
        default_path()
    assert "names several files" in seen().problem


def test_problems_are_values(home: Path) -> None:
    file = home / ".kube" / "config"
    file.mkdir(parents=True)
    assert "no ordinary file" in seen().problem
    file.rmdir()
    file.write_text("a: [")
    assert "not valid YAML" in seen().problem


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_another_accounts_file_is_left(home: Path) -> None:
    merged(home)
    os.chown(home / ".kube" / "config", 12345, 12345)
    found = seen()
    assert (found.problem, found.cure[:10]) == ("belongs to another account", "sudo chown")


# ---------------------------------------------------------------- the API


class Api(http.server.BaseHTTPRequestHandler):
    status, body = 200, b"ok"

    def do_GET(self) -> None:
        assert self.path == "/readyz"
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *words: object) -> None:
        """Not to the terminal."""


@contextlib.contextmanager
def serving(home: Path, status: int = 200, body: bytes = b"ok", names: str = "127.0.0.1") -> Iterator[Access]:
    """An API server with a certificate for `names`, which wants one from the client: how to reach it."""
    own = CA.issue("kube-apiserver", names)
    for file, pem in (("api.crt", own.pem), ("api.key", own.key_pem), ("ca.crt", CA.pair.pem)):
        (home / file).write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "api.crt", home / "api.key")
    context.load_verify_locations(home / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    handler = type("Handler", (Api,), {"status": status, "body": body})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield CA.access(f"https://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_answers_to_the_clients_certificate(home: Path) -> None:
    with serving(home) as access:
        assert ask(access).ok
        merged(home, access)
        assert seen("--ask").answer == "ok"
        assert "answers" in run("ask", "--name", "aki").output


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, b'{"kind":"Status","message":"Unauthorized","code":401}', "rejected", "it answers 401: Unauthorized"),
        (500, b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed", "not-ready", "[-]etcd failed"),
    ],
)
def test_it_does_not_answer_well(home: Path, status: int, body: bytes, kind: str, said: str) -> None:
    with serving(home, status, body) as access:
        heard = ask(access)
    assert heard.kind == kind
    assert said in heard.said


def test_another_ca_and_another_name(home: Path) -> None:
    with serving(home) as access:
        stranger = dataclasses.replace(access, ca=Authority().access().ca)
        assert ask(stranger).kind == "certificate"
    with serving(home, names="127.0.0.9") as access:
        assert ask(access).kind == "certificate"


def test_nobody_there(home: Path) -> None:
    with serving(home) as access:
        gone = access
    assert ask(gone).kind == "refused"
    assert ask(dataclasses.replace(gone, server="https://no-such-name.invalid:6443")).kind == "name"
    assert ask(dataclasses.replace(gone, server="http://127.0.0.1:1")).kind == "other"
    merged(home, gone)
    result = run("ask", "--name", "aki", "--limit", "0")
    assert result.exit_code == 0
    assert "nothing listens there" in result.output
    assert json.loads(run("show", "--name", "aki", "--ask").output)["answer"] == "refused"
