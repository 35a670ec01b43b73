"""bridge.network and isolated.network: what libvirt has, what is wanted, and what guests forbid."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

import pytest

from tests.network_captured import STATIC, SUITES, cluster, context, links, seen
from wizard.actions import TakeBack, WriteFile
from wizard.cluster import Cluster
from wizard.facts.libvirt import DOMAINS, NETWORKS, Domain, Domains, Network, Networks
from wizard.facts.network import Link, Route
from wizard.facts.ours import OURS, Ours, Present, Record
from wizard.model import HYPERVISOR, Blocked, Context, Do, Nothing, Plan, Refused, Step
from wizard.script import compile_part
from wizard.stages.bridge_network import STEP as LAN
from wizard.stages.isolated import NETWORK as ISOLATED
from wizard.stages.libvirt_network import xml_file

BOTH = pytest.mark.parametrize("suite", SUITES)
KEPT = "/var/lib/homek8s-wizard/networks"
BRIDGE = cluster({"port": "enp5s0"})
RANGE = cluster(isolated={"name": "kube-isolated", "cidr": "192.168.190.0/24"})


def plan(
    step: Step, wanted: Cluster, suite: str, state: str, files: dict[str, str] | None = None, **changed: Any
) -> Plan:
    return step.plan(looked(wanted, suite, state, files, **changed), HYPERVISOR)


def looked(wanted: Cluster, suite: str, state: str, files: dict[str, str] | None = None, **changed: Any) -> Context:
    names = ("vxlan10-bridge", "kube-isolated")
    known = {f"{KEPT}/{name}{end}": None for name in names for end in (".xml", ".before.xml")} | (files or {})
    contents = {xml_file(path).id: content for path, content in known.items()}
    return context(wanted, suite, state, **contents, **changed)


def do(*args: Any, **changed: Any) -> Do:
    found = plan(*args, **changed)
    assert isinstance(found, Do), found
    script = compile_part("a.step", HYPERVISOR, found.parts[0])
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    return found


def summaries(found: Do) -> list[str]:
    return [action.summary for action in found.parts[0].actions]


def findings(found: Plan) -> list[str]:
    assert isinstance(found, Refused), found
    return [finding.id for finding in found.findings]


def networks(suite: str, state: str, **changed: dict[str, Any]) -> Networks:
    there: Networks = seen(suite, state)[NETWORKS.id]
    return Networks(tuple(replace(each, **changed.get(each.name.replace("-", "_"), {})) for each in there))


def off(suite: str, state: str) -> Domains:
    """The same guests, none of them running."""
    return Domains(tuple(replace(each, active=False, live_xml="") for each in seen(suite, state)[DOMAINS.id]))


# ---------------------------------------------------------------- defined, active, started at boot


def test_without_its_bridge_it_waits() -> None:
    found = plan(LAN, BRIDGE, "bookworm", "fresh")
    assert found == Blocked("bridge.port", "there is no bridge br0 yet")


@BOTH
def test_defined_started_and_autostarted(suite: str) -> None:
    found = do(LAN, BRIDGE, suite, "article")
    assert summaries(found) == [
        f"write {KEPT}/vxlan10-bridge.xml",
        f"virsh net-define --validate {KEPT}/vxlan10-bridge.xml",
        "virsh net-start vxlan10-bridge",
        "virsh net-autostart vxlan10-bridge",
    ]
    [file] = [action for action in found.parts[0].actions if isinstance(action, WriteFile)]
    assert "<forward mode='bridge'/>" in file.content
    assert "<bridge name='br0'/>" in file.content
    assert (
        "<uuid>69064ec7-08c9-5737-a9a1-6db877f8a0e0</uuid>" in file.content
    )  # or a second run would be a second network


@BOTH
def test_one_that_is_there_only_gets_what_it_lacks(suite: str) -> None:
    assert summaries(do(LAN, BRIDGE, suite, "guests")) == ["virsh net-autostart vxlan10-bridge"]
    there = networks(suite, "guests", vxlan10_bridge={"autostart": True})
    found = plan(LAN, BRIDGE, suite, "guests", libvirt_networks=there)
    assert found == Nothing("vxlan10-bridge over br0 is defined, active, and starts at boot")
    stopped = networks(suite, "guests", vxlan10_bridge={"active": False, "live_xml": "", "autostart": True})
    found = do(LAN, BRIDGE, suite, "guests", libvirt_networks=stopped)
    assert found.why == "vxlan10-bridge is not active"
    assert summaries(found) == ["virsh net-start vxlan10-bridge"]


def test_no_network_wanted() -> None:
    nobody = cluster()
    assert plan(LAN, nobody, "bookworm", "fresh") == Nothing("cluster.yaml asks for no bridge")
    assert plan(ISOLATED, nobody, "bookworm", "fresh") == Nothing("cluster.yaml asks for no isolated network")


def test_without_libvirt() -> None:
    found = plan(ISOLATED, RANGE, "bookworm", "fresh", libvirt_networks=Networks(daemon=False))
    assert found == Blocked("preflight.packages", "libvirt does not answer on this host")


# ---------------------------------------------------------------- redefined


@BOTH
def test_another_definition_is_kept_and_replaced_with_its_uuid(suite: str) -> None:
    there: Network = seen(suite, "guests")[NETWORKS.id].get("kube-isolated")
    found = do(ISOLATED, RANGE, suite, "guests", libvirt_domains=off(suite, "guests"))
    assert summaries(found) == [
        "on the way back: virsh net-start kube-isolated",
        f"write {KEPT}/kube-isolated.before.xml",
        f"write {KEPT}/kube-isolated.xml",
        f"virsh net-define --validate {KEPT}/kube-isolated.xml",
        "virsh net-destroy kube-isolated",
        "virsh net-start kube-isolated",
        "virsh net-autostart kube-isolated",
    ]
    before, now = [action.content for action in found.parts[0].actions if isinstance(action, WriteFile)]
    assert before == there.xml
    assert f"<uuid>{there.uuid}</uuid>" in now
    assert "stp='off' delay='0'" in now
    assert "<network ipv6='yes'>" in now
    assert "-  <bridge name='kube-isolated' stp='on' delay='0'/>" in found.notes[0]


@BOTH
def test_under_running_guests_it_is_redefined_but_not_restarted(suite: str) -> None:
    found = do(ISOLATED, RANGE, suite, "guests")
    assert not [line for line in summaries(found) if "net-destroy" in line or "net-start" in line]
    assert "kube-isolated stays as it is while these guests run: aki0." in found.notes[1]
    there: Network = seen(suite, "guests")[NETWORKS.id].get("kube-isolated")
    xml = there.xml.replace("stp='on'", "stp='off'").replace("<network>", "<network ipv6='yes'>")
    redefined = networks(suite, "guests", kube_isolated={"xml": xml, "autostart": True})
    after = plan(ISOLATED, RANGE, suite, "guests", libvirt_networks=redefined)
    assert isinstance(after, Nothing)
    assert "takes effect once they are off" in after.why


def test_a_network_that_would_be_gone_at_boot_is_made_to_last() -> None:
    live = seen("bookworm", "guests")[NETWORKS.id].get("vxlan10-bridge").live_xml
    transient = networks("bookworm", "guests", vxlan10_bridge={"xml": "", "live_xml": live})
    found = do(LAN, BRIDGE, "bookworm", "guests", libvirt_networks=transient)
    assert found.why == "vxlan10-bridge would be gone at next boot"
    assert f"virsh net-define --validate {KEPT}/vxlan10-bridge.xml" in summaries(found)


def test_guests_would_lose_their_bridge() -> None:
    other = cluster({"port": "enp5s0", "name": "br1"})
    bridge = Link("br1", "02:00:00:00:00:01", kind="bridge")
    found = plan(LAN, other, "bookworm", "guests", links=links("bookworm", "guests", bridge))
    assert findings(found) == ["in-use"]
    assert isinstance(found, Refused)
    assert "aki0 run on it" in found.findings[0].message


# ---------------------------------------------------------------- names and ranges that are taken


def test_the_name_belongs_to_somebody_else() -> None:
    foreign = Link("kube-isolated", "02:00:00:00:00:01", kind="bridge")
    assert findings(plan(ISOLATED, RANGE, "bookworm", "fresh", links=links("bookworm", "fresh", foreign))) == [
        "name-taken"
    ]
    other = Network("other", "u", False, False, "<network><name>other</name><bridge name='kube-isolated'/></network>")
    found = plan(ISOLATED, RANGE, "bookworm", "fresh", libvirt_networks=Networks((other,)))
    assert findings(found) == ["name-taken"]


def test_a_route_of_the_host_into_the_range_is_said() -> None:
    routes = (Route("192.168.190.0/25", "", "wg0"), Route("default", "192.168.182.1", "enp4s0"))
    found = do(ISOLATED, RANGE, "bookworm", "fresh", routes=routes)
    assert found.notes == ("The host has a route to 192.168.190.0/25 on wg0, which overlaps 192.168.190.0/24.",)


def test_what_undo_goes_back_to_is_written_again_where_somebody_touched_it() -> None:
    there = networks("bookworm", "guests", vxlan10_bridge={"autostart": True})
    path = f"{KEPT}/vxlan10-bridge.xml"
    note = Record("1", "bridge.network@hypervisor", "file", path, "as-written", None)
    for now in ("<network/>\n", None):
        files = {path: Present("by-hand", now)} if now else {}
        ours = Ours("machine", "boot", records=(note,), files=files, written={"as-written": "<network>1</network>\n"})
        changed = {OURS.id: ours, "libvirt_networks": there}
        found = do(LAN, BRIDGE, "bookworm", "guests", {path: now} if now else None, **changed)
        assert found.parts[0].actions == (WriteFile(path, "<network>1</network>\n", now),)


# ---------------------------------------------------------------- undo


BACK = (TakeBack("virsh net-autostart --disable kube-isolated"), TakeBack("virsh net-destroy kube-isolated"))


@BOTH
def test_undo_is_refused_while_a_guest_uses_it(suite: str) -> None:
    for domains in (seen(suite, "guests")[DOMAINS.id], off(suite, "guests")):
        ctx = looked(RANGE, suite, "guests", libvirt_domains=domains)
        assert ISOLATED.undo is not None
        found = ISOLATED.undo(ctx, HYPERVISOR, BACK)
        assert findings(found) == ["in-use"]
        assert isinstance(found, Refused)
        assert found.findings[0].where == "aki0"
    ctx = looked(RANGE, suite, "guests", libvirt_domains=Domains(()))
    assert ISOLATED.undo is not None
    done = ISOLATED.undo(ctx, HYPERVISOR, BACK)
    assert isinstance(done, Do)
    assert done.parts[0].actions == BACK


@BOTH
def test_undo_is_refused_where_somebody_redefined_it(suite: str) -> None:
    there: Network = seen(suite, "guests")[NETWORKS.id].get("kube-isolated")
    assert ISOLATED.undo is not None
    ours = {f"{KEPT}/kube-isolated.xml": there.xml.replace("stp='on'", "stp='off'")}
    ctx = looked(RANGE, suite, "guests", ours, libvirt_domains=Domains(()))
    assert findings(ISOLATED.undo(ctx, HYPERVISOR, BACK)) == ["drift"]
    halfway = ours | {f"{KEPT}/kube-isolated.before.xml": there.xml}
    ctx = looked(RANGE, suite, "guests", halfway, libvirt_domains=Domains(()))
    assert isinstance(ISOLATED.undo(ctx, HYPERVISOR, BACK), Do)


def test_undo_of_the_bridge_is_refused_while_guests_or_others_use_it() -> None:
    from wizard.stages.bridge import PORT

    goes = (TakeBack("test ! -e /sys/class/net/br0 >/dev/null 2>&1 || ip link delete dev br0 type bridge"),)
    foreign = Link("veth77", "02:00:00:00:00:77", kind="veth", master="br0")
    ctx = context(cluster({"port": "enp5s0"}), "bookworm", "guests", links=links("bookworm", "guests", foreign))
    assert PORT.undo is not None
    found = PORT.undo(ctx, HYPERVISOR, goes)
    assert isinstance(found, Refused)
    assert [finding.where for finding in found.findings] == ["aki0", "veth77"]
    stays = PORT.undo(ctx, HYPERVISOR, (TakeBack("ip link set dev enp4s0 nomaster"),))
    assert isinstance(stays, Do)
    unused = context(cluster({"port": "enp5s0", **STATIC}), "bookworm", "article")
    assert isinstance(PORT.undo(unused, HYPERVISOR, goes), Do)


def test_a_direct_use_of_the_bridge_counts() -> None:
    domain = Domain(
        "x",
        "u",
        False,
        xml="<domain><devices><interface type='bridge'><source bridge='br0'/></interface></devices></domain>",
    )
    assert domain.uses_bridge("br0")
