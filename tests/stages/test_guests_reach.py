"""guests.reach: on the LAN, started with the host, answering, and not to be taken for another machine."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.domains_captured import (
    ISOLATED_MAC,
    LAN_MAC,
    SUITES,
    cluster,
    context,
    domain,
    identity,
    networks,
    other,
    xml,
)
from wizard.actions import TakeBack, WriteFile
from wizard.cluster import Cluster
from wizard.facts.guests import ADDRESSES, UPTIMES, GuestAddresses
from wizard.facts.identity import IDENTITY
from wizard.facts.kubeadm import IS_NODE
from wizard.facts.libvirt import IO_ERROR, NETWORKS, Domain
from wizard.facts.ours import OURS, Ours, Record
from wizard.model import (
    HYPERVISOR,
    Blocked,
    Context,
    Do,
    FactError,
    Known,
    Nothing,
    Output,
    Plan,
    Refused,
    Risk,
    Unknown,
    Unseen,
)
from wizard.script import compile_part
from wizard.stages.domain_xml import Kept, kept
from wizard.stages.guests_attach import ATTACH
from wizard.stages.guests_defaults import defaults
from wizard.stages.guests_reach import REACH

BOTH = pytest.mark.parametrize("suite", SUITES)
SILENT = {"aki0": {IDENTITY: Unseen("aki0: there is no route to 192.168.182.130 port 22", unreachable=True)}}
WORKER = {"name": "aki1", "role": "worker", "ssh": "owner@192.168.182.131"}
MOVE = cluster(nic="bridge")


def plan(*domains: Domain, wanted: Cluster | None = None, **more: Any) -> Plan:
    return REACH.plan(context(wanted or cluster(), *domains, **more), "aki0")


def do(*domains: Domain, **more: Any) -> Do:
    found = plan(*domains, **more)
    assert isinstance(found, Do), found
    for part in found.parts:
        script = compile_part("guests.reach", "aki0", part)
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    return found


def commands(found: Do) -> list[str]:
    return [action.summary for part in found.parts for action in part.actions if action.summary.startswith("virsh")]


def blocked(found: Plan) -> list[str]:
    assert isinstance(found, Blocked), found
    assert found.by == "you"
    return [finding.id for finding in found.findings]


RUNS = ("bridged", "bridged.live")

# ---------------------------------------------------------------- moved, started


@BOTH
def test_all_is_well(suite: str) -> None:
    found = plan(domain(suite, *RUNS))
    assert found == Nothing("aki0 answers over SSH, sudo works, and it starts with the hypervisor.")
    renamed = plan(domain(suite, *RUNS), guests={"aki0": {IDENTITY: Known(identity(hostname="ubuntu"))}})
    assert renamed.why.endswith("It calls itself ubuntu.")


@BOTH
def test_a_macvtap_is_moved_in_place(suite: str) -> None:
    found = do(domain(suite, "macvtap"), wanted=MOVE)
    assert found.why == "aki0's first NIC is a macvtap on enp5s0"
    assert "cannot talk to each other" in found.notes[0]
    assert found.risk is Risk.NONE
    [file] = [action for action in found.parts[0].actions if isinstance(action, WriteFile)]
    assert commands(found) == [f"virsh update-device aki0 {file.path} --config", "virsh start aki0"]
    [was] = ElementTree.fromstring(xml(suite, "macvtap")).findall("./devices/interface")
    now = ElementTree.fromstring(file.content)
    for child in ("mac", "model", "address"):
        one, two = was.find(child), now.find(child)
        assert one is not None
        assert two is not None
        assert one.attrib == two.attrib
    assert (now.get("type"), [each.attrib for each in now.findall("source")]) == (
        "network",
        [{"network": "vxlan10-bridge"}],
    )


@BOTH
def test_a_running_one_is_booted_cold_with_consent(suite: str) -> None:
    live = xml(suite, "bridged.live").replace("bridge='br0'", "bridge='elsewhere'")
    text = xml(suite, "bridged").replace("bridge='br0'", "bridge='elsewhere'")
    there = Domain("aki0", "u", True, True, text, live)
    found = do(there, wanted=MOVE)
    assert found.risk is Risk.RESTARTS_MACHINE
    assert commands(found)[1:] == ["virsh shutdown aki0", "virsh start aki0"]
    assert [part.on for part in found.parts] == [HYPERVISOR, "aki0"]
    assert found.parts[1].answers_within == 600
    node = do(there, wanted=MOVE, guests={"aki0": {IDENTITY: Known(identity()), IS_NODE: Known(True)}})
    assert [each for each in node.notes if "kubectl uncordon aki0" in each] == [*{*node.notes} - {*found.notes}]
    halfway = do(Domain("aki0", "u", True, True, xml(suite, "bridged"), live), wanted=MOVE)
    assert commands(halfway) == ["virsh shutdown aki0", "virsh start aki0"]
    waits = plan(there, wanted=MOVE, facts={NETWORKS: networks(active=False)})
    assert waits == Blocked("bridge.network", "the network vxlan10-bridge is not active yet")


@BOTH
def test_left_where_it_is_it_is_explained(suite: str) -> None:
    text = xml(suite, "bridged").replace("bridge='br0'", "bridge='elsewhere'")
    found = plan(Domain("aki0", "u", True, True, text, xml(suite, "bridged.live")))
    assert isinstance(found, Nothing)
    assert "aki0's first NIC hangs in the bridge elsewhere" in found.why
    assert "`nic: bridge` in cluster.yaml moves it" in found.why


def test_autostart_and_power() -> None:
    found = do(domain("bookworm", *RUNS, autostart=False))
    assert commands(found) == ["virsh autostart aki0"]
    assert [part.on for part in found.parts] == [HYPERVISOR]
    off = do(domain("bookworm", "bridged"))
    assert (off.why, commands(off)) == ("aki0 is off", ["virsh start aki0"])
    assert "on_undo" in compile_part("guests.reach", "aki0", off.parts[0])


@pytest.mark.parametrize(
    ("noted", "goes_off"), [((), True), (("await 180 'aki0 is shut off' …",), True), (("x",), False)]
)
def test_only_a_guest_that_was_off_before_goes_off_again(noted: tuple[str, ...], goes_off: bool) -> None:
    records = tuple(Record("1", "guests.reach@aki0", "undo", line, "-", None) for line in noted)
    found = do(domain("bookworm", "bridged"), facts={OURS: Ours("machine", "boot", records=records)})
    assert ("virsh shutdown aki0" in compile_part("guests.reach", "aki0", found.parts[0])) is goes_off


# ---------------------------------------------------------------- it does not answer


def test_one_that_was_just_started_is_waited_for() -> None:
    found = plan(domain("bookworm", *RUNS), guests=SILENT, facts={UPTIMES: {"aki0": 40}})
    assert isinstance(found, Unknown)
    assert found.why == "aki0 was started 40 s ago, and does not answer yet"
    assert found.unreachable
    assert found.wait
    assert (found.wait.on, found.wait.answers_within) == ("aki0", 560)


def test_one_that_stands_still_is_not_waited_for_nor_shut_down() -> None:
    full = replace(domain("bookworm", *RUNS), paused=IO_ERROR)
    found = plan(full, guests=SILENT, facts={UPTIMES: {"aki0": 40}})
    assert blocked(found) == ["paused"]
    assert "paused (I/O error)" in found.why
    assert found.findings[0].cure == (  # type: ignore[union-attr]
        "make room on the hypervisor, its disk is most likely full (df -h); then let it go on: virsh resume aki0"
    )
    live = xml("bookworm", "bridged.live").replace("bridge='br0'", "bridge='elsewhere'")
    moved = Domain("aki0", "u", True, True, live, live, paused="user")
    assert blocked(plan(moved, wanted=MOVE)) == ["paused"]
    assert blocked(ATTACH.plan(context(cluster(), replace(full, paused="user")), "aki0")) == ["paused"]


def test_silence_is_unknown_with_what_is_known() -> None:
    found = plan(domain("bookworm", *RUNS), guests=SILENT)
    assert isinstance(found, Unknown)
    assert found.unreachable
    assert "there is no route" in found.why
    assert "virsh console aki0" in found.why
    broken = plan(domain("bookworm", *RUNS), guests={"aki0": {IDENTITY: Unseen("not root")}})
    assert broken == Unknown("identity", "not root")


def test_another_address_is_named() -> None:
    elsewhere = GuestAddresses(neighbours={LAN_MAC: (IPv4Address("192.168.182.77"),)})
    found = plan(domain("bookworm", *RUNS), guests=SILENT, facts={ADDRESSES: elsewhere})
    assert blocked(found) == ["address-changed"]
    assert "write `ssh: owner@192.168.182.77`" in found.findings[0].cure  # type: ignore[union-attr]
    bridges = ("02:42:ac:11:00:01", IPv4Address("172.17.0.1"))
    for same in (
        GuestAddresses(neighbours={LAN_MAC: (IPv4Address("192.168.182.130"),)}),
        GuestAddresses(neighbours={LAN_MAC: (IPv4Address("192.168.182.77"), IPv4Address("192.168.182.130"))}),
        GuestAddresses(agent={"aki0": (bridges,)}),
        GuestAddresses(agent={"aki0": ((ISOLATED_MAC, IPv4Address("192.168.190.100")), bridges)}),
    ):
        assert isinstance(plan(domain("bookworm", *RUNS), guests=SILENT, facts={ADDRESSES: same}), Unknown)


# ---------------------------------------------------------------- who answers


def test_another_machine_answers() -> None:
    stranger = identity("aki1", product_uuid="uuid of aki1", macs=("52:54:00:a0:00:31",))
    found = plan(
        domain("bookworm", *RUNS), other("aki1", "52:54:00:a0:00:31"), guests={"aki0": {IDENTITY: Known(stranger)}}
    )
    assert isinstance(found, Refused)
    assert found.why == "owner@192.168.182.130 leads to aki1, not to aki0"


@pytest.mark.parametrize(
    ("shared", "finding"),
    [
        ({"machine_id": "id of aki0"}, "same-machine-id"),
        ({"hostname": "aki0"}, "same-hostname"),
        ({"macs": (LAN_MAC,)}, "same-mac"),
        ({"product_uuid": "00000000-0000-4000-8000-0000000000a0"}, "same-product-uuid"),
    ],
)
def test_two_that_could_be_taken_for_one(shared: dict[str, Any], finding: str) -> None:
    second = identity("aki1", **{"product_uuid": "u1", "macs": ("52:54:00:a0:00:31",)} | shared)
    said = {"aki0": {IDENTITY: Known(identity())}, "aki1": {IDENTITY: Known(second)}}
    found = plan(domain("bookworm", *RUNS), wanted=cluster(WORKER), guests=said)
    assert blocked(found) == [finding]
    assert "aki0 and aki1" in found.why  # type: ignore[union-attr]
    assert found.findings[0].where == "aki1"  # type: ignore[union-attr]
    alone = {"aki0": said["aki0"], "aki1": {IDENTITY: Unseen("off", unreachable=True)}}
    assert isinstance(plan(domain("bookworm", *RUNS), wanted=cluster(WORKER), guests=alone), Nothing)


def test_a_mac_in_two_domains_is_said_before_one_is_started() -> None:
    found = plan(domain("bookworm", "bridged"), other("clone", LAN_MAC))
    assert blocked(found) == ["same-mac"]


def test_identity_is_read_as_root_alone() -> None:
    text = b"uid=0\nhostname=aki0\nmachine=abc\nuuid=0000-A0\nboot=b\nmacs=52:54:00:A0:00:10 52:54:00:a0:00:20\n"
    found = IDENTITY.parse(Output(0, text))
    assert (found.hostname, found.product_uuid) == ("aki0", "0000-a0")
    assert found.macs == ("52:54:00:a0:00:10", "52:54:00:a0:00:20")
    with pytest.raises(FactError, match="root"):
        IDENTITY.parse(Output(0, text.replace(b"uid=0", b"uid=1000")))
    assert UPTIMES.parse(Output(0, b"aki0\t963\ndriver\t\n")) == {"aki0": 963}


# ---------------------------------------------------------------- the way back, and the form


def undo(ctx: Context, *lines: str) -> Plan:
    assert REACH.undo is not None
    return REACH.undo(ctx, "aki0", tuple(map(TakeBack, lines)))


def test_undo_says_what_waits_for_a_cold_boot() -> None:
    there = context(cluster(), domain("bookworm", *RUNS))
    [note] = undo(there, "define_again aki0 /kept").notes  # type: ignore[union-attr]
    assert "goes back when aki0 is shut down and started" in note
    [note] = undo(there, "test || virsh shutdown aki0", "define_again aki0 /kept").notes  # type: ignore[union-attr]
    assert note == "aki0 was off before, so it is shut down."
    node = context(cluster(), domain("bookworm", *RUNS), guests={"aki0": {IS_NODE: Known(True)}})
    [_, pods] = undo(node, "test || virsh shutdown aki0").notes  # type: ignore[union-attr]
    assert pods.startswith("aki0 is a node, and its pods stop meanwhile.")
    drifted = context(
        cluster(),
        domain("bookworm", *RUNS),
        facts={kept("aki0", "guests.reach"): Kept(True, xml("bookworm", "macvtap"))},
    )
    assert isinstance(undo(drifted, "define_again aki0 /kept"), Refused)


def test_of_a_guest_that_is_gone_only_what_was_kept_is_taken_away() -> None:
    lines = ("await 180 'aki0 is shut off' sh -c …", "virsh autostart --disable aki0", "define_again aki0 /kept")
    found = undo(context(cluster()), *lines)
    assert isinstance(found, Do)
    assert [action.summary for action in found.parts[0].actions] == ["define_again aki0 /kept"]


def test_what_a_form_offers() -> None:
    known = GuestAddresses(agent={"aki0": ((LAN_MAC, IPv4Address("192.168.182.77")),)})
    offered = defaults(context(cluster(WORKER), domain("bookworm", *RUNS), facts={ADDRESSES: known}))
    assert [each.value for each in offered["guests[0].ssh"]] == ["owner@192.168.182.77"]
    assert [each.value for each in offered["guests[0].isolated_address"]] == ["192.168.190.130"]
    assert [each.value for each in offered["guests[1].isolated_address"]] == ["192.168.190.131"]
    assert "guests[1].ssh" not in offered
