# What the restart test notes on the hypervisor, and what it waits for on nodes.
reboot_begin() { # SUBJECT HOST=BOOT…: a machine that is in another boot later on has been restarted
  mkdir -p "$home/verified"
  {
    printf 'subject %s\nat %s\n' "$1" "$(date +%s)"
    shift
    for each; do printf 'boot %s %s\n' "${each%%=*}" "${each#*=}"; done
  } >"$home/verified/reboot.part"
  sync "$home/verified/reboot.part"
  mv -f "$home/verified/reboot.part" "$home/verified/reboot-begun"
}

reboot_note() { # restarted | ready: when that was, the first time
  grep -q "^$1 " "$home/verified/reboot-begun" || printf '%s %s\n' "$1" "$(date +%s)" >>"$home/verified/reboot-begun"
  sync "$home/verified/reboot-begun"
}

reboot_came_back() { # SUBJECT: all nodes did, and in which time; what else must hold is asked afterwards
  asked=$(sed -n 's/^restarted //p' "$home/verified/reboot-begun")
  ready=$(sed -n 's/^ready //p' "$home/verified/reboot-begun")
  printf 'subject %s\nat %s\nseconds %s\n' "$1" "$(date +%s)" $((ready - asked)) >"$home/verified/reboot.part"
  sync "$home/verified/reboot.part"
  mv -f "$home/verified/reboot.part" "$home/verified/reboot"
  rm -f "$home/verified/reboot-begun"
  say "all nodes were Ready within $((ready - asked)) s after the hypervisor was asked to restart"
}

waits_to_be() { # SECONDS WORDS COMMAND…: until it prints nothing; what it prints is what is waited for
  limit=$1 what=$2
  shift 2
  began=$(cut -d. -f1 /proc/uptime) told='' told_at=0
  while waiting=$("$@"); [ -n "$waiting" ]; do
    took=$(($(cut -d. -f1 /proc/uptime) - began))
    [ "$took" -lt "$limit" ] || { echo "still not so after $limit s: $what: $waiting" >&2; return 1; }
    if [ "$waiting" != "$told" ] || [ "$took" -ge $((told_at + 15)) ]; then
      printf '%4s s: %s\n' "$took" "$waiting"
      told=$waiting told_at=$took
    fi
    sleep 2
  done
}

# A node that is away for a moment is still called Ready: what counts is what the kubelet of this boot has said.
node_waits() { # NODE
  said=$(kubectl --kubeconfig=/etc/kubernetes/kubelet.conf --request-timeout=10s get node "$1" -o \
    jsonpath='{.status.nodeInfo.bootID} {range .status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}' 2>&1) ||
    { printf 'the Kubernetes API does not answer: %s\n' "$(printf %s "$said" | tail -n 1)"; return; }
  case $said in
    "$(cat /proc/sys/kernel/random/boot_id) True "*) ;;
    "$(cat /proc/sys/kernel/random/boot_id) "*) printf '%s is not Ready: %s\n' "$1" "${said#* * }" ;;
    *) echo "the kubelet has not said anything since $1 has restarted ($(systemctl is-active kubelet))" ;;
  esac
}

node_back() { # NODE SECONDS
  waits_to_be "$2" "$1 is Ready again" node_waits "$1" || fail 1 "look there: journalctl -u kubelet -n 50"
}

system_pods_wait() { # NAMESPACE…
  told=
  for each; do
    said=$(kubectl --kubeconfig=/etc/kubernetes/admin.conf --request-timeout=10s -n "$each" get pods -o \
      jsonpath='{range .items[*]}{.metadata.name}|{.status.phase}|{.status.conditions[?(@.type=="Ready")].status}|{.status.containerStatuses[*].state.waiting.reason}{"\n"}{end}' \
      2>&1) || { printf 'the Kubernetes API does not answer: %s\n' "$(printf %s "$said" | tail -n 1)"; return; }
    told="$told$said
"
  done
  printf %s "$told" | awk -F '|' 'NF >= 4 && $2 != "Succeeded" && $3 != "True" { printf "%s%s (%s)", comma, $1, $4 ? $4 : $2; comma = ", " }'
}

system_pods_back() { # SECONDS NAMESPACE…
  limit=$1
  shift
  waits_to_be "$limit" "Kubernetes' own pods run again" system_pods_wait "$@" ||
    fail 1 "look there: kubectl -n kube-system get pods -o wide"
}
