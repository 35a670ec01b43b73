# ---- kubeadm: what it does, what the node says meanwhile, and what is left to read when it fails ---------------------

kubeadm_does() { # ARGUMENT…: kubeadm, its own lines as they come; every ten seconds what it waits for
  heard=$(mktemp -d /run/hk8s-kubeadm.XXXXXX)
  began=$(date +%s)
  touch "$heard/began" "$heard/log"
  kubeadm_heeds $$ &
  { kubeadm "$@" 2>&1 </dev/null || echo "$?" >"$heard/failed"; } | tee "$heard/log"
  kill "$!" 2>/dev/null || true
  [ ! -e "$heard/failed" ] || kubeadm_failed "$(cat "$heard/failed")" "$1"
  rm -rf -- "$heard"
}

kubeadm_heeds() { # PROCESS: while it lives, what is new of the kubelet, or how many images have come
  # A kill that comes before this has shed the script's traps is lost: without a log there is nothing to heed.
  said=
  while sleep 10 >/dev/null 2>&1 && kill -0 "$1" 2>/dev/null && [ -e "$heard/log" ]; do
    etcd_is_taken
    if tail -n 1 "$heard/log" | grep -qE 'Pulling images|config images pull'; then
      now="$(ctr -n k8s.io images ls -q 2>/dev/null | grep -c /kube-) images of Kubernetes are here so far"
    else
      now=$(kubelet_worst)
      now=${now:+the kubelet: $now}
    fi
    [ -z "$now" ] || [ "$now" = "$said" ] || printf '    … %s\n' "$now"
    said=$now
  done
}

# Just started, a kubelet may not know its disk yet, and etcd as kubeadm before 1.22 starts it asks for some: what it has
# refused, it never tries again. A second member that was announced and does not come stops the first one too, and so
# the whole cluster (kubernetes#99305). Without that request, as from 1.22 on, it is another pod (kubernetes#102673).
etcd_is_taken() {
  { grep -q ephemeral-storage "$etcd_manifest" && kubelet_refused | grep -q 'etcd-.*ephemeral-storage'; } 2>/dev/null ||
    return 0
  printf '    … the kubelet does not know its disk yet, and has refused etcd: its request for some is taken out of %s\n' \
    "$etcd_manifest"
  grep -v ephemeral-storage "$etcd_manifest" >"$heard/etcd" # not beside it: the kubelet takes every file there for a pod
  cat "$heard/etcd" >"$etcd_manifest"
}
etcd_manifest=/etc/kubernetes/manifests/etcd.yaml

kubelet_refused() { # what it said of the last pod of the control plane that it did not take, and still would not
  seen_to='nothing yet'
  grep -q ephemeral-storage "$etcd_manifest" 2>/dev/null || seen_to='etcd-.*ephemeral-storage'
  kubelet_since "$began" | grep -E 'Failed to admit pod.*(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)-' |
    grep -v "$seen_to" | tail -n 1
}

kubelet_since() { # SECOND: its journal from then on; it gives up every ten seconds until kubeadm writes its settings
  journalctl --unit kubelet --since "@$1" --lines 5000 --output cat --quiet --no-pager 2>/dev/null |
    grep -v 'open /var/lib/kubelet/config.yaml: no such file or directory' 2>/dev/null
}

plain_words() { # without the time and place that the kubelet puts before them, as long as a line of a screen
  sed 's/^[IWEF][0-9]* [0-9:.]* *[0-9]* //' | cut -c -200
}

kubelet_worst() { # why it gave up, within the last minute; else the last error; else the last line
  since=$(($(date +%s) - 60))
  [ "$since" -gt "$began" ] || since=$began
  kubelet_since "$since" | awk '
    /^F[0-9][0-9][0-9][0-9] |failed to run [Kk]ubelet/ { fatal = $0 }
    /^E[0-9][0-9][0-9][0-9] / { error = $0 }
    /./ { last = $0 }
    END { print fatal ? fatal : error ? error : last }' | plain_words
}

kubelet_erred() { # the last 15 errors since kubeadm began, each once
  kubelet_since "$began" | grep -E '^[EF][0-9]{4} |failed to run [Kk]ubelet' | plain_words |
    awk '!said[$0]++' | tail -n 15
}

kubeadm_failed() { # STATUS VERB: what explains it, the shortest explanation last
  say "the kubelet's errors (journalctl -u kubelet)"
  kubelet_erred
  pods_logs '' -printf '%T@ %p\n' | sort -rn | head -n 4 | while read -r _ log; do
    say "the end of $log"
    tail -n 4 "$log" | cut -c -300
  done
  say "kubeadm $2 ended with status $1"
  grep -E '\[ERROR |^error |timed out' "$heard/log" | awk '!said[$0]++' | tail -n 6 || true
  node_faults
  rm -rf -- "$heard"
  exit "$1"
}

pods_logs() { # POD FIND-ARGUMENT…: the logs of the control plane's containers that have changed since kubeadm began
  pod=$1; shift
  find /var/log/pods -path "*/kube-system_$pod*.log" -newer "$heard/began" "$@" 2>/dev/null
}

node_faults() { # what is known to keep a node from coming up
  [ -z "$(swapon --show --noheadings 2>/dev/null)" ] || echo 'fault: swap is on'
  if ! ctr version >/dev/null 2>&1; then
    echo 'fault: containerd does not answer'
  elif ! ctr plugins ls 2>/dev/null | grep -qE '(\.cri\.|[[:space:]]cri[[:space:]]).*[[:space:]]ok[[:space:]]*$'; then
    echo 'fault: the CRI of containerd is disabled'
  fi
  if kubelet_since "$began" | grep -qE 'misconfiguration: kubelet cgroup driver|expected cgroupsPath to be of format'; then
    echo 'fault: the kubelet and containerd do not agree on the cgroup driver'
  fi
  refused=$(kubelet_refused | plain_words)
  [ -z "$refused" ] || echo "fault: the kubelet refused a pod: $refused"
  gave_up=$(kubelet_since "$began" | grep -E '^F[0-9]{4} |failed to run [Kk]ubelet' | tail -n 1 | plain_words)
  [ -z "$gave_up" ] || echo "fault: the kubelet gives up: $gave_up"
  if pods_logs etcd- -exec grep -lE 'slow fdatasync|failed to send out heartbeat on time' {} + | grep -q .; then
    echo 'fault: etcd waits for the disk'
  fi
}

kubeadm_away() { # kubeadm's work on this node goes, and what a pod network left: files, links, packet rules
  kubeadm_does reset --force --cri-socket unix:///run/containerd/containerd.sock
  say "remove what kubeadm reset leaves: etcd's data, /etc/cni/net.d, links and packet rules of pods"
  [ ! -d /var/lib/etcd ] || find /var/lib/etcd -mindepth 1 -delete
  [ ! -d /etc/kubernetes/pki ] || find /etc/kubernetes/pki -mindepth 1 -delete
  [ ! -d /etc/cni/net.d ] || find /etc/cni/net.d -mindepth 1 -maxdepth 1 ! -name '*podman*' -exec rm -rf -- {} +
  for link in $(ip -o link show 2>/dev/null | cut -d: -f2 | cut -d@ -f1); do
    case $link in
      cni0 | flannel.* | cali* | vxlan.calico | vxlan-v6.calico | wireguard.cali | wg-v6.cali) ip link delete "$link" || true ;;
      cilium_* | lxc_health | kube-ipvs0 | nodelocaldns) ip link delete "$link" || true ;;
      tunl0) { ip addr flush dev tunl0 && ip link set tunl0 down; } || true ;;
    esac
  done
  for tables in iptables-nft iptables-legacy ip6tables-nft ip6tables-legacy; do
    packet_rules_away "$tables"
  done
  if command -v nft >/dev/null 2>&1; then
    for family in ip ip6; do
      nft delete table "$family" kube-proxy 2>/dev/null || true
    done
  fi
}

packet_rules_away() { # WHOSE: rules and chains of kube-proxy and of pod networks; all others stay, in one transaction
  command -v "$1-save" >/dev/null 2>&1 || return 0
  rules=$("$1-save" 2>/dev/null) || return 0
  if printf '%s\n' "$rules" | grep -qE "$pods_rules"; then
    say "remove the rules of pods ($1)"
    printf '%s\n' "$rules" | grep -vE "$pods_rules" | "$1-restore"
  fi
}
pods_rules='[: ]KUBE-|[: "]cali[-:]|[: ]CNI-|[: ]CILIUM_|[: ]FLANNEL-'

same_time() { # HOST:PORT: certificates are only good on a node whose clock agrees with the API server's
  theirs=$(curl -sk -o /dev/null -D - --max-time 10 "https://$1/version" | tr -d '\r' | sed -n 's/^[Dd]ate: //p')
  [ -n "$theirs" ] || return 0
  apart=$(($(date +%s) - $(date -d "$theirs" +%s)))
  if [ "${apart#-}" -gt 60 ]; then
    case $apart in -*) where=behind ;; *) where='ahead of' ;; esac
    fail 1 "the clocks differ: this node is ${apart#-} s $where the control plane; see \`timedatectl\` on both"
  fi
}

await_heard() { # SECONDS WORDS PROBE…: as await, and what the probe says whenever that changes
  limit=$1; words=$2; shift 2
  began=$(cut -d. -f1 /proc/uptime) said=
  until now=$("$@" 2>&1); do
    now=$(printf '%s' "$now" | tail -n 1 | cut -c -300)
    [ "$now" = "$said" ] || printf '    … %s\n' "$now"
    said=$now
    if [ $(($(cut -d. -f1 /proc/uptime) - began)) -ge "$limit" ]; then
      echo "still not so after $limit s: $words" >&2
      return 1
    fi
    sleep 2
  done
}

node_ready() { # NAME SECONDS: waited for, and said why not yet; verify.nodes is the judge
  say "wait until $1 is Ready (at most $2 s)"
  began=$(cut -d. -f1 /proc/uptime) said=
  while :; do
    now=$(kubectl --kubeconfig=/etc/kubernetes/kubelet.conf --request-timeout=10s get node "$1" \
      -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}' 2>&1) || true
    case $now in True*) return ;; esac
    [ "$now" = "$said" ] || printf '    … %.300s\n' "${now#* }"
    said=$now
    if [ $(($(cut -d. -f1 /proc/uptime) - began)) -ge "$2" ]; then
      say "$1 has joined, and is not Ready after $2 s: kubectl describe node $1; verify.nodes looks at it again"
      return
    fi
    sleep 5
  done
}
