"""join.prerequisites on machines of their own: a fresh one, and one set up badly; what init meets; and given back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.wizard_on import WizardOn, until_said
from wizard.rehearsal import Rehearsal

FRESH, SPOILED = "aki1", "aki0"
STEP = "join.prerequisites"
KEY = "kubernetes.asc"
DOCKERS = '# what docker.com\'s package brings\ndisabled_plugins = ["cri"]\n'
SWAP = "/swap.img\tnone\tswap\tsw\t0\t0"
SPOIL = f"""set -e
apt-get -qq -y install --no-install-recommends containerd ufw >/dev/null 2>&1
ufw allow 22/tcp
ufw --force enable
cat >/etc/containerd/config.toml <<'END'
{DOCKERS}END
systemctl restart containerd
printf '# swap of the installer\\n{SWAP}\\n' >>/etc/fstab
printf '[Swap]\\nWhat=/dev/zram0\\n' >/usr/lib/systemd/system/dev-zram0.swap
printf '[Swap]\\nWhat=/mine\\n[Install]\\nWantedBy=swap.target\\n' >/etc/systemd/system/mine.swap
systemctl daemon-reload
systemctl enable mine.swap
hostnamectl set-hostname debian
sysctl -qw net.bridge.bridge-nf-call-iptables=0
"""
SWAPS = "/run/rehearsal/swaps"
"""What a node's /proc/swaps shows: no swap can be switched on in one without the machine that it runs on."""
SWAP_COMES = f"""cp {SWAPS} /root/no-swap
echo /dev/zram0 partition 524284 0 100 >>{SWAPS}
systemctl restart kubelet"""
"""As zram's may. The kubelet gives up meanwhile, as it does after each boot until kubeadm has written its settings."""
SWAP_GOES = f"cp /root/no-swap {SWAPS}"
NO_CRI = """cp /etc/containerd/config.toml /root
sed -i 's/^disabled_plugins.*/disabled_plugins = ["io.containerd.grpc.v1.cri"]/' /etc/containerd/config.toml
grep -q '^disabled_plugins.*cri' /etc/containerd/config.toml
systemctl restart containerd"""
CRI = "cp /root/config.toml /etc/containerd; systemctl restart containerd"
LATE = "/run/systemd/system/hk8s-job-.service.d"
"""For the units that run the wizard's scripts."""
API = "systemd-run --quiet --collect --unit=api systemd-socket-activate --listen=6443 --accept cat"


def wizard_on(machine: Rehearsal, directory: Path) -> WizardOn:
    """With the nodes alone: neither bridge nor isolated network is asked for, so nothing is done on the hypervisor."""
    wizard = WizardOn(machine, directory)
    text = wizard.cluster_file.read_text()
    text = text[: text.index("bridge:\n")] + text[text.index("kubernetes:\n") :]
    text = re.sub(r"    isolated_.*\n", "", text)
    [key] = re.findall(r"(?m)^    key: (.*)", text)
    (directory / KEY).write_text(machine.inside(f"curl -fsS {key}", host=FRESH))
    wizard.cluster_file.write_text(text.replace(f"key: {key}", f"key: {KEY}"))
    return wizard


def wish(wizard: WizardOn, version: str) -> None:
    text = wizard.cluster_file.read_text()
    wizard.cluster_file.write_text(re.sub(r'  version: "[^"]*"', f'  version: "{version}"', text))


def planned(wizard: WizardOn, target: str) -> Any:
    found = wizard.json("plan", f"{STEP}@{target}")["steps"]
    return next(each for each in found if (each["step"], each["target"]) == (STEP, target))


def picture(machine: Rehearsal, host: str) -> dict[str, str]:
    """What undo must bring back: files, packages, the name, and settings of the kernel."""
    asked = {
        "files": "find /etc /opt -xdev -type f ! -name '*-' ! -path '*/ssl/certs/*' ! -name ld.so.cache "
        "! -name .pwd.lock | sort | xargs -d '\\n' sha256sum",
        "packages": "dpkg-query -W -f='${Package} ${Version} ${db:Status-Status}\\n'; apt-mark showhold",
        "name": "hostname; cat /etc/hostname",
        "settings": "sysctl net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables",
        "units": "systemctl list-unit-files --state=enabled,masked --no-legend | grep -E 'swap|container|kubelet' || :",
    }
    return {what: machine.inside(command, host=host) for what, command in asked.items()}


def as_a_node(machine: Rehearsal, host: str) -> None:
    """By other eyes than the wizard's: what kubeadm and the kubelet will look at."""
    said = machine.inside("kubeadm version -o short; kubelet --version; apt-mark showhold", host=host).split()
    assert said == ["v1.20.2", "Kubernetes", "v1.20.2", "kubeadm", "kubectl", "kubelet"]
    plugins = machine.inside("ctr plugins ls | grep 'grpc.v1 *cri'", host=host)
    assert plugins.split()[-1] == "ok"
    runs_with = machine.inside("containerd config dump", host=host)
    assert 'bin_dir = "/opt/cni/bin"' in runs_with
    assert 'sandbox_image = "k8s.gcr.io/pause:3.2"' in runs_with
    assert "SystemdCgroup = true" in runs_with
    values = machine.inside("sysctl -n net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables", host=host)
    assert values.split() == ["1", "1"]
    assert machine.inside("hostname; cat /etc/hostname", host=host).split() == [host, host]
    assert machine.inside(f"getent hosts {FRESH}", host=SPOILED).split()[0] == "192.168.182.131"
    assert not machine.inside("grep -E '^[^#].*swap' /etc/fstab || true", host=host)


def api_is_open(machine: Rehearsal) -> bool:
    """From the other node, over TCP."""
    asked = "timeout 2 bash -c '</dev/tcp/192.168.182.130/6443' && echo open || echo closed"
    return machine.inside(asked, host=FRESH) == "open\n"


@pytest.fixture
def two(hypervisor: Callable[..., Rehearsal]) -> Rehearsal:
    return hypervisor(nodes=2)


@pytest.mark.long
def test_from_fresh_and_from_spoiled_to_done_and_back(two: Rehearsal, tmp_path: Path) -> None:
    wizard = wizard_on(two, tmp_path / "wizard")
    two.inside(SPOIL, host=SPOILED)
    before = {name: picture(two, name) for name in (FRESH, SPOILED)}

    wish(wizard, "1.20.9")
    refused = wizard.run("apply", f"{STEP}@{FRESH}", "--yes")
    assert refused.returncode == 1, refused.stderr
    assert "versions that apt knows: 1.20.2-1.1" in refused.stderr
    assert "there is no kubelet 1.20.9-*" in refused.stderr

    wish(wizard, "1.20")
    two.inside(API, host=SPOILED)
    assert not api_is_open(two)
    why = planned(wizard, SPOILED)["reason"]
    assert "swap comes back with the next boot (/etc/fstab, dev-zram0.swap, mine.swap)" in why
    assert "serves no Kubernetes (its CRI plugin is switched off)" in why
    assert "it calls itself debian" in why
    assert "its firewall (ufw) keeps the other nodes out" in why
    wizard.ok("apply", STEP, "--yes", timeout=600)
    for name in (FRESH, SPOILED):
        as_a_node(two, name)
        assert planned(wizard, name)["state"] == "done"
    assert two.inside("cat /etc/containerd/config.toml", host=SPOILED).startswith("version = 2\n# what docker.com's")
    assert f"# homek8s-wizard: no swap on a node of Kubernetes. {SWAP}" in two.inside("cat /etc/fstab", host=SPOILED)

    assert api_is_open(two)
    two.inside("systemctl stop api", host=SPOILED)
    another_firewall_is_told_of(wizard)

    two.reboot(host=SPOILED)
    as_a_node(two, SPOILED)
    again = planned(wizard, SPOILED)
    assert again["state"] == "done", again["reason"]

    wish(wizard, "1.21")
    other = wizard.run("plan", f"{STEP}@{FRESH}")
    assert f"{FRESH} has kubelet 1.20.2, kubeadm 1.20.2" not in other.stdout
    assert f"{FRESH} has kubeadm 1.20.2, and cluster.yaml asks for Kubernetes 1.21" in other.stdout
    wish(wizard, "1.20")

    swap_is_named_by_init(wizard)
    containerd_is_named_by_init(wizard)
    a_kubelet_that_gives_up_is_named_by_init(wizard)
    wizard.ok("undo", STEP, "--yes", timeout=600)
    for name in (FRESH, SPOILED):
        assert picture(two, name) == before[name]


def another_firewall_is_told_of(wizard: WizardOn) -> None:
    """As images of some clouds have one: what no rule accepts is rejected."""
    rule = "FORWARD -j REJECT --reject-with icmp-host-prohibited"
    wizard.machine.inside(f"iptables -A {rule}", host=FRESH)
    said = planned(wizard, FRESH)["reason"]
    wizard.machine.inside(f"iptables -D {rule}", host=FRESH)
    assert said.endswith(f" filters on {FRESH}, and is left to you: it must forward what is from pods."), said
    assert "is left to you" not in planned(wizard, FRESH)["reason"]


@contextmanager
def late(machine: Rehearsal, comes: str, goes: str) -> Iterator[None]:
    """Something that happens on the node between the wizard's look and kubeadm's."""
    unit = f"mkdir {LATE}; printf '[Service]\\nExecStartPre=sh -e /root/late\\n' >{LATE}/late.conf"
    machine.inside(f"cat >/root/late <<'END'\n{comes}\nEND\n{unit}; systemctl daemon-reload", host=SPOILED)
    yield
    machine.inside(f"{goes}; rm -r {LATE}; systemctl daemon-reload", host=SPOILED)


def swap_is_named_by_init(wizard: WizardOn) -> None:
    """kubeadm and we see the same: what comes on after the wizard looked is the reason that the owner reads."""
    with late(wizard.machine, SWAP_COMES, SWAP_GOES):
        failed = wizard.run("apply", "join.init", "--yes")
        assert failed.returncode == 1, failed.stderr
        assert "[ERROR Swap]: running with swap on is not supported" in failed.stderr
        assert "fault: swap is on\n" in failed.stderr
        assert "the kubelet gives up" not in failed.stderr
        assert "Probably: swap is on, and the kubelet does not start where there is any" in failed.stderr
        found = planned(wizard, SPOILED)
        assert (found["state"], found["reason"]) == ("todo", "swap is on (/dev/zram0)")
        assert [each["argv"] for each in found["parts"][0]["actions"]] == [["swapoff", "-a"]]


def containerd_is_named_by_init(wizard: WizardOn) -> None:
    with late(wizard.machine, "systemctl stop containerd", "systemctl start containerd"):
        failed = wizard.run("apply", "join.init", "--yes")
    assert failed.returncode == 1, failed.stderr
    assert "fault: containerd does not answer\n" in failed.stderr
    with late(wizard.machine, NO_CRI, CRI):
        output = ended_once_the_kubelet_complains(wizard)
    assert "fault: the CRI of containerd is disabled\n" in output
    wizard.ok("undo", "join.init", "--yes", "--destroy", SPOILED, timeout=600)


def ended_once_the_kubelet_complains(wizard: WizardOn, of: str = "") -> str:
    """kubeadm would wait for minutes: it is ended here, by hand. Gives what the wizard said."""
    running = wizard.start("apply", "join.init", "--yes")
    seen = until_said(running, f"… the kubelet: {of}")
    wizard.machine.inside("pkill -x kubeadm", host=SPOILED)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 1, seen + output
    return output


def a_kubelet_that_gives_up_is_named_by_init(wizard: WizardOn) -> None:
    """While kubeadm waits, and at the end."""
    wizard.machine.inside("cp -p /etc/default/kubelet /root", host=SPOILED)
    wizard.machine.inside("echo KUBELET_EXTRA_ARGS=--nonsense >/etc/default/kubelet", host=SPOILED)
    why = "server.go:156] unknown flag: --nonsense"
    output = ended_once_the_kubelet_complains(wizard, why)
    assert f"==> the kubelet's errors (journalctl -u kubelet)\n    {why}\n" in output
    assert "==> kubeadm init ended with status 143\n" in output
    assert f"fault: the kubelet gives up: {why}\n" in output
    assert "Probably: the kubelet does not stay up; why, it says itself" in output
    wizard.machine.inside("cp -p /root/kubelet /etc/default/kubelet", host=SPOILED)
    wizard.ok("undo", "join.init", "--yes", "--destroy", SPOILED, timeout=600)
