"""A pod network to try nodes with: the plugins of `kubernetes-cni` on each node, and a route to each other node's pods.

The simplest thing that works, in a manifest that an owner might have: nothing of it is the rehearsal's own.
"""

from __future__ import annotations

from wizard.rehearsal import network
from wizard.rehearsal.kubernetes_build import VERSION

PODS = "10.244.0.0/16"
FILE = "cni.yaml"
"""Its name in the rehearsal's directory, beside cluster.yaml."""

# Until kube-proxy is there, the API's own address leads nowhere, and who calls it once waits for half a minute.
# Pods answer each other under their own addresses; what leaves the cluster has the node's.
SCRIPT = f"""\
set -eu
via=$(ip -o -4 address show to {network.ISOLATED}.0/24 | sed -n 's,.* inet \\([0-9.]*\\)/.*,\\1,p' | head -n 1)
until timeout 5 /host/bin/kubectl annotate --overwrite node "$NODE" "rehearsal/via=${{via:-$ADDRESS}}"; do
  sleep 1
done
iptables -w -t nat -C POSTROUTING -s {PODS} ! -d {PODS} -j MASQUERADE 2>/dev/null ||
  iptables -w -t nat -A POSTROUTING -s {PODS} ! -d {PODS} -j MASQUERADE
ours() {{
  echo '{{"cniVersion": "0.3.1", "name": "rehearsal", "plugins": ['
  echo '  {{"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": {{'
  echo '    "type": "host-local", "ranges": [[{{"subnet": "'"$1"'"}}]], "routes": [{{"dst": "0.0.0.0/0"}}]}}}},'
  echo '  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}'
}}
/host/bin/kubectl get nodes --watch --output \\
  jsonpath='{{.metadata.name}}|{{.spec.podCIDR}}|{{.metadata.annotations.rehearsal/via}}{{"\\n"}}' |
  while IFS='|' read -r name pods via; do
    [ -n "$pods" ] || continue
    if [ "$name" = "$NODE" ]; then
      ours "$pods" > /host/net.d/.rehearsal
      cmp -s /host/net.d/.rehearsal /host/net.d/10-rehearsal.conflist ||
        mv /host/net.d/.rehearsal /host/net.d/10-rehearsal.conflist
    elif [ -n "$via" ]; then
      ip route replace "$pods" via "$via"
    fi
  done
"""

MANIFEST = """\
# The pod network of a rehearsal: Linux bridges, and routes between the nodes.
apiVersion: v1
kind: ServiceAccount
metadata: {{name: rehearsal-network, namespace: kube-system}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: rehearsal-network}}
rules:
  - {{apiGroups: [""], resources: [nodes], verbs: [get, list, watch, patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: rehearsal-network}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: rehearsal-network}}
subjects:
  - {{kind: ServiceAccount, name: rehearsal-network, namespace: kube-system}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: rehearsal-network, namespace: kube-system, labels: {{app: rehearsal-network}}}}
spec:
  selector: {{matchLabels: {{app: rehearsal-network}}}}
  template:
    metadata: {{labels: {{app: rehearsal-network}}}}
    spec:
      serviceAccountName: rehearsal-network
      hostNetwork: true
      priorityClassName: system-node-critical
      terminationGracePeriodSeconds: 1
      tolerations: [{{operator: Exists}}]
      containers:
        - name: network
          image: k8s.gcr.io/kube-proxy:v{version}
          command: [sh, -c]
          args:
            - |
{script}
          env:
            - {{name: NODE, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}
            - {{name: ADDRESS, valueFrom: {{fieldRef: {{fieldPath: status.hostIP}}}}}}
          securityContext: {{privileged: true}}
          volumeMounts:
            - {{name: kubectl, mountPath: /host/bin/kubectl, readOnly: true}}
            - {{name: networks, mountPath: /host/net.d}}
      volumes:
        - {{name: kubectl, hostPath: {{path: /usr/bin/kubectl, type: File}}}}
        - {{name: networks, hostPath: {{path: /etc/cni/net.d, type: DirectoryOrCreate}}}}
"""


def manifest() -> str:
    """For `kubectl apply`; its images are those that nodes of a rehearsal have."""
    indented = "\n".join(f"              {line}" for line in SCRIPT.splitlines())
    return MANIFEST.format(version=VERSION, script=indented)
