"""What Calico's project publishes, as far as a node needs it here: its manifests at their address, and an operator.

The definition of an Installation knows the fields that the wizard writes, and drops any other. The operator is a loop
in a shell: while there is an Installation, it sees to a `calico-node` (bird_on_nodes) that belongs to it, and tells it
where nodes have their addresses, as the real one does. Pods are connected by the rehearsal's own network.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.rehearsal import bird_on_nodes
from wizard.rehearsal import Rehearsal, pod_network

VERSION = "3.31.7"
"""Whose definitions are in a file of their own."""
HOST = "raw.githubusercontent.com"
SERVED = "/srv/calico"
CALICO_NODE = f"{SERVED}/calico-node.yaml"

DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: installations.operator.tigera.io}
spec:
  group: operator.tigera.io
  names: {kind: Installation, listKind: InstallationList, plural: installations, singular: installation}
  scope: Cluster
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                calicoNetwork:
                  type: object
                  properties:
                    ipPools:
                      type: array
                      items:
                        type: object
                        required: [cidr]
                        properties:
                          name: {type: string}
                          cidr: {type: string}
                          blockSize: {type: integer, format: int32}
                          encapsulation: {type: string, enum: [IPIPCrossSubnet, IPIP, VXLAN, VXLANCrossSubnet, None]}
                          natOutgoing: {type: string, enum: [Enabled, Disabled]}
                          nodeSelector: {type: string}
                    nodeAddressAutodetectionV4:
                      type: object
                      properties:
                        firstFound: {type: boolean}
                        kubernetes: {type: string, enum: [NodeInternalIP]}
                        interface: {type: string}
                        skipInterface: {type: string}
                        canReach: {type: string}
                        cidrs: {type: array, items: {type: string}}
"""

OPERATOR = f"""\
k=/host/kubectl state='{{.metadata.uid}} {{.metadata.deletionTimestamp}}'
while sleep 1; do
  set -- $($k get installation default --ignore-not-found -o jsonpath="$state")
  [ $# = 1 ] || continue
  node="$k -n kube-system get daemonset {bird_on_nodes.NAME} --ignore-not-found"
  [ -n "$($node)" ] || $k apply -f {CALICO_NODE}
  $k -n kube-system patch daemonset {bird_on_nodes.NAME} --type merge -p '{{"metadata": {{"ownerReferences": [{{
    "apiVersion": "operator.tigera.io/v1", "kind": "Installation", "name": "default", "uid": "'$1'",
    "controller": true, "blockOwnerDeletion": true}}]}}}}'
  range=$($k get installation default -o jsonpath='{{.spec.calicoNetwork.nodeAddressAutodetectionV4.cidrs[0]}}')
  $k -n kube-system set env daemonset/{bird_on_nodes.NAME} "IP_AUTODETECTION_METHOD=${{range:+cidr=$range}}"
done
"""

DEPLOYMENT = """\
---
apiVersion: v1
kind: Namespace
metadata: {{name: tigera-operator}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: tigera-operator}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects:
  - {{kind: ServiceAccount, name: default, namespace: tigera-operator}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: tigera-operator, namespace: tigera-operator}}
spec:
  selector: {{matchLabels: {{k8s-app: tigera-operator}}}}
  template:
    metadata: {{labels: {{k8s-app: tigera-operator}}}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 0
      tolerations: [{{operator: Exists}}]
      containers:
        - name: tigera-operator
          image: docker.io/calico/node:rehearsal
          command: [sh, -c]
          args:
            - |
{operator}
          volumeMounts:
            - {{name: kubectl, mountPath: /host/kubectl, readOnly: true}}
            - {{name: served, mountPath: {served}, readOnly: true}}
      volumes:
        - {{name: kubectl, hostPath: {{path: /usr/bin/kubectl, type: File}}}}
        - {{name: served, hostPath: {{path: {served}, type: Directory}}}}
"""

SERVE = f"""set -e
mkdir -p /usr/local/share/ca-certificates
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={HOST} -addext subjectAltName=DNS:{HOST} \\
  -keyout /root/web.key -out /usr/local/share/ca-certificates/web.crt 2>/dev/null
update-ca-certificates >/dev/null
echo 127.0.0.1 {HOST} >>/etc/hosts
systemd-run --quiet --unit=web --working-directory={SERVED} \\
  openssl s_server -accept 443 -WWW -cert /usr/local/share/ca-certificates/web.crt -key /root/web.key
timeout 20 sh -c 'until curl -fsSo /dev/null https://{HOST}/{{path}}; do sleep 0.1; done'
"""


def manifests() -> dict[str, str]:
    """By their names in Calico's release."""
    operator = "\n".join(f"              {line}" for line in OPERATOR.splitlines())
    deployment = DEPLOYMENT.format(operator=operator, served=SERVED)
    return {"operator-crds.yaml": DEFINITION, "tigera-operator.yaml": f"{pod_network.manifest()}{deployment}"}


def serve(machine: Rehearsal, node: str, numbers: Sequence[int]) -> None:
    """Over HTTPS, on the node that fetches them: it takes the address for its own, and trusts the server there."""
    place = f"projectcalico/calico/v{VERSION}/manifests"
    files = {CALICO_NODE: bird_on_nodes.manifest(numbers)}
    files |= {f"{SERVED}/{place}/{name}": content for name, content in manifests().items()}
    machine.inside(f"mkdir -p {SERVED}/{place}", host=node)
    for path, content in files.items():
        machine.inside(f"cat >{path} <<'END_OF_FILE'\n{content}\nEND_OF_FILE", host=node)
    machine.inside(SERVE.format(path=f"{place}/tigera-operator.yaml"), host=node)
