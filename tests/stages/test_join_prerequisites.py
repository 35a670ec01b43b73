"""join.prerequisites: a fresh node, each thing that can be wrong with one, what stops it, what is left to its owner."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest

from wizard import catalog
from wizard.actions import EditLine, Install, OnUndo, Run, TakeBack, WriteFile
from wizard.cluster import Cluster
from wizard.facts.containerd import CONFIG, CONTAINERD, Containerd, Effective
from wizard.facts.kube_images import KubeImages, kube_images
from wizard.facts.kube_packages import KEYRING, KUBE_PACKAGES, LIST, KubePackages
from wizard.facts.kubeadm import KUBEADM, Kubeadm
from wizard.facts.libvirt import DOMAINS
from wizard.facts.network import LINKS, ROUTES, Address, Link, Links, Route
from wizard.facts.node_clock import NODE_CLOCK, NodeClock
from wizard.facts.node_firewall import NODE_FIREWALL, Filtering, NodeFirewall
from wizard.facts.node_kernel import NODE_KERNEL, SETTINGS, NodeKernel
from wizard.facts.node_names import HOSTS, NODE_NAMES, NodeNames, leads_to
from wizard.facts.node_swap import FSTAB, SWAP, Swap, SwapUnit
from wizard.facts.owner_files import owner_file
from wizard.facts.storage import ETCD_FSYNC, Fsync
from wizard.facts.ufw import UFW, Ufw, UfwRule
from wizard.facts.units import Unit
from wizard.model import (
    HYPERVISOR,
    OWNER,
    AnyFact,
    Blocked,
    Context,
    Do,
    Known,
    Nothing,
    Plan,
    Refused,
    Risk,
    Seen,
    Unseen,
)
from wizard.script import compile_part
from wizard.stages.join_area import (
    CLOUD_FILE,
    MODULES_FILE,
    NETWORK_MANAGER_FILE,
    NODE_FILES,
    PATHS,
    SYSCTL_FILE,
)
from wizard.stages.join_firewall import ports, spelled
from wizard.stages.join_kernel import wanted_files
from wizard.stages.join_names import BEGIN, END, STAYS
from wizard.stages.join_network_manager import CONTENT, UNITS
from wizard.stages.join_prerequisites import STEP

IMAGES = ("k8s/kube-apiserver:v1.36.4", "k8s/kube-proxy:v1.36.4", "registry.k8s.io/pause:3.10.1")
LINES = "192.168.182.130 aki0\n192.168.182.131 aki1\n"
OWN_HOSTS = f"127.0.0.1 localhost\n{BEGIN}\n{LINES}{END}\n"
VERSIONS = dict.fromkeys(("kubelet", "kubeadm", "kubectl"), "1.36.4")
READY = KubePackages(VERSIONS, tuple(VERSIONS), tuple(VERSIONS), service=True, enabled=True)
FITTED = Effective((), True, ("/opt/cni/bin",), IMAGES[2])
RUNS = Containerd("1.7.24", "", True, True, config="version = 2\n", effective=FITTED)
KERNEL = NodeKernel(True, True, True, settings=dict(SETTINGS), memory=8 * 1024**3)


def cluster(*guests: dict[str, Any], accept: tuple[str, ...] = (), **kubernetes: Any) -> Cluster:
    two = (
        {"name": "aki0", "role": "control-plane", "ssh": "owner@192.168.182.130"},
        {"name": "aki1", "role": "worker", "ssh": "owner@192.168.182.131"},
    )
    return Cluster.model_validate(
        {
            "name": "home",
            "hypervisor": {"ssh": "owner@192.168.182.100", "accept": list(accept)},
            "kubernetes": {"version": "1.36", **kubernetes},
            "guests": list(guests or two),
        }
    )


def links(at: str) -> Links:
    return Links((Link("enp1s0", "52:54:00:00:00:01", addresses=(Address(ip_interface(f"{at}/24")),)),))


def files(**changed: str | None) -> Mapping[str, str | None]:
    here: dict[str, str | None] = {**dict.fromkeys(PATHS), **wanted_files(), HOSTS: OWN_HOSTS, FSTAB: "", LIST: "x"}
    return here | changed


def context(
    wanted: Cluster | None = None, said: Mapping[AnyFact[Any], object] | None = None, **others: object
) -> Context:
    """aki0 as it should be, but for what is `said`; the hypervisor's facts are not there at all."""
    asked = wanted or cluster()
    kubernetes = asked.kubernetes
    assert kubernetes is not None
    values: dict[AnyFact[Any], object] = {
        SWAP: Swap(),
        NODE_KERNEL: KERNEL,
        NODE_NAMES: NodeNames("aki0", "aki0"),
        NODE_FILES: files(),
        NODE_FIREWALL: NodeFirewall(),
        UFW: Ufw(),
        UNITS: {},
        CONTAINERD: RUNS,
        KUBE_PACKAGES: READY,
        KUBEADM: Kubeadm(),
        NODE_CLOCK: NodeClock(True),
        LINKS: links("192.168.182.130"),
        ROUTES: (Route("default", "192.168.182.1", "enp1s0"),),
        kube_images(kubernetes.version, kubernetes.images or ""): KubeImages(IMAGES, IMAGES),
        **(said or {}),
    }
    seen: dict[tuple[str, str], Seen] = {("aki0", fact.id): Known(value) for fact, value in values.items()}
    return Context(asked, seen | {key: Known(value) for key, value in others.items()})  # type: ignore[misc]


def plan(said: Mapping[AnyFact[Any], object] | None = None, wanted: Cluster | None = None) -> Plan:
    return STEP.plan(context(wanted, said), "aki0")


def do(said: Mapping[AnyFact[Any], object] | None = None, wanted: Cluster | None = None) -> Do:
    found = plan(said, wanted)
    assert isinstance(found, Do), found
    for number, part in enumerate(found.parts, 1):
        script = compile_part(STEP.id, "aki0", part, number=number, count=len(found.parts))
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    return found


def actions(found: Do) -> list[Any]:
    return [action for part in found.parts for action in part.actions]


def commands(found: Do) -> list[str]:
    return [" ".join(action.argv) for action in actions(found) if isinstance(action, Run)]


def written(found: Do, path: str) -> str:
    return next(action.content for action in actions(found) if isinstance(action, WriteFile) and action.path == path)


def stopped(found: Plan) -> list[str]:
    assert isinstance(found, Blocked | Refused), found
    assert all(finding.cure for finding in found.findings)
    return [finding.id for finding in found.findings]


# ---------------------------------------------------------------- all of it, nothing of it


def test_all_is_well() -> None:
    assert plan() == Nothing(
        "aki0 has kubelet 1.36.4, kubeadm 1.36.4, kubectl 1.36.4, held, containerd 1.7.24 (control groups by systemd), "
        "no swap, and the names of all nodes."
    )


def test_a_fresh_node() -> None:
    fresh = {
        KUBE_PACKAGES: KubePackages(tools=("ca-certificates",)),
        CONTAINERD: Containerd(candidate="1.7.24~ds1-6+deb13u1"),
        NODE_KERNEL: replace(KERNEL, settings={"net.ipv4.ip_forward": "0"}),
        NODE_FILES: dict.fromkeys(PATHS),
        kube_images("1.36"): KubeImages(registry="registry.k8s.io", answered=True),
    }
    found = do(fresh)
    assert [part.title for part in found.parts] == [
        "the system on aki0",
        "containerd on aki0",
        "Kubernetes's programs on aki0",
    ]
    assert all(part.on == "aki0" for part in found.parts)
    installed = [action.packages for action in actions(found) if isinstance(action, Install)]
    assert installed == [("containerd",), ("curl", "gpg"), ("kubelet=1.36.*", "kubeadm=1.36.*", "kubectl=1.36.*")]
    assert f"kube_key https://pkgs.k8s.io/core:/stable:/v1.36/deb/Release.key {KEYRING}" in commands(found)
    assert f"deb [signed-by={KEYRING}] https://pkgs.k8s.io/core:/stable:/v1.36/deb/ /\n" in written(found, LIST)
    assert "apt-mark hold kubelet kubeadm kubectl" in commands(found)
    assert 'sandbox_image = "registry.k8s.io/pause:3.10.1"' in written(found, CONFIG)
    order = [type(action).__name__ for action in found.parts[1].actions]
    assert order == ["WriteFile", "Install", "Run", "Run", "Run"]  # dpkg keeps a file that is there


def test_every_example_can_be_planned_unconnected() -> None:
    wanted = cluster(endpoint="k8s-api.home.arpa", packages={"repository": "https://m/deb/", "key": "key.asc"})
    for target in STEP.targets(wanted):
        found = STEP.plan(Context(wanted, STEP.fresh(wanted)), target)
        assert isinstance(found, Do), found
        assert "192.168.182.130 k8s-api.home.arpa" in " ".join(commands(found))
    assert STEP.targets(cluster()) == ("aki0", "aki1")
    assert catalog.find("join.prerequisites") is STEP
    assert STEP.side_by_side(wanted, "aki1")
    assert STEP.look(wanted, "aki0")[0].startswith("ssh owner@192.168.182.130 ")
    offered = STEP.defaults(Context(wanted))
    assert offered["kubernetes.endpoint"][0].value == "home-api.home.arpa"


def test_of_the_hypervisor_only_whether_the_guest_is_there_is_asked() -> None:
    facts = STEP.facts(cluster(), "aki1")
    assert set(facts) == {"aki0", "aki1", HYPERVISOR}
    assert facts[HYPERVISOR] == (DOMAINS,)
    assert ETCD_FSYNC not in STEP.facts(cluster(), "aki1")["aki1"]
    assert ETCD_FSYNC in STEP.facts(cluster(), "aki0")["aki0"]


# ---------------------------------------------------------------- swap


def test_swap_is_off_for_good() -> None:
    units = (SwapUnit("dev-zram0.swap", "loaded", "active"), SwapUnit("swap.img.swap", "loaded", "active", FSTAB))
    fstab = "# mine\n/swap.img none swap sw 0 0\n"
    found = do({SWAP: Swap(("/swap.img",), units), NODE_FILES: files(**{FSTAB: fstab})})
    assert found.why == "swap is on (/swap.img)"
    off, back, line, mask, reload = actions(found)
    assert (off.argv, off.undo.argv) == (("swapoff", "-a"), ("swapon", "-a"))
    assert back == OnUndo(Run(("systemctl", "daemon-reload")))
    assert isinstance(line, EditLine)
    assert line.now == "# homek8s-wizard: no swap on a node of Kubernetes. /swap.img none swap sw 0 0"
    assert mask.argv == ("systemctl", "mask", "--now", "--", "dev-zram0.swap")
    assert reload.argv == ("systemctl", "daemon-reload")


def test_lines_of_fstab_have_tabs_and_others_have_passwords() -> None:
    swap, indented = "/swap.img\tnone\tswap\tsw\t0\t0", "  /swap.img\tnone\tswap\tsw\t0\t0"
    fstab = f"//nas/x /x cifs user=me,password=hunter2 0 0\n{swap}\n{swap}\n{indented}\n"
    found = do({NODE_FILES: files(**{FSTAB: fstab})})
    assert found.why == "swap comes back with the next boot (/etc/fstab)"
    off = "# homek8s-wizard: no swap on a node of Kubernetes. "
    edits = [each for each in actions(found) if isinstance(each, EditLine)]
    assert edits == [EditLine(FSTAB, each, off + each) for each in (swap, indented)]
    assert "hunter2" not in compile_part(STEP.id, "aki0", found.parts[0])


def test_what_is_masked_stays_so() -> None:
    masked = (SwapUnit("zramswap.service", "masked", "inactive"),)
    assert isinstance(plan({SWAP: Swap((), masked)}), Nothing)


def test_a_swap_unit_of_the_owners_own_is_disabled() -> None:
    """systemctl cannot put a mask where there is a file."""
    mine = SwapUnit("mine.swap", "loaded", "inactive", "", "enabled", "/etc/systemd/system/mine.swap")
    [off] = actions(do({SWAP: Swap((), (mine,))}))
    assert off.argv == ("systemctl", "disable", "--now", "--", "mine.swap")
    assert off.undo.argv == ("systemctl", "enable", "--", "mine.swap")
    assert isinstance(plan({SWAP: Swap((), (replace(mine, file="disabled"),))}), Nothing)


# ---------------------------------------------------------------- kernel


def test_settings_now_and_after_a_boot() -> None:
    values = {**SETTINGS, "net.ipv4.ip_forward": "0"}
    found = do({NODE_KERNEL: replace(KERNEL, settings=values)})
    assert found.why == "net.ipv4.ip_forward is not 1"
    assert commands(found) == [f"sysctl -qp {SYSCTL_FILE}"]
    assert actions(found)[0] == OnUndo(Run(("sysctl", "-qw", "net.ipv4.ip_forward=0")))
    unsaid = do({NODE_FILES: files(**{SYSCTL_FILE: None, MODULES_FILE: None})})
    assert unsaid.why == "nothing says for the next boot that modules and settings of the kernel stay so"
    assert commands(unsaid) == []


def test_modules() -> None:
    found = do({NODE_KERNEL: replace(KERNEL, overlay=False, settings={"net.ipv4.ip_forward": "1"})})
    assert found.why.startswith("the kernel has not loaded overlay and br_netfilter; net.bridge.")
    assert commands(found)[:2] == ["modprobe overlay", "modprobe br_netfilter"]


# ---------------------------------------------------------------- names


def test_its_own_name() -> None:
    found = do({NODE_NAMES: NodeNames("debian", "debian.home.arpa")})
    assert found.why == "it calls itself debian"
    [rename] = actions(found)
    assert rename.argv == ("hostnamectl", "set-hostname", "aki0")
    assert rename.undo.argv == ("hostnamectl", "set-hostname", "debian.home.arpa")
    assert isinstance(plan({NODE_NAMES: NodeNames("aki0.home.arpa", "aki0.home.arpa")}), Nothing)
    assert isinstance(plan({NODE_NAMES: NodeNames("other", "other"), KUBEADM: Kubeadm(joined=True)}), Nothing)


def test_the_names_of_all_nodes() -> None:
    found = do({NODE_FILES: files(**{HOSTS: "127.0.0.1 localhost\n"})})
    assert found.why == "/etc/hosts does not lead to aki0, aki1"
    gone = OWN_HOSTS.replace(END, f"192.168.182.139 aki9\n{END}")
    assert do({NODE_FILES: files(**{HOSTS: gone})}).why == "/etc/hosts leads to what is no longer in cluster.yaml"
    [block] = actions(found)
    assert block.argv == ("put_block", HOSTS, BEGIN, END, "192.168.182.130 aki0", "192.168.182.131 aki1")
    assert block.undo.argv == ("put_block", HOSTS, BEGIN, END)
    older = f"127.0.0.1 localhost\n{BEGIN}\n10.0.0.1 aki0\n{END}\n::1 localhost\n"
    [changed] = actions(do({NODE_FILES: files(**{HOSTS: older})}))
    assert changed.undo.argv == ("put_block", HOSTS, BEGIN, END, "10.0.0.1 aki0")


def test_the_name_of_the_api() -> None:
    name = "k8s-api.home.arpa"
    wanted = cluster(endpoint=name)
    found = do({leads_to(name): ()}, wanted)
    assert commands(found)[0].endswith(f"192.168.182.130 {name}")
    assert any(f"No name server knows {name}" in note for note in found.notes)
    assert isinstance(plan({leads_to(name): ("192.168.182.130",)}, wanted), Nothing)
    ours = f"{BEGIN}\n{LINES}192.168.182.130 {name}\n{END}\n"
    kept = {leads_to(name): ("192.168.182.130",), NODE_FILES: files(**{HOSTS: ours})}
    assert isinstance(plan(kept, wanted), Nothing)
    assert isinstance(plan(wanted=cluster(endpoint="192.168.182.200")), Nothing)


def test_an_address_that_only_the_node_knows() -> None:
    """`ssh: aki1` is an alias of the owner's; the default route tells where it is."""
    alias = cluster(
        {"name": "aki0", "role": "control-plane", "ssh": "owner@192.168.182.130"},
        {"name": "aki1", "role": "worker", "ssh": "aki1"},
    )
    ctx = context(alias, {NODE_FILES: files(**{HOSTS: ""})})
    there = {LINKS: links("192.168.182.77"), ROUTES: (Route("default", "192.168.182.1", "enp1s0"),)}
    asked = Context(alias, {**ctx.seen, **{("aki1", fact.id): Known(value) for fact, value in there.items()}})
    found = STEP.plan(asked, "aki0")
    assert isinstance(found, Do)
    assert commands(found)[0].endswith("192.168.182.130 aki0 192.168.182.77 aki1")
    silent = STEP.plan(ctx, "aki0")
    assert isinstance(silent, Do)
    assert commands(silent)[0].endswith("192.168.182.130 aki0")


def test_cloud_init_is_kept_from_etc_hosts() -> None:
    found = do({NODE_NAMES: NodeNames("aki0", "aki0", rewritten=True)})
    assert found.why == "cloud-init writes /etc/hosts anew at each boot"
    assert written(found, CLOUD_FILE) == STAYS


def test_network_manager_leaves_pods_alone() -> None:
    runs = {UNITS: {"NetworkManager.service": Unit("loaded", "active", "enabled")}}
    found = do(runs)
    assert found.why == "NetworkManager would manage the interfaces of pods"
    assert "interface-name:cali*;" in written(found, NETWORK_MANAGER_FILE)
    assert isinstance(plan({**runs, NODE_FILES: files(**{NETWORK_MANAGER_FILE: CONTENT})}), Nothing)


# ---------------------------------------------------------------- a firewall

LAN = "192.168.182.0/24"


def test_ufw_is_opened_for_nodes_and_pods() -> None:
    found = do({UFW: Ufw(True, True, True)})
    assert found.why == "its firewall (ufw) keeps the other nodes out"
    said = commands(found)
    assert said[0] == (
        f"ufw allow proto tcp from {LAN} to any port "
        "10250,10256,30000:32767,6443,2379:2380,10257,10259,179,5473 comment homek8s: nodes and pods"
    )
    assert said[1].startswith(f"ufw allow proto udp from {LAN} to any port 30000:32767,4789 ")
    assert said[2].startswith("ufw allow proto tcp from 10.244.0.0/16 ")
    assert said[-1] == "ufw route allow from 10.244.0.0/16 comment homek8s: pods"
    assert all(action.undo.argv[:2] in (("ufw", "delete"), ("ufw", "route")) for action in actions(found))


def test_ufw_that_is_open_already() -> None:
    anywhere = [UfwRule("allow", "any", "any", source="192.168.0.0/16"), UfwRule("allow", source="10.0.0.0/8")]
    route = UfwRule("route:allow", source="10.244.0.0/16")
    assert isinstance(plan({UFW: Ufw(True, True, True, (*anywhere, route))}), Nothing)
    some = UfwRule("allow", "tcp", "30000:32767,10250,10256", source=LAN)
    said = commands(do({UFW: Ufw(True, True, True, (some, anywhere[1], route))}))
    assert said[0].startswith(f"ufw allow proto tcp from {LAN} to any port 6443,2379:2380,")
    assert isinstance(plan({UFW: Ufw(True)}), Nothing)
    accepting = Ufw(True, True, True, input_policy="ACCEPT", forward_policy="ACCEPT")
    assert isinstance(plan({UFW: accepting}), Nothing)


def test_a_worker_lets_in_less() -> None:
    assert "6443" not in ports(cluster(), "aki1")["tcp"]
    assert spelled(cluster(cni="cilium"), "aki1") == "10250, 10256, 30000-32767, 4240 (TCP) and 30000-32767, 8472 (UDP)"


def filtering(*tables: str, hooks: tuple[str, ...] = ("input",), tool: str = "nft") -> dict[AnyFact[Any], object]:
    return {NODE_FIREWALL: NodeFirewall(filtering=tuple(Filtering(each, hooks, tool) for each in tables))}


def test_other_firewalls_are_told_of() -> None:
    found = plan(filtering("inet filter", "ip filter"))
    assert isinstance(found, Nothing)
    assert "nftables' table inet filter filters on aki0, and is left to you: from 192.168.182.0/24" in found.why
    assert "6443" in found.why
    assert "forward" not in found.why
    beside = plan({**filtering("ip filter", "ip6 filter"), UFW: Ufw(True, True, True)})
    assert not any("nftables" in note for note in beside.notes)  # type: ignore[union-attr]
    assert "firewalld filters on aki0" in plan({NODE_FIREWALL: NodeFirewall(firewalld=True)}).why
    opened = ("10250/tcp", "10256/tcp", "30000-32767/tcp", "6443/tcp", "2379-2380/tcp", "10257/tcp", "10259/tcp")
    pods = ("179/tcp", "5473/tcp", "30000-32767/udp", "4789/udp")
    silent = plan({NODE_FIREWALL: NodeFirewall(True, (*opened, *pods))})
    assert "firewalld" not in silent.why


def test_what_filters_forwarded_packets_is_told_of() -> None:
    said = plan(filtering("ip filter", hooks=("forward",), tool="iptables-legacy")).why
    assert said.endswith(
        " iptables-legacy's table filter filters on aki0, and is left to you: it must forward what is from pods."
    )
    both = plan(filtering("inet filter", hooks=("input", "forward"))).why
    assert both.endswith(" and 30000-32767, 4789 (UDP), and forward what is from pods.")
    assert "left to you" not in plan(filtering("ip6 filter", hooks=("input", "forward"))).why


@pytest.mark.parametrize("cni", [{"manifest": "flannel.yaml"}, "none"])
def test_ports_of_a_pod_network_of_ones_own_are_the_owners_to_open(cni: object) -> None:
    own = cluster(cni=cni)
    said = "which ports your pod network uses between nodes is not known here: open them there yourself"
    assert any(said in note for note in do({UFW: Ufw(True, True, True)}, own).notes)
    assert said in plan(filtering("inet filter"), own).why
    assert said not in plan(wanted=own).why
    assert said not in plan(filtering("inet filter", hooks=("forward",)), own).why
    assert said not in plan(filtering("inet filter")).why


# ---------------------------------------------------------------- containerd


def test_dockers_containerd_is_made_to_serve() -> None:
    config = '# a comment\ndisabled_plugins = ["cri"]\n'
    there = replace(RUNS, config=config, effective=Effective(("cri",)))
    found = do({CONTAINERD: there})
    assert "serves no Kubernetes" in found.why
    assert "# a comment\ndisabled_plugins = []" in written(found, CONFIG)
    assert not [action for action in actions(found) if isinstance(action, Install)]
    first, *_, restart, wait = actions(found)
    assert isinstance(first, OnUndo)
    assert restart.argv == ("systemctl", "restart", "containerd.service")
    assert wait.argv == ("containerd_serves", "60")
    assert any("containers that run go on" in note for note in found.notes)


def test_it_reads_its_file_again() -> None:
    found = do({CONTAINERD: replace(RUNS, stale=True)})
    assert commands(found) == ["systemctl restart containerd.service", "containerd_serves 60"]
    stopped_one = do({CONTAINERD: replace(RUNS, active=False, enabled=False)})
    assert commands(stopped_one)[:2] == ["systemctl enable containerd.service", "systemctl restart containerd.service"]
    backs = [action.undo.argv for action in actions(stopped_one) if isinstance(action, Run) and action.undo]
    assert backs == [("systemctl", "disable", "containerd.service"), ("systemctl", "stop", "containerd.service")]


def test_one_that_runs_and_does_not_serve() -> None:
    trouble = "failed to create fsnotify watcher: too many open files"
    found = do({CONTAINERD: replace(RUNS, serves=False, trouble=trouble)})
    assert found.why == f"containerd runs, and does not serve Kubernetes ({trouble})"
    assert commands(found) == ["systemctl restart containerd.service", "containerd_serves 60"]


def test_a_node_that_runs_is_told_of_the_interruption() -> None:
    found = do({CONTAINERD: replace(RUNS, stale=True), KUBEADM: Kubeadm(joined=True)})
    assert found.risk is Risk.BRIEF_INTERRUPTION


def test_a_file_that_is_not_edited() -> None:
    broken = replace(RUNS, config="version = 2\n[\n", effective=None, complaint="unexpected token")
    plan_ = plan({CONTAINERD: broken})
    assert stopped(plan_) == ["containerd-config"]
    assert stopped(plan({CONTAINERD: replace(RUNS, masked=True)})) == ["containerd-masked"]


def test_who_makes_control_groups() -> None:
    wanted = cluster(version="1.20")
    other = {KUBE_PACKAGES: replace(READY, versions=dict.fromkeys(VERSIONS, "1.20.2"))}
    cgroupfs = {CONTAINERD: replace(RUNS, effective=replace(FITTED, systemd_cgroup=False))}
    assert isinstance(plan({NODE_KERNEL: replace(KERNEL, unified=False), **other}, wanted), Nothing)
    running = {NODE_KERNEL: replace(KERNEL, kubelet_driver="cgroupfs")}
    assert isinstance(plan({**running, **cgroupfs}), Nothing)
    found = do(cgroupfs)
    assert found.why == "containerd does not make control groups by systemd"
    assert any("both make control groups by systemd" in note for note in found.notes)


def test_the_first_control_plane_decides_for_all() -> None:
    """The kubelets of a cluster share one configuration."""
    ctx = context(said={NODE_KERNEL: replace(KERNEL, kubelet_driver="cgroupfs")})
    of_worker = {("aki1", fact): seen for (_, fact), seen in ctx.seen.items()}
    of_worker["aki1", NODE_KERNEL.id] = Known(KERNEL)
    of_worker["aki1", NODE_NAMES.id] = Known(NodeNames("aki1", "aki1"))
    found = STEP.plan(Context(ctx.cluster, {**ctx.seen, **of_worker}), "aki1")
    assert isinstance(found, Do)
    assert found.why == "containerd does not make control groups by cgroupfs"


def test_the_image_for_pods_is_from_the_mirror() -> None:
    mirror = "home.arpa:5000/k8s"
    wanted = cluster(images=mirror)
    images = KubeImages((f"{mirror}/pause:3.10.1",), (f"{mirror}/pause:3.10.1",))
    found = do({kube_images("1.36", mirror): images}, wanted)
    assert found.why == f"containerd does not take {mirror}/pause:3.10.1 for pods"
    assert f'sandbox_image = "{mirror}/pause:3.10.1"' in written(found, CONFIG)
    there = replace(RUNS, effective=replace(FITTED, sandbox=f"{mirror}/pause:3.9"))
    assert isinstance(plan({CONTAINERD: there, kube_images("1.36", mirror): images}, wanted), Nothing)


def test_where_nothing_can_be_fetched_the_image_that_is_there_is_taken() -> None:
    cut_off = KubeImages(IMAGES, IMAGES[2:], "registry.k8s.io", answered=False)
    other = replace(RUNS, effective=replace(FITTED, sandbox="registry.k8s.io/pause:3.8"))
    assert stopped(plan({CONTAINERD: other, kube_images("1.36"): cut_off})) == ["no-images"]
    enough = KubeImages(IMAGES, IMAGES, "registry.k8s.io", answered=False)
    assert do({CONTAINERD: other, kube_images("1.36"): enough}).why.startswith(
        "containerd does not take registry.k8s.io"
    )


# ---------------------------------------------------------------- Kubernetes's packages


def test_an_exact_version_from_a_mirror() -> None:
    packages = {"repository": "https://mirror.home.arpa/deb", "key": "https://mirror.home.arpa/key.asc"}
    found = do({KUBE_PACKAGES: KubePackages()}, cluster(version="1.36.4", packages=packages))
    assert [a.packages for a in actions(found) if isinstance(a, Install)] == [
        ("kubelet=1.36.4-*", "kubeadm=1.36.4-*", "kubectl=1.36.4-*")
    ]
    assert "https://mirror.home.arpa/deb/ /" in written(found, LIST)
    assert commands(found)[0] == f"kube_key https://mirror.home.arpa/key.asc {KEYRING}"
    assert "kube_there 1.36.4-* kubelet kubeadm kubectl" in commands(found)


def test_a_repository_that_a_file_of_the_owners_names_is_not_named_twice() -> None:
    """With another key for it, apt would read no list at all."""
    mine = ("/etc/apt/sources.list.d/kubernetes.list", "https://pkgs.k8s.io/core:/stable:/v1.36/deb/")
    found = do({KUBE_PACKAGES: KubePackages(sources=(mine,))})
    assert commands(found)[0] == "packages_refresh"
    assert LIST not in [a.path for a in actions(found) if isinstance(a, WriteFile)]
    assert any(f"/v1.36/deb/, which {mine[0]} names already" in note for note in found.notes)
    for other in ((LIST, mine[1]), (mine[0], mine[1].replace("36", "35"))):
        assert LIST in [
            a.path for a in actions(do({KUBE_PACKAGES: KubePackages(sources=(other,))})) if isinstance(a, WriteFile)
        ]


def test_a_key_that_is_a_file_of_the_owners() -> None:
    wanted = cluster(packages={"repository": "https://mirror.home.arpa/deb/", "key": "keys/mirror.asc"})
    fact = owner_file("keys/mirror.asc")
    assert [each.id for each in STEP.facts(wanted, "aki0")[OWNER]] == [fact.id]
    ctx = context(wanted, {KUBE_PACKAGES: KubePackages()})
    with_key = Context(wanted, {**ctx.seen, (OWNER, fact.id): Known("-----BEGIN PGP PUBLIC KEY BLOCK-----")})
    found = STEP.plan(with_key, "aki0")
    assert isinstance(found, Do)
    assert written(found, f"{KEYRING}.asc").startswith("-----BEGIN PGP")
    assert commands(found)[0] == f"kube_key {KEYRING}.asc {KEYRING}"
    without = STEP.plan(Context(wanted, {**ctx.seen, (OWNER, fact.id): Known(None)}), "aki0")
    assert stopped(without) == ["no-key"]


def test_what_is_there_is_joined_by_what_fits_it() -> None:
    some = KubePackages({"kubeadm": "1.36.2", "kubelet": "1.35.1"}, ("kubeadm", "kubelet"), ("kubeadm",), service=True)
    found = do({KUBE_PACKAGES: some})
    assert [a.packages for a in actions(found) if isinstance(a, Install)] == [("kubectl=1.36.2-*",)]
    assert "apt-mark hold kubelet kubectl" in commands(found)


def test_tools_that_a_join_needs_come_also_where_its_programs_are_there() -> None:
    found = do({KUBE_PACKAGES: replace(READY, tools=("ca-certificates", "gpg"), interrupted=True)})
    assert found.why == "curl is not installed"
    assert commands(found) == ["packages_finish"]
    assert actions(found)[1:] == [Install(("curl",), refresh=True)]
    elsewhere = replace(READY, packaged=(), held=(), tools=(), apt=False)
    assert isinstance(plan({KUBE_PACKAGES: elsewhere}), Nothing), "without dpkg nobody knows what is there"


def test_held_and_started() -> None:
    loose = do({KUBE_PACKAGES: replace(READY, held=("kubeadm",), enabled=False)})
    assert loose.why == (
        "the next upgrade of the system would also upgrade kubelet, kubectl; "
        "the kubelet does not start with the machine"
    )
    assert commands(loose) == ["apt-mark hold kubelet kubectl", "systemctl enable kubelet.service"]
    by_hand = replace(READY, packaged=(), held=())
    assert isinstance(plan({KUBE_PACKAGES: by_hand}), Nothing)


@pytest.mark.parametrize(
    ("program", "version", "fits"),
    [
        ("kubeadm", "1.36.0", True),
        ("kubeadm", "1.35.9", False),
        ("kubeadm", "1.37.0", False),
        ("kubelet", "1.33.1", True),
        ("kubelet", "1.32.1", False),
        ("kubelet", "1.37.0", False),
        ("kubectl", "1.37.0", True),
        ("kubectl", "1.34.0", False),
    ],
)
def test_skew(program: str, version: str, fits: bool) -> None:
    found = plan({KUBE_PACKAGES: replace(READY, versions={**VERSIONS, program: version})})
    if fits:
        assert isinstance(found, Nothing)
    else:
        assert stopped(found) == ["other-version"]
        assert f"aki0 has {program} {version}, and cluster.yaml asks for Kubernetes 1.36" in found.why


@pytest.mark.parametrize(("joined", "fits"), [(False, False), (True, True)])
def test_kubeadm_was_stricter_than_an_api_server(joined: bool, fits: bool) -> None:
    """Up to 1.28 it made nodes of kubelets of its own minor version and the one before only."""
    versions = {"kubelet": "1.26.3", "kubeadm": "1.28.1", "kubectl": "1.28.1"}
    said = {KUBE_PACKAGES: replace(READY, versions=versions), KUBEADM: Kubeadm(joined=joined, finished=joined)}
    found = plan(said, cluster(version="1.28"))
    assert isinstance(found, Nothing if fits else Refused), found


@pytest.mark.parametrize(("version", "known"), [("1.37", True), ("1.37.2", True), ("1.38", False), ("1.99", False)])
def test_a_version_that_the_wizard_does_not_know_is_told_of(version: str, known: bool) -> None:
    """It is not refused: there will be newer ones."""
    found = do({KUBE_PACKAGES: KubePackages(), CONTAINERD: replace(RUNS, version="2.0.1")}, cluster(version=version))
    said = f"Kubernetes {version} is newer than all that the wizard knows, which ends with 1.37"
    assert any(note.startswith(said) for note in found.notes) is not known


def test_packages_that_cannot_be_installed() -> None:
    assert stopped(plan({KUBE_PACKAGES: KubePackages(apt=False)})) == ["foreign"]
    assert stopped(plan({KUBE_PACKAGES: replace(READY, service=False)})) == ["no-service"]
    cut_off = do({KUBE_PACKAGES: KubePackages(interrupted=True)})
    assert commands(cut_off)[0] == "packages_finish"


# ---------------------------------------------------------------- ranges

DEFAULT = Route("default", "192.168.182.1", "enp1s0")


@pytest.mark.parametrize(
    ("route", "key"),
    [
        (Route("10.244.7.0/24", "", "enp1s0"), "kubernetes.pod_cidr"),
        (Route("10.0.0.0/8", "10.8.0.1", "wg0"), "kubernetes.pod_cidr"),
        (Route("10.100.3.5", "192.168.182.9", "enp1s0"), "kubernetes.service_cidr"),
        (Route("10.96.0.0/16", "", "docker0"), "kubernetes.service_cidr"),
    ],
)
def test_a_range_that_a_node_has_a_route_into(route: Route, key: str) -> None:
    found = plan({ROUTES: (DEFAULT, route)})
    assert isinstance(found, Refused)
    assert (stopped(found)[0], found.findings[0].where) == ("range-taken", key)
    assert f"aki0 has a route to {route.to} on {route.device}, which overlaps " in found.why
    member = {ROUTES: (DEFAULT, route), KUBEADM: Kubeadm(joined=True)}
    assert isinstance(plan(member), Nothing), "of a node the ranges are settled"


def test_routes_that_take_no_range() -> None:
    """To elsewhere, out of the house, to pods: those of a pod network may be there after a reset."""
    routes = (
        Route("192.168.182.0/24", "", "enp1s0"),
        Route("fd00::/64", "", "enp1s0"),
        Route("0.0.0.0/1", "10.8.0.1", "tun0"),
        Route("10.244.1.0/24", "", "cni0"),
        Route("10.244.2.64/26", "192.168.182.131", "enp1s0"),
        Route("10.244.0.64/26", "", ""),
    )
    ctx = context(said={ROUTES: (DEFAULT, *routes)})
    there = {("aki1", LINKS.id): Known(links("192.168.182.131"))}
    assert isinstance(STEP.plan(Context(ctx.cluster, {**ctx.seen, **there}), "aki0"), Nothing)


# ---------------------------------------------------------------- what only the owner can put right


def test_control_groups_and_their_memory() -> None:
    assert stopped(plan({NODE_KERNEL: replace(KERNEL, unified=False)})) == ["cgroup-v1"]
    pi = stopped(plan({NODE_KERNEL: replace(KERNEL, memory_groups=False)}))
    assert pi == ["no-memory-groups"]
    assert stopped(plan({NODE_KERNEL: replace(KERNEL, systemd=False), CONTAINERD: RUNS}))[0] == "no-systemd"


@pytest.mark.parametrize(
    ("runtime", "version", "fits"), [("1.7.24", "1.37", True), ("1.7.24", "1.38", False), ("1.5.9", "1.27", False)]
)
def test_a_containerd_that_is_too_old(runtime: str, version: str, fits: bool) -> None:
    versions = dict.fromkeys(VERSIONS, f"{version}.0")
    found = plan(
        {CONTAINERD: replace(RUNS, version=runtime), KUBE_PACKAGES: replace(READY, versions=versions)},
        cluster(version=version),
    )
    if fits:
        assert isinstance(found, Nothing)
    else:
        assert stopped(found) == ["containerd-too-old"]
        assert runtime in found.why


def test_a_small_control_plane() -> None:
    small = {NODE_KERNEL: replace(KERNEL, processors=1, memory=1024**3)}
    found = plan(small)
    assert stopped(found) == ["small-guest"]
    assert found.why.startswith("aki0 has 1 processor and 1.0 GiB of memory")
    accepted = plan(small, cluster(accept=("small-guest",)))
    assert isinstance(accepted, Nothing)
    assert "small for a control plane (accepted" in accepted.why


def test_a_disk_that_was_not_measured() -> None:
    found = do({KUBE_PACKAGES: KubePackages()})
    assert "How fast the disk of aki0 is will be measured when this is applied." in found.notes
    ctx = context()
    for seen, said in ((Unseen("not measured yet"), ""), (Unseen("needs Perl"), "could not be measured: needs Perl.")):
        measured = Context(ctx.cluster, {**ctx.seen, ("aki0", ETCD_FSYNC.id): seen})
        assert isinstance(as_it_is := STEP.plan(measured, "aki0"), Nothing)
        assert (said or "the names of all nodes.") in as_it_is.why
        assert ("measured" in as_it_is.why) is bool(said)


def test_a_slow_disk() -> None:
    slow = {ETCD_FSYNC: Fsync("/var/lib/etcd", 1000, 3.0, 55.0)}
    assert stopped(plan(slow)) == ["slow-fsync"]
    assert isinstance(plan(slow, cluster(accept=("slow-fsync",))), Nothing)
    assert "are safe within 12.0 ms" in plan({ETCD_FSYNC: Fsync("/", 10, 1.0, 12.0)}).why


def test_clocks() -> None:
    ahead, behind = plan({NODE_CLOCK: NodeClock(True, 61.2)}), plan({NODE_CLOCK: NodeClock(False, -7200.0)})
    assert stopped(ahead) == stopped(behind) == ["clock-skew"]
    assert ahead.why.startswith("the clock of aki0 is 61 s or more ahead of this machine's")
    assert behind.why.startswith("the clock of aki0 is 7200 s or more behind this machine's")
    assert isinstance(plan({NODE_CLOCK: NodeClock(True, -4.0)}), Nothing)
    assert "is not synchronised" in plan({NODE_CLOCK: NodeClock(False)}).why
    assert "keeps its clock right" in plan({NODE_CLOCK: NodeClock(None)}).why


def test_images_that_cannot_be_had() -> None:
    complaint = "curl: (6) Could not resolve host"
    found = plan({kube_images("1.36"): KubeImages(IMAGES, IMAGES[1:], "registry.k8s.io", complaint=complaint)})
    assert stopped(found) == ["no-images"]
    assert f"aki0 lacks {IMAGES[0]}, and registry.k8s.io does not answer it ({complaint})" in found.why
    nothing_yet = KubeImages(registry="registry.k8s.io", complaint=complaint)
    early = do({kube_images("1.36"): nothing_yet, KUBE_PACKAGES: KubePackages()})
    assert any("registry.k8s.io does not answer aki0" in note for note in early.notes)


# ---------------------------------------------------------------- the way back


def test_undo_is_not_for_a_node_that_runs() -> None:
    back = (TakeBack("apt-mark unhold kubelet"),)
    assert STEP.undo is not None
    found = STEP.undo(context(said={KUBEADM: Kubeadm(joined=True, pki=True)}), "aki0", back)
    assert stopped(found) == ["still-a-node"]
    plain = STEP.undo(context(), "aki0", back)
    assert isinstance(plain, Do)
    assert plain.parts[0].actions == back
