"""What BIRD says of its sessions: 2.0 and 2.17 as they were heard, 1.6 in the layout of its source."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from wizard.facts.bird import SPEAKERS, Session, Speaker, Speakers, parse_protocols
from wizard.model import FactError, Output

FIXTURES = Path(__file__).parent / "fixtures" / "bird"

BIRD_1_6 = """\
BIRD v0.3.3+birdv1.6.8 ready.
name     proto    table    state  since       info
static1  Static   master   up     07:05:27    \n\
kernel1  Kernel   master   up     07:05:27    \n\
Mesh_192_168_190_101 BGP      master   up     07:05:29    Established   \n\
  Description:    Connection to BGP peer
  Preference:     100
  Input filter:   ACCEPT
  Output filter:  calico_export_to_bgp_peers
  Routes:         1 imported, 1 exported, 1 preferred
  BGP state:          Established
    Neighbor address: 192.168.190.101
    Neighbor AS:      64512
    Neighbor ID:      192.168.190.101
    Session:          internal multihop AS4 add-path-rx add-path-tx
    Source address:   192.168.190.100
    Hold timer:       177/240

Mesh_192_168_190_102 BGP      master   start  07:05:27    Active        Socket: Host is unreachable
  Description:    Connection to BGP peer
  Preference:     100
  BGP state:          Active
    Neighbor address: 192.168.190.102
    Neighbor AS:      64512
    Connect delay:    3/5
    Last error:       Socket: Host is unreachable
"""


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def said(*lines: str, rc: int = 0, err: bytes = b"") -> Speakers:
    return SPEAKERS.parse(Output(rc, "\n".join(lines).encode(), err))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (BIRD_1_6, "Socket: Host is unreachable"),
        *(((FIXTURES / f"{version}.txt").read_text(), "Socket: No route to host") for version in ("2.0.12", "2.17.5")),
    ],
)
def test_sessions_of_every_bird(text: str, error: str) -> None:
    assert parse_protocols(text) == (
        Session("Mesh_192_168_190_101", "Established", "192.168.190.101"),
        Session("Mesh_192_168_190_102", "Active", "192.168.190.102", error),
    )


def test_a_link_local_neighbor_and_one_without_details() -> None:
    one = "Mesh_x BGP --- up 1 Established\n  BGP state:          Established\n    Neighbor address: fe80::1%eth0\n"
    assert parse_protocols(one + "Mesh_y BGP --- start 1 Idle\n") == (
        Session("Mesh_x", "Established", "fe80::1"),
        Session("Mesh_y", "start", ""),
    )


def test_speakers_of_a_cluster() -> None:
    text = (FIXTURES / "2.0.12.txt").read_text()
    log = "bird: BGP: Unexpected connect from unknown address 192.168.182.100 (port 41234)\n" * 2
    found = said(
        f"kube-system|calico-node-a|aki0|Running|{b64(text)}|{b64(log)}",
        f"kube-system|calico-node-b|aki1|Running|{b64('backend=vxlan')}|",
        "kube-system|calico-node-c|aki2|Pending||",
        "end",
    )
    first, second, third = found.all
    assert (first.router, first.backend, len(first.sessions)) == ("192.168.190.100", "bird", 2)
    assert first.strangers == ("192.168.182.100",)
    assert (second.answers, second.backend) == (False, "vxlan")
    assert third == Speaker("aki2", "kube-system/calico-node-c", running=False, answers=False)


def test_no_cluster_no_pods_and_no_api() -> None:
    assert said("none") == Speakers(there=False)
    assert said("end") == Speakers()
    for rc in (0, 1):
        with pytest.raises(FactError, match="Kubernetes API does not answer: refused"):
            said("", rc=rc, err=b"refused")
