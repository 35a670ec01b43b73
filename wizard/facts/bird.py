"""BGP between nodes, as the BIRD inside each calico-node says (DOMAIN S13).

Calico had BIRD 1.6 up to 3.32 and has BIRD 3 since; Debian's is BIRD 2. What a session says of itself has the same
words in all three (proto/bgp/bgp.c, `bgp_show_proto_info`).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from wizard.facts.kube_nodes import ADMIN, KUBECTL
from wizard.model import Fact, FactError, Output

ESTABLISHED = "Established"
STRANGER = "Unexpected connect from unknown address"
"""What BIRD logs when a peer's connection comes from an address that is no peer's."""


@dataclass(frozen=True)
class Session:
    """With one peer: `state` as BGP names it, `error` the last one."""

    name: str
    state: str
    neighbor: str
    error: str = ""

    @property
    def established(self) -> bool:
        return self.state == ESTABLISHED


@dataclass(frozen=True)
class Speaker:
    """The calico-node of one node. `answers` is False where no BIRD answers in it."""

    node: str
    pod: str
    """NAMESPACE/NAME."""
    running: bool = True
    answers: bool = True
    backend: str = "bird"
    """What Calico routes with: bird, vxlan or none."""
    router: str = ""
    """The address that it names as its own."""
    sessions: tuple[Session, ...] = ()
    strangers: tuple[str, ...] = ()
    """Addresses that were no peer's, from which somebody tried to connect lately."""


@dataclass(frozen=True)
class Speakers:
    """`there` is False where the asked machine has no cluster."""

    all: tuple[Speaker, ...] = ()
    there: bool = True


def parse_protocols(text: str) -> tuple[Session, ...]:
    """From `birdcl show protocols all`: the protocols of the kind BGP."""
    blocks = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    return tuple(_session(block) for block in blocks if re.match(r"\S+\s+BGP\s", block))


def _session(block: str) -> Session:
    said = dict(re.findall(r"^ +(BGP state|Neighbor address|Last error): +(.*?) *$", block, re.MULTILINE))
    neighbor = said.get("Neighbor address", "").partition("%")[0]  # fe80::1%eth0
    state = said.get("BGP state") or block.splitlines()[0].split()[3]
    return Session(block.split()[0], state, neighbor, said.get("Last error", ""))


def _speakers(output: Output) -> Speakers:
    if output.text.strip() == "none":
        return Speakers(there=False)
    lines = output.text.splitlines()
    if output.rc or "end" not in lines:
        raise FactError(f"the Kubernetes API does not answer: {output.complaint[-300:] or 'nothing was said'}")
    return Speakers(tuple(_speaker(*line.split("|")) for line in lines if line != "end"))


def _speaker(namespace: str, name: str, node: str, phase: str, said64: str, logged64: str) -> Speaker:
    said, logged = (base64.b64decode(each).decode("utf-8", "replace") for each in (said64, logged64))
    backend = re.search(r"^backend=(\S+)", said, re.MULTILINE)
    router = re.search(r"Router ID is (\S+)", said)
    return Speaker(
        node=node,
        pod=f"{namespace}/{name}",
        running=phase == "Running",
        answers=router is not None,
        backend=backend[1] if backend else "bird",
        router=router[1] if router else "",
        sessions=parse_protocols(said),
        strangers=tuple(dict.fromkeys(re.findall(rf"{STRANGER} (\S+)", logged))),
    )


PATIENCE = 60
"""Seconds for sessions that are coming up: Calico waits 5 to 30 s after an error (its bird.cfg.template)."""
_IN_POD = (
    'echo "backend=$CALICO_NETWORKING_BACKEND"; '
    'for b in birdcl "birdcl -s /var/run/calico/bird.ctl" birdc "birdc -s /var/run/calico/bird.ctl"; do '
    "s=$($b show status 2>/dev/null) || continue; "
    'echo "$s"; $b show protocols all; exit; done'
)
SPEAKERS = Fact(
    "bgp-speakers",
    f"""[ -e {ADMIN} ] || {{ echo none; exit 0; }}
k() {{ {KUBECTL} "$@"; }}
d=$(mktemp -d) || exit 1; trap 'rm -rf "$d"' EXIT
pods() {{
  k get pods --all-namespaces -l k8s-app=calico-node -o jsonpath='{{range .items[*]}}{{.metadata.namespace}}|\
{{.metadata.name}}|{{.spec.nodeName}}|{{.status.phase}}{{"\\n"}}{{end}}' | grep . || [ $? = 1 ]
}}
ask() {{ # succeeds when nothing is missing
  : >$d/missing
  pods >$d/pods
  while IFS='|' read -r namespace name node phase; do
    said=$d/$namespace.$name
    : >$said
    [ "$phase" = Running ] || {{ echo "$node: calico-node does not run" >>$d/missing; continue; }}
    timeout 20 kubectl --kubeconfig={ADMIN} -n "$namespace" exec "$name" -c calico-node -- \
      sh -c '{_IN_POD}' </dev/null >$said 2>/dev/null
    grep -qE '^backend=(vxlan|none)' $said || awk -v node="$node" \
      '$2 == "BGP" && !/{ESTABLISHED}/ {{ $2 = $3 = $4 = $5 = ""; $1 = $1; print node ": " $0 }}' $said |
      tr -s ' ' >>$d/missing
  done <$d/pods
  [ ! -s $d/missing ]
}}
k get nodes -o name >/dev/null || exit 1
began=$(cut -d. -f1 /proc/uptime)
told=''
until ask || [ $(($(cut -d. -f1 /proc/uptime) - began)) -ge {PATIENCE} ]; do
  waits="not established yet: $(sed 's/ *$//' $d/missing | paste -sd, - | sed 's/,/, /g')"
  [ "$waits" = "$told" ] || printf '%s\\n' "$waits" >&2
  told=$waits
  sleep 4
done
while IFS='|' read -r namespace name node phase; do
  strangers=$(k -n "$namespace" logs "$name" -c calico-node --since=3m --tail=500 2>/dev/null | grep '{STRANGER}')
  printf '%s|%s|%s|%s|%s|%s\\n' "$namespace" "$name" "$node" "$phase" "$(base64 -w0 <$d/$namespace.$name)" \
    "$(printf '%s' "$strangers" | tail -n 20 | base64 -w0)"
done <$d/pods
echo end""",
    _speakers,
    limit=PATIENCE + 120,
    costly=True,
)
