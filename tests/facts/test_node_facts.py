"""What a node says of itself, as real ones said it: a container of Debian 12 with the packages of Kubernetes 1.20."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from wizard.facts.containerd import CONTAINERD, Containerd
from wizard.facts.kube_images import CERTS, KubeImages, kube_images, pause_of, registry_of
from wizard.facts.kube_packages import KUBE_PACKAGES, minor
from wizard.facts.node_clock import NODE_CLOCK
from wizard.facts.node_firewall import NODE_FIREWALL, NodeFirewall
from wizard.facts.node_kernel import NODE_KERNEL
from wizard.facts.node_names import NODE_NAMES, leads_to
from wizard.facts.node_swap import SWAP, swap_lines
from wizard.model import FactError, Output

FIXTURES = Path(__file__).parent / "fixtures" / "containerd"


def said(text: str, rc: int = 0, err: str = "") -> Output:
    return Output(rc, text.encode(), err.encode())


# ---------------------------------------------------------------- swap


def test_swap_in_use_and_what_brings_it_back() -> None:
    found = SWAP.parse(
        said(
            "swap\t/swap.img\n"
            "unit\tdev-zram0.swap\tloaded\tactive\t\tgenerated\t/run/systemd/generator/dev-zram0.swap\n"
            "unit\tswap.img.swap\tloaded\tactive\t/etc/fstab\tgenerated\t/run/systemd/generator/swap.img.swap\n"
            "unit\tzramswap.service\tmasked\tinactive\t\tmasked\t/dev/null\n"
            "unit\tmine.swap\tloaded\tinactive\t\tdisabled\t/etc/systemd/system/mine.swap\n"
            "unit\tdphys-swapfile.service\tnot-found\tinactive\t\t\t\n"
            "end\n"
        )
    )
    assert found.in_use == ("/swap.img",)
    assert [(unit.name, unit.by_fstab, unit.is_off) for unit in found.units] == [
        ("dev-zram0.swap", False, False),
        ("swap.img.swap", True, False),
        ("zramswap.service", False, True),
        ("mine.swap", False, True),
    ]
    with pytest.raises(FactError):
        SWAP.parse(said("", 1, "systemctl: not found"))


def test_lines_of_fstab_that_count() -> None:
    fstab = (
        "# /dev/sda2 none swap sw 0 0\n"
        "/swap.img\tnone\tswap\tsw\t0\t0\n"
        "UUID=0-0 none swap\n"
        "/dev/sda1 /swap ext4 defaults 0 1\n"
        "/dev/swap / ext4\n"
        "\n"
        "  LABEL=s none swap sw\n"
    )
    assert swap_lines(fstab) == ("/swap.img\tnone\tswap\tsw\t0\t0", "UUID=0-0 none swap", "  LABEL=s none swap sw")


# ---------------------------------------------------------------- kernel

KERNEL = """fs=tmpfs
init=systemd
memory-groups=yes
kubelet=no
driver=
overlay=yes
net.ipv4.ip_forward=0
net.bridge.bridge-nf-call-iptables=1
net.bridge.bridge-nf-call-ip6tables=1
processors=2
memory=24685376
end=yes
"""


def test_a_container_with_the_first_control_groups() -> None:
    found = NODE_KERNEL.parse(said(KERNEL))
    assert (found.unified, found.systemd) == (False, True)
    assert found.memory == 24685376 * 1024
    assert found.bridged
    assert found.settings["net.ipv4.ip_forward"] == "0"
    assert found.kubelet_driver == ""


def test_a_machine_with_the_second() -> None:
    text = KERNEL.replace("fs=tmpfs", "fs=cgroup2fs")
    found = NODE_KERNEL.parse(said(text.replace("=1\n", "=\n").replace("overlay=yes", "overlay=no")))
    assert (found.unified, found.bridged, found.overlay) == (True, False, False)


@pytest.mark.parametrize(("driver", "expected"), [("systemd", "systemd"), ("cgroupfs", "cgroupfs"), ("", "cgroupfs")])
def test_a_kubelet_that_runs_already(driver: str, expected: str) -> None:
    """cgroupfs is the kubelet's own default (kubelet.config.k8s.io/v1beta1)."""
    text = KERNEL.replace("kubelet=no", "kubelet=yes").replace("driver=", f"driver={driver}")
    assert NODE_KERNEL.parse(said(text)).kubelet_driver == expected


def test_a_broken_answer_of_the_kernel() -> None:
    with pytest.raises(FactError):
        NODE_KERNEL.parse(said("fs=cgroup2fs\n"))


# ---------------------------------------------------------------- containerd


def in64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_containerd_runs() -> None:
    dump, config = ((FIXTURES / "1.6.20" / name).read_text() for name in ("fitted.dump", "debian.toml"))
    rows = {
        "candidate": "1.6.20~ds1-1+deb12u3",
        "active": "active",
        "enabled": "enabled",
        "load": "loaded",
        "config": in64(config),
        "written": "1700000000",
        "started": "1700000005",
        "version": "1.6.20~ds1",
        "dump": in64(dump),
    }
    found = CONTAINERD.parse(said("".join(f"{key}\t{value}\n" for key, value in rows.items()) + "end\n"))
    assert (found.version, found.numbers) == ("1.6.20", (1, 6, 20))
    assert (found.active, found.enabled, found.masked, found.stale) == (True, True, False, False)
    assert found.config == config
    assert found.effective is not None
    assert found.effective.systemd_cgroup
    assert found.serves
    rows["trouble"] = "failed to create fsnotify watcher: too many open files"
    rows["written"] = "1700000009"
    again = CONTAINERD.parse(said("".join(f"{key}\t{value}\n" for key, value in rows.items()) + "end\n"))
    assert again.stale
    assert (again.serves, again.trouble) == (False, rows["trouble"])


def test_no_containerd() -> None:
    text = "candidate\t(none)\nactive\tinactive\nenabled\t\nload\tnot-found\nend\n"
    assert CONTAINERD.parse(said(text)) == Containerd()
    with pytest.raises(FactError):
        CONTAINERD.parse(said("candidate\t\n"))


def test_a_file_that_containerd_does_not_understand() -> None:
    words = "containerd: failed to load TOML: /etc/containerd/config.toml: (3, 2): unexpected token"
    found = CONTAINERD.parse(said(f"load\tloaded\nversion\tv2.1.9+unknown\ncomplaint\t{words}\nend\n"))
    assert (found.version, found.effective, found.complaint) == ("2.1.9", None, words)
    odd = CONTAINERD.parse(said(f"version\t1.7.24\ndump\t{in64('[')}\nend\n"))
    assert odd.effective is None
    assert "cannot be read" in odd.complaint


# ---------------------------------------------------------------- packages


def test_installed_and_held() -> None:
    found = KUBE_PACKAGES.parse(
        said(
            "program\tkubelet\tv1.20.2\nprogram\tkubeadm\tv1.20.2\nprogram\tkubectl\tv1.20.2\napt\n"
            "dpkg\tca-certificates\ndpkg\tcurl\ndpkg\tgpg\ndpkg\tkubeadm\ndpkg\tkubectl\ndpkg\tkubelet\n"
            "held\tkubeadm\nheld\tkubectl\nheld\tkubelet\nservice\nenabled\nend\n"
        )
    )
    assert found.versions == {"kubelet": "1.20.2", "kubeadm": "1.20.2", "kubectl": "1.20.2"}
    assert found.missing == ()
    assert set(found.packaged) == set(found.held) == {"kubelet", "kubeadm", "kubectl"}
    assert found.tools == ("ca-certificates", "curl", "gpg")
    assert found.service
    assert found.enabled


def test_nothing_of_kubernetes() -> None:
    text = "program\tkubelet\t\nprogram\tkubeadm\t\nprogram\tkubectl\t\napt\ndpkg\tcurl\ninterrupted\nend\n"
    found = KUBE_PACKAGES.parse(said(text))
    assert found.missing == ("kubelet", "kubeadm", "kubectl")
    assert found.interrupted
    assert not found.service
    with pytest.raises(FactError):
        KUBE_PACKAGES.parse(said(""))


def test_minor_versions() -> None:
    assert minor("v1.36.4") == (1, 36)
    assert minor("1.9") == (1, 9)
    with pytest.raises(ValueError, match="no version"):
        minor("latest")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("kubectl", 'Client Version: version.Info{Major:"1", GitVersion:"v1.20.2", GoVersion:"go1.19.8"}'),
        ("kubectl", "Client Version: v1.36.4\nKustomize Version: v5.7.1"),
        ("kubelet", "Kubernetes v1.36.4"),
    ],
)
def test_a_version_in_other_words(program: str, words: str, tmp_path: Path) -> None:
    fake = tmp_path / program
    fake.write_text(f"#!/bin/sh\ncat <<'END'\n{words}\nEND\n")
    fake.chmod(0o755)
    run = ["env", f"PATH={tmp_path}:/usr/bin:/bin", "sh", "-c", KUBE_PACKAGES.command]
    found = KUBE_PACKAGES.parse(Output(0, subprocess.run(run, capture_output=True, check=False).stdout))
    assert found.versions[program] in ("1.20.2", "1.36.4")


# ---------------------------------------------------------------- names


def test_names() -> None:
    found = NODE_NAMES.parse(said("now=aki0\nlasting=aki0\nrewritten=yes\n"))
    assert (found.hostname, found.lasting, found.rewritten) == ("aki0", "aki0", True)
    with pytest.raises(FactError):
        NODE_NAMES.parse(said("now=\nlasting=\nrewritten=no\n"))


def test_what_a_name_leads_to() -> None:
    fact = leads_to("k8s-api.home.arpa")
    text = "192.168.182.130 STREAM k8s-api.home.arpa\n192.168.182.130 DGRAM\n192.168.182.130 RAW\n"
    assert fact.parse(said(text)) == ("192.168.182.130",)
    assert fact.parse(said("", 2)) == ()
    with pytest.raises(FactError):
        fact.parse(said("", 127, "getent: not found"))


def test_repositories_that_apt_knows_already(tmp_path: Path) -> None:
    (tmp_path / "kubernetes.list").write_text(
        "# deb https://old.home.arpa/deb /\n"
        "deb [signed-by=/etc/apt/keyrings/k.gpg] https://pkgs.k8s.io/core:/stable:/v1.36/deb/ /\n"
    )
    (tmp_path / "mirror.sources").write_text("Types: deb\nURIs: http://mirror.home.arpa/deb\nSuites: /\n")
    command = KUBE_PACKAGES.command.replace("/etc/apt/sources.list.d", str(tmp_path))
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert KUBE_PACKAGES.parse(Output(done.returncode, done.stdout)).sources == (
        (f"{tmp_path}/kubernetes.list", "https://pkgs.k8s.io/core:/stable:/v1.36/deb/"),
        (f"{tmp_path}/mirror.sources", "http://mirror.home.arpa/deb/"),
    )


# ---------------------------------------------------------------- images


def test_images_that_are_there() -> None:
    names = ("k8s.gcr.io/kube-apiserver:v1.20.2", "k8s.gcr.io/kube-proxy:v1.20.2", "k8s.gcr.io/pause:3.2")
    rows = "".join(f"needed\t{name}\n" for name in names)
    asked = "asked\tk8s.gcr.io\ncomplaint\tcurl: (6) Could not resolve host: k8s.gcr.io\n"
    found = kube_images("1.20").parse(said(f"{rows}there\t{names[2]}\n{asked}end\n"))
    assert found.pause == names[2]
    assert found.missing() == names[:2]
    assert found.missing("kube-proxy", "pause") == names[1:2]
    assert (found.registry, found.answered, found.complaint) == ("k8s.gcr.io", False, asked.split("\t")[-1].strip())
    answered = kube_images("1.20").parse(said(f"{rows}asked\tk8s.gcr.io\nanswered\nend\n"))
    assert answered.answered
    untold = kube_images("1.20").parse(said("asked\tk8s.gcr.io\nuntold\nend\n"))
    assert untold == KubeImages(registry="k8s.gcr.io", answered=True)
    with pytest.raises(FactError):
        kube_images("1.20").parse(said("needed\tx\n"))


@pytest.mark.parametrize(
    "told", ["", "mirror.home.arpa_5000_", "mirror.home.arpa:5000", "_default", "docker.io", "proxy"]
)
def test_another_way_that_containerd_is_told_of(told: str, tmp_path: Path) -> None:
    """What does not answer the host itself may well answer containerd."""
    programs = {"kubeadm": "exit 1", "ctr": "exit 1", "curl": "echo 'could not connect'; exit 7"}
    programs["systemctl"] = "echo Environment=HTTPS_PROXY=http://proxy:3128" if told == "proxy" else "echo Environment="
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    directory = tmp_path / "certs" / (told or "empty")
    directory.mkdir(parents=True)
    if told:
        (directory / "hosts.toml").touch()
    fact = kube_images("1.36", "mirror.home.arpa:5000/k8s")
    command = fact.command.replace(CERTS, str(tmp_path / "certs"))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=environment, check=True)
    found = fact.parse(Output(0, done.stdout, done.stderr))
    assert found.answered == (told not in ("", "docker.io"))
    assert (found.complaint == "could not connect") == (not found.answered)


@pytest.mark.parametrize(
    ("version", "mirror", "expected"),
    [
        ("1.20", "", "k8s.gcr.io/pause:3.2"),
        ("1.36.4", "", "registry.k8s.io/pause:3.10.1"),
        ("1.30", "", "registry.k8s.io/pause:3.9"),
        ("1.99", "home.arpa:5000/k8s", "home.arpa:5000/k8s/pause:3.10.1"),
    ],
)
def test_the_image_for_pods(version: str, mirror: str, expected: str) -> None:
    assert pause_of(version, mirror) == expected
    assert expected.startswith(registry_of(version, mirror))


# ---------------------------------------------------------------- clock


@pytest.mark.parametrize(
    ("asked", "ahead"),
    [((100.0, 101.0), 899.0), ((999.5, 1000.5), 0.0), ((1010.0, 1012.0), -10.0), ((990.0, 1100.0), 0.0), ((0, 0), 0.0)],
)
def test_a_clock_beside_ours(asked: tuple[float, float], ahead: float) -> None:
    """It was read at some time between question and answer; only what that leaves no doubt about counts."""
    found = NODE_CLOCK.parse(Output(0, b"now=1000.0\nNTPSynchronized=yes\n", asked=asked))
    assert (found.ahead, found.synchronised) == (ahead, True)
    assert NODE_CLOCK.parse(Output(0, b"now=1000.0\n")).synchronised is None


# ---------------------------------------------------------------- firewalls

RULES = Path(__file__).parent / "fixtures" / "node-firewall"
"""What nft 1.0.6 and iptables-legacy-save 1.8.9 say of rules as Kubernetes and Calico have them, and of others."""
SAVES = f"[ \"$1 $2\" = '-t filter' ] && cat {RULES}/saved"
REJECTS = "\t\tcounter reject with icmp type host-prohibited\n"


def firewall_said(tmp_path: Path, programs: Mapping[str, str], legacy: str = "") -> Output:
    """Where there are these programs, and tables of the old kind."""
    for name, script in {"systemctl": "echo inactive", **programs}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "ip_tables_names").write_text(legacy)
    command = NODE_FIREWALL.command.replace("/proc/net", str(tmp_path))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=environment, check=False)
    return Output(done.returncode, done.stdout, done.stderr)


def node_firewall(tmp_path: Path, programs: Mapping[str, str], legacy: str = "") -> NodeFirewall:
    return NODE_FIREWALL.parse(firewall_said(tmp_path, programs, legacy))


def nft(tmp_path: Path, more: str = "") -> str:
    """Answers `nft list chains`, and `nft -s list chain ip filter FORWARD`, in which there are `more` rules."""
    (tmp_path / "chains").write_text((RULES / "chains").read_text())
    (tmp_path / "INPUT").write_text((RULES / "INPUT").read_text())
    (tmp_path / "FORWARD").write_text((RULES / "FORWARD").read_text().replace("\t}\n", f"{more}\t}}\n"))
    return f'[ "$1 $2" = "list chains" ] && cat {tmp_path}/chains || cat {tmp_path}/${{6:?}}'


def test_a_node_that_filters_what_it_forwards(tmp_path: Path) -> None:
    """What Kubernetes and its pod networks have in these chains is no firewall; a rule for everything is one."""
    assert node_firewall(tmp_path, {"nft": nft(tmp_path)}) == NodeFirewall()
    [found] = node_firewall(tmp_path, {"nft": nft(tmp_path, REJECTS)}).filtering
    assert (str(found), found.table, found.hooks) == ("nftables' table ip filter", "ip filter", ("forward",))


def test_thousands_of_rules_are_not_brought(tmp_path: Path) -> None:
    more = "\t\tip saddr 192.0.2.7 counter drop\n" * 30_000
    answer = firewall_said(tmp_path, {"nft": nft(tmp_path, more + REJECTS)})
    assert len(answer.out) < 1000
    assert [each.hooks for each in NODE_FIREWALL.parse(answer).filtering] == [("forward",)]


def test_tables_of_the_old_kind_are_not_made_by_looking(tmp_path: Path) -> None:
    programs = {"nft": nft(tmp_path), "iptables-legacy-save": SAVES}
    assert node_firewall(tmp_path, programs, legacy="nat\n").filtering == ()
    [found] = node_firewall(tmp_path, programs, legacy="nat\nfilter\n").filtering
    assert (str(found), found.table, found.hooks) == (
        "iptables-legacy's table filter",
        "ip filter",
        ("input", "forward"),
    )


def test_a_node_without_nft(tmp_path: Path) -> None:
    assert node_firewall(tmp_path, {}) == NodeFirewall()
    [found] = node_firewall(tmp_path, {"ip6tables-nft-save": SAVES}).filtering
    assert (str(found), found.table) == ("ip6tables-nft's table filter", "ip6 filter")


def test_an_nft_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(FactError, match="not permitted"):
        node_firewall(tmp_path, {"nft": "echo 'Operation not permitted' >&2; exit 1"})


@pytest.mark.parametrize(
    ("family", "policy", "rule", "filters"),
    [
        ("inet", "drop", "", True),
        ("inet", "drop", "\t\taccept", False),
        ("inet", "drop", "\t\tlog", True),
        ("inet", "accept", "", False),
        ("inet", "accept", "\t\tdrop", True),
        ("ip", "accept", "\t\t counter reject with icmp type host-prohibited", True),
        ("inet", "accept", '\t\tcounter log prefix "x " reject with icmpx admin-prohibited comment "end"', True),
        ("inet", "accept", '\t\tcounter name "dropped" drop comment "x"', True),
        ("inet", "accept", '\t\tlog prefix "a" group 3 drop', True),
        ("inet", "accept", "\t\taccept\n\t\tdrop", False),
        ("inet", "accept", '\t\tlog prefix "drop " tcp dport 22', False),
        ("inet", "accept", "\t\tcounter jump drop", False),
        ("arp", "drop", "", False),
    ],
)
def test_what_becomes_of_packets_that_no_rule_names(family: str, policy: str, rule: str, filters: bool) -> None:
    rules = f"{rule}\n" if rule else ""
    chain = f"table {family} f {{\n\t\ttype filter hook input priority filter + 10; policy {policy};\n{rules}"
    found = NODE_FIREWALL.parse(said(f"firewalld\tinactive\n{chain}end\n"))
    assert [each.hooks for each in found.filtering] == ([("input",)] if filters else [])


def test_firewalld() -> None:
    found = NODE_FIREWALL.parse(said("firewalld\tactive\nopened\t6443/tcp 10250/tcp\nend\n"))
    assert found == NodeFirewall(True, ("6443/tcp", "10250/tcp"))
    with pytest.raises(FactError):
        NODE_FIREWALL.parse(said(""))
