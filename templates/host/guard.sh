# ---- the guard: unless confirmed, the host goes back to what it was, by a timer, and by itself at the next boot -----

boot_unit=/etc/systemd/system/hk8s-guard-boot.service
boot_link=/etc/systemd/system/sysinit.target.wants/hk8s-guard-boot.service

arm() { # SECONDS
  mkdir -p "$home/guard"
  [ ! -e "$home/guard/pending" ] || fail 73 "another change is waiting to be confirmed: $(cat "$home/guard/pending")"
  cp -- "$0" "$home/guard/script"
  rm -f "$home/guard/outcome"
  echo $(($(cut -d. -f1 /proc/uptime) + $1)) >"$home/guard/deadline"
  mkdir -p "${boot_link%/*}"
  cat >"$boot_unit" <<UNIT
[Unit]
Description=homek8s-wizard: undo a network change that was not confirmed before the restart
DefaultDependencies=no
ConditionPathExists=$home/guard/pending
RequiresMountsFor=$home /etc
After=local-fs.target
Before=network-pre.target systemd-networkd.service NetworkManager.service networking.service shutdown.target
Before=ufw.service nftables.service firewalld.service
Wants=network-pre.target
Conflicts=shutdown.target
[Service]
Type=oneshot
ExecStart=/bin/sh $home/guard/script $attempt revert boot
UNIT
  ln -sf "$boot_unit" "$boot_link"
  echo "$attempt" >"$home/guard/pending"
  sync "$home/guard/script" "$home/guard/deadline" "$home/guard/pending" "$boot_unit" "$home/guard" "${boot_link%/*}"
  systemctl daemon-reload
  systemctl reset-failed hk8s-guard.service hk8s-guard.timer 2>/dev/null || true
  systemd-run -q --unit=hk8s-guard --on-active="$1" --timer-property=AccuracySec=100ms \
    /bin/sh "$home/guard/script" "$attempt" revert timer || { settle "not armed"; fail 1 "the timer could not be started"; }
  say "guarded: everything goes back by itself in $1 s unless confirmed"
}

settle() { # OUTCOME: the guard is over
  printf '%s %s\n' "$attempt" "$1" >"$home/guard/outcome"
  rm -f "$home/guard/pending" "$boot_unit" "$boot_link"
  sync "$home/guard" "${boot_link%/*}"
}

alone() { # from here on nobody else keeps or reverts
  exec 8>"$home/guard/lock"
  flock 8
  [ "$(cat "$home/guard/pending" 2>/dev/null)" = "$attempt" ] || fail 75 "too late: $(cat "$home/guard/outcome" 2>/dev/null)"
}

keep_change() {
  alone
  settle kept
  systemctl stop hk8s-guard.timer 2>/dev/null || true
  systemctl daemon-reload
}

revert_change() { # WHO: timer, boot, owner, or failed
  case $1 in timer | owner) systemctl kill --signal=KILL "hk8s-job-$attempt.service" 2>/dev/null || true ;; esac
  alone
  set +e
  take_back "$attempt" "$1"
  settle "reverted $1"
  [ "$1" = boot ] && return
  [ "$1" = timer ] || systemctl stop hk8s-guard.timer 2>/dev/null
  systemctl daemon-reload
}
