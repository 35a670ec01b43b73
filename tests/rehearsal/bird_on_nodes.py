"""A DaemonSet with the name, the variable and the session names of Calico's, which runs Debian's BIRD on every node.

It stands in for what Calico does about addresses and BGP, and for nothing else: pods are connected by the manifest that
the rehearsal brings. As Calico's does, it looks for its node's address as IP_AUTODETECTION_METHOD says, names it in an
annotation, and has a session with every other node.
"""

from __future__ import annotations

from collections.abc import Sequence

from wizard.rehearsal.network import ISOLATED, LAN

AS = 64512
NAME = "calico-node"

SCRIPT = f"""\
set -eu
case ${{IP_AUTODETECTION_METHOD:-first-found}} in
  cidr={ISOLATED}.*) net={ISOLATED}; peers=$ON_ISOLATED ;;
  *) net={LAN}; peers=$ON_LAN ;;
esac
own=$(ip -o -4 addr | sed -n "s,.* inet \\($net\\.[0-9]*\\)/.*,\\1,p" | head -n 1)
/host/kubectl annotate --overwrite node "$NODE" "projectcalico.org/IPv4Address=$own/24"
mkdir -p /var/run/calico
{{
  echo "log stderr all; router id $own; protocol device {{}}"
  for peer in $peers; do
    [ "$peer" != "$own" ] || continue
    echo "protocol bgp Mesh_$(echo $peer | tr . _) {{"
    echo "  local $own as {AS}; neighbor $peer as {AS};"
    echo "  connect delay time 1; connect retry time 2; error wait time 1, 2;"
    echo "  ipv4 {{ import all; export none; }};"
    echo "}}"
  done
}} > /tmp/bird.conf
exec bird -f -c /tmp/bird.conf -s /var/run/calico/bird.ctl
"""

MANIFEST = """\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: kube-system}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {name}}}
rules:
  - {{apiGroups: [""], resources: [nodes], verbs: [get, patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}
subjects:
  - {{kind: ServiceAccount, name: {name}, namespace: kube-system}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: {name}, namespace: kube-system}}
spec:
  selector: {{matchLabels: {{k8s-app: {name}}}}}
  template:
    metadata: {{labels: {{k8s-app: {name}}}}}
    spec:
      serviceAccountName: {name}
      hostNetwork: true
      terminationGracePeriodSeconds: 0
      tolerations: [{{operator: Exists}}]
      containers:
        - name: {name}
          image: docker.io/calico/node:rehearsal
          command: [sh, -c]
          args:
            - |
{script}
          env:
            - {{name: NODE, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}
            - {{name: ON_LAN, value: "{lan}"}}
            - {{name: ON_ISOLATED, value: "{isolated}"}}
            - {{name: CALICO_NETWORKING_BACKEND, value: bird}}
            - {{name: IP_AUTODETECTION_METHOD, value: first-found}}
          securityContext: {{privileged: true}}
          volumeMounts: [{{name: kubectl, mountPath: /host/kubectl, readOnly: true}}]
      volumes: [{{name: kubectl, hostPath: {{path: /usr/bin/kubectl, type: File}}}}]
"""


def manifest(numbers: Sequence[int]) -> str:
    """For nodes with these numbers."""
    indented = "\n".join(f"              {line}" for line in SCRIPT.splitlines())
    lan = " ".join(f"{LAN}.{130 + number}" for number in numbers)
    isolated = " ".join(f"{ISOLATED}.{100 + number}" for number in numbers)
    return MANIFEST.format(name=NAME, script=indented, lan=lan, isolated=isolated)
