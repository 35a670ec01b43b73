
# What is said to the cluster about its pod network.
kube() { kubectl --kubeconfig=/etc/kubernetes/admin.conf --request-timeout=10s "$@"; }

network_fetch() { # URL PATH: kept there, so that what was applied is also what is taken away
  say "fetch $1"
  directory "${2%/*}"
  part_file=$2.part
  if command -v curl >/dev/null; then
    curl -fsSL --retry 3 --connect-timeout 20 -o "$part_file" "$1"
  else
    /usr/lib/apt/apt-helper download-file "$1" "$part_file"
  fi || fail 1 "cannot fetch $1"
  grep -q '^kind: *[A-Z]' "$part_file" || fail 1 "$1 is no manifest of Kubernetes"
  install_file "$2"
}

network_delete() { # PATH: all that it names, and only then what comes next
  [ -e "$1" ] || return 0
  said=$(mktemp /run/hk8s-deleted.XXXXXX) left=
  # With what they have made: agents that still run would write a node's files again.
  { kubectl --kubeconfig=/etc/kubernetes/admin.conf delete --ignore-not-found --cascade=foreground --timeout=300s \
    -f "$1" 2>&1 || : >"$said.failed"; } | tee "$said"
  # What a definition that is gone described is gone too.
  [ ! -e "$said.failed" ] || left=$(grep -v -e deleted -e '^warning' -e 'no matches for kind' \
    -e 'ensure CRDs are installed' -e 'resource mapping not found' "$said" | head -n 1)
  rm -f -- "$said" "$said.failed"
  [ -z "$left" ] || fail 1 "not all of $1 could be deleted"
}

unready_nodes() { # NODE: what its kubelet says, and those of other nodes that wait for a network, one line each
  nodes=$(kube get nodes -o jsonpath='{range .items[*]}{.metadata.name}{"\t"}{range .status.conditions[?(@.type=="Ready")]}{.status}{"\t"}{.message}{end}{"\n"}{end}' 2>&1) ||
    { printf 'the Kubernetes API does not answer: %s\n' "$nodes"; return; }
  printf '%s\n' "$nodes" | awk -F '\t' -v node="$1" '$2 != "True" && ($1 == node || $3 ~ /NetworkReady=false/) { print $1 ": " $3 }'
}

unready_pods() { # "NAMESPACE/POD on NODE: REASON", those first that run on their node's own network
  kube get pods --all-namespaces -o jsonpath='{range .items[*]}{.spec.hostNetwork}|{.metadata.namespace}|{.metadata.name}|{.spec.nodeName}|{.status.phase}|{.status.conditions[?(@.type=="Ready")].status}|{range .status.containerStatuses[*]}{.state.waiting.reason} {end}{"\n"}{end}' 2>/dev/null |
    awk -F '|' 'NF > 6 && $5 != "Succeeded" && $6 != "True"' | sort | head -n 4 |
    while IFS='|' read -r _ namespace pod node phase _ reason; do
      last=$(last_word "$namespace" "$pod") reason=${reason% }
      [ -n "$reason" ] || reason="$phase, not ready yet"
      printf '%s/%s on %s: %s\n' "$namespace" "$pod" "${node:-no node yet}" "$reason${last:+; $last}"
    done
}

last_word() { # NAMESPACE POD: its last event that gives a reason, not merely that there was an error
  events=$(kube -n "$1" get events --field-selector "involvedObject.name=$2" --sort-by=.metadata.creationTimestamp \
    -o jsonpath='{range .items[*]}{.reason}: {.message}{"\t"}{end}' 2>/dev/null | tr "\n\t" " \n" | cut -c 1-300)
  printf '%s\n' "$events" | grep -v -e '^Failed: Error: ' -e '^BackOff: ' | tail -n 1
}

waits_for_network() { # NODE: what there still is to wait for, in words; nothing when all is well
  unready=$(unready_nodes "$1")
  [ -z "$unready" ] || { printf '%s\n' "$unready"; unready_pods; return; }
  dns=$(kube -n kube-system get pods -l k8s-app=kube-dns -o jsonpath='{range .items[*]}{.status.podIP}{end}/{.items[*].metadata.name}')
  case $dns in
    /?*) echo "no pod of the cluster's DNS has an address yet"; unready_pods ;;
  esac
}

network_ready() { # SECONDS NODE: its kubelet has a network, and a first pod an address
  began=$(cut -d. -f1 /proc/uptime) told='' since=0
  while waiting=$(waits_for_network "$2"); [ -n "$waiting" ]; do
    seconds=$(($(cut -d. -f1 /proc/uptime) - began))
    if [ "$waiting" != "$told" ] || [ $((seconds - since)) -ge 20 ]; then
      printf '    after %s s:\n%s\n' "$seconds" "$(printf '%s\n' "$waiting" | sed 's/^/        /')"
      told=$waiting since=$seconds
    fi
    if [ "$seconds" -ge "$1" ]; then
      printf '%s\n' "still no pod network after $1 s:" "$waiting" >&2
      echo "look further: kubectl get pods -A -o wide; kubectl describe node $2; journalctl -u kubelet -n 50" >&2
      return 1
    fi
    sleep 3
  done
}

network_restarted() { # SECONDS NAMESPACE DAEMONSET: all its pods are of the newest kind, and ready
  began=$(cut -d. -f1 /proc/uptime) told=''
  until done=$(kube -n "$2" rollout status "daemonset/$3" --watch=false 2>&1) &&
    case $done in *"successfully rolled out"*) true ;; *) false ;; esac; do
    [ "$done" = "$told" ] || printf '    %s\n' "$done" "$(unready_pods)"
    told=$done
    if [ $(($(cut -d. -f1 /proc/uptime) - began)) -ge "$1" ]; then
      printf '%s\n' "still not so after $1 s: $done" "$(unready_pods)" >&2
      echo "look further: kubectl -n $2 get pods -o wide; kubectl -n $2 logs daemonset/$3 --all-containers --tail=20" >&2
      return 1
    fi
    sleep 2
  done
}

network_moved() { # SECONDS NODE=ADDRESS…: what each node says of itself to the others, where it says anything
  limit=$1; shift
  began=$(cut -d. -f1 /proc/uptime) told=''
  while named=$(kube get nodes -o jsonpath='{range .items[*]}{.metadata.name}={.metadata.annotations.projectcalico\.org/IPv4Address}{"\n"}{end}' 2>&1) || named="=$named"
    elsewhere=$(printf '%s\n' "$named" | sed 's,/.*,,' | while IFS= read -r line; do
      case " $* " in *" $line "*) ;; *) [ -z "${line#*=}" ] || printf '%s ' "$line" ;; esac
    done)
    [ -n "$elsewhere" ]; do
    [ "$elsewhere" = "$told" ] || printf '    not yet: %s\n' "$elsewhere"
    told=$elsewhere
    if [ $(($(cut -d. -f1 /proc/uptime) - began)) -ge "$limit" ]; then
      echo "still not so after $limit s: $elsewhere" >&2
      echo "look further: kubectl get nodes -o yaml | grep IPv4Address; the log of calico-node on that node" >&2
      return 1
    fi
    sleep 2
  done
}
