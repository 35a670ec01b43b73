# A pod on every node, each asked to reach all others: what they find is printed, what is waited for goes to stderr.
# Lines of: question, node, the other node or "-", "ok" or "no", words; separated by tabs. The last one is "end".
# Run as root on a control plane. All of it is in one namespace of ours, which is removed before and afterwards.
set -u
export KUBECONFIG=/etc/kubernetes/admin.conf
ns=homek8s-verify
image=docker.io/library/busybox:1.36

say() { printf '%s\n' "$*" >&2; }
result() { printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$(printf %s "$5" | tr '\t\n' '  ' | cut -c1-300)"; }
uptime() { cut -d. -f1 /proc/uptime; }
kube() { kubectl --request-timeout=20s "$@"; }
column() { awk -F '|' -v key="$1" -v column="$2" '$1 == key { print $column; exit }'; } # of the row that begins with KEY

remove() {
  kube delete namespace "$ns" --ignore-not-found --wait=false >/dev/null 2>&1
  began=$(uptime)
  while [ -n "$(kube get namespace "$ns" --ignore-not-found -o name 2>/dev/null)" ]; do
    [ $(($(uptime) - began)) -lt 60 ] || { say "the namespace $ns is still being removed"; return 1; }
    sleep 1
  done
}

[ -e "$KUBECONFIG" ] || { say "there is no cluster yet: $KUBECONFIG is missing"; exit 3; }
nodes=$(kube get nodes -o jsonpath='{range .items[*]}{.metadata.name}{"|"}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}') ||
  exit 4
trap 'remove' EXIT
trap 'exit 143' TERM HUP INT PIPE
remove || exit 5

kube apply -f - >/dev/null <<MANIFEST || exit 6
apiVersion: v1
kind: Namespace
metadata:
  name: $ns
---
apiVersion: v1
kind: Service
metadata:
  name: echo
  namespace: $ns
spec:
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: echo
  namespace: $ns
spec:
  selector:
    matchLabels: {app: echo}
  template:
    metadata:
      labels: {app: echo}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      containers:
        - name: echo
          image: $image
          imagePullPolicy: IfNotPresent
          command:
            - /bin/sh
            - -c
            - |
              mkdir -p /tmp/www && cd /tmp/www && echo ok >index.html && head -c 1048576 /dev/zero >mib
              echo serving
              exec httpd -f -p 8080 -h /tmp/www
          readinessProbe:
            tcpSocket: {port: 8080}
            periodSeconds: 1
MANIFEST

# ---- a pod on every node that is Ready

pods() {
  kube -n "$ns" get pods -l app=echo -o jsonpath='{range .items[*]}{.spec.nodeName}{"|"}{.metadata.name}{"|"}{.status.podIP}{"|"}{.status.conditions[?(@.type=="Ready")].status}{"|"}{.status.containerStatuses[0].state.waiting.reason}{"\n"}{end}'
}

why_not() { # NODE: why its pod does not run
  pod=$(printf '%s\n' "$list" | column "$1" 2)
  [ -n "$pod" ] || { echo "no pod was started there"; return; }
  kube -n "$ns" get pod "$pod" -o jsonpath='{.status.containerStatuses[0].state.waiting.reason} {.status.containerStatuses[0].state.waiting.message} {.status.conditions[?(@.type=="PodScheduled")].message}'
  kube -n "$ns" get events --field-selector "involvedObject.name=$pod,type=Warning" \
    -o jsonpath='{range .items[*]}{" "}{.message}{end}' | tail -c 250
}

up=$(printf '%s\n' "$nodes" | awk -F '|' '$2 == "True" { print $1 }')
began=$(uptime) said='' said_at=0
while :; do
  list=$(pods) waits=''
  for node in $up; do
    [ "$(printf '%s\n' "$list" | column "$node" 4)" = True ] && continue
    waits="$waits, $node ($(printf '%s\n' "$list" | column "$node" 5))"
  done
  took=$(($(uptime) - began))
  if [ -z "$waits" ] || [ "$took" -ge 180 ]; then break; fi
  case $waits in *ErrImage* | *ImagePull* | *InvalidImage*) [ "$took" -lt 45 ] || break ;; esac
  if [ "$waits" != "$said" ] || [ "$took" -ge $((said_at + 10)) ]; then
    say "waiting until the test pods run, $took of at most 180 s:$(printf %s "${waits#,}" | sed 's/ ()//g')"
    said=$waits said_at=$took
  fi
  sleep 1
done

there=''
for node in $(printf '%s\n' "$nodes" | cut -d '|' -f 1); do
  if ! printf '%s\n' "$up" | grep -qxF -- "$node"; then
    result pod "$node" - no "the node is not Ready"
  elif [ "$(printf '%s\n' "$list" | column "$node" 4)" = True ]; then
    result pod "$node" - ok "$(printf '%s\n' "$list" | column "$node" 3)"
    there="$there $node=$(printf '%s\n' "$list" | column "$node" 3)"
  else
    result pod "$node" - no "$(why_not "$node")"
  fi
done

# ---- each is asked

service=$(kube -n "$ns" get service echo -o jsonpath='{.spec.clusterIP}')
# A packet of exactly the pod's MTU goes out with "don't fragment" set (the kernel's path MTU discovery, ip(7)). Where a
# link on the way is too narrow it is lost, and the next ones are cut to fit: so the first one counts, and it comes
# before any other large one.
# shellcheck disable=SC2016 # for the pod's shell
asked='
me=$1 service=$2 there=$3
say() { printf "%s\t%s\t%s\t%s\t%s\n" "$1" "$me" "$2" "$3" "$4"; }
again() { # TIMES COMMAND…
  left=$1; shift
  until "$@"; do left=$((left - 1)); [ "$left" -gt 0 ] || return 1; sleep 1; done
}
get() { # wget -T ends by a crash in the static busybox of Debian
  timeout 4 wget -q -O /dev/null "$1" 2>/tmp/why && return
  grep -q wget: /tmp/why || echo "no answer within 4 s" >/tmp/why
  return 1
}
ping_once() { ping -q -c 1 -W 2 -s "$((mtu - 28))" "$1" >/dev/null 2>&1; }
mtu=$(cat /sys/class/net/eth0/mtu)
say mtu - ok "$mtu"
for each in $there; do
  to=${each%%=*} ip=${each#*=}
  [ "$to" != "$me" ] || continue
  if ! again 3 get "http://$ip:8080/"; then say http "$to" no "$(tail -n 1 /tmp/why)"; continue; fi
  say http "$to" ok ""
  if ping_once "$ip"; then say large "$to" ok ""
  elif ping_once "$ip"; then say large "$to" no "only in fragments"
  else say large "$to" no "lost"
  fi
  size=$(timeout 15 wget -q -O - "http://$ip:8080/mib" 2>/dev/null | wc -c)
  if [ "$size" = 1048576 ]; then say bulk "$to" ok ""; else say bulk "$to" no "$size of 1048576 bytes in 15 s"; fi
done
look_up() { timeout 15 nslookup -type=a "$2" >"/tmp/why-$1" 2>&1; }
resolves() { # KIND NAME
  if again 2 look_up "$1" "$2"; then say "$1" - ok ""
  else say "$1" - no "$2 at $server: $(grep -v "^Server\|^Address\|^$" "/tmp/why-$1" | tail -n 1)"
  fi
}
server=$(sed -n "s/^nameserver //p" /etc/resolv.conf | head -n 1)
resolves dns kubernetes.default.svc.cluster.local. &
resolves outside kubernetes.io. &
wait
if again 2 get "http://$service/"; then say service - ok ""; else say service - no "$service: $(tail -n 1 /tmp/why)"; fi
'

ask() { # NODE: its pod is asked
  pod=$(printf '%s\n' "$list" | column "$1" 2)
  say "asking the pod on $1"
  said=$(timeout 20 kubectl -n "$ns" logs "$pod" --tail=1 2>&1)
  if [ "$said" = serving ]; then result logs "$1" - ok ''; else result logs "$1" - no "$said"; fi
  if ! said=$(timeout 20 kubectl -n "$ns" exec "$pod" -- true 2>&1); then
    result exec "$1" - no "$said"
  elif timeout 300 kubectl -n "$ns" exec "$pod" -- sh -c "$asked" sh "$1" "$service" "$there" 2>"$answers/_$1"; then
    result exec "$1" - ok ''
  else
    broke_off "$1" $?
  fi
}

broke_off() { # NODE STATUS: a line that was cut short gets too many columns to be one of the answers
  said=$(tail -n 1 "$answers/_$1")
  [ "$2" != 124 ] || said="it did not end within 300 s"
  printf '\t\t\t\t\t\n'
  result exec "$1" - no "broke off: ${said:-status $2}"
}

# All at once: one that waits for an answer holds up no other. What they say is put together afterwards, line by line.
answers=$(mktemp -d) || exit 7
trap 'remove; rm -rf "$answers"' EXIT
for each in $there; do
  ask "${each%%=*}" >"$answers/${each%%=*}" &
done
wait
for each in $there; do
  awk -F '\t' 'NF == 5' "$answers/${each%%=*}"
done
say "removing the test pods"
rm -r "$answers"
remove && trap - EXIT
printf 'end\t-\t-\tok\t\n'
