# A script as a transient systemd unit, so that it outlives the connection that started it (RELIABILITY 3.2).
# Set before: verb, and what the verb needs: id, limit, lineage, serial, who, take_over, offset; the script on stdin.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
home=/var/lib/homek8s-wizard
job=$home/jobs/$id
unit=hk8s-job-$id.service

alive() { # a unit that is stopping still writes its result
  case $(systemctl is-active "$1") in active | activating | deactivating) ;; *) return 1 ;; esac
}

look() {
  if [ -e "$job/rc" ]; then
    echo "ended $(cat "$job/rc")"
  elif [ ! -e "$job/claimed" ]; then
    echo absent
  elif [ "$(cat "$job/boot")" = "$(cat /proc/sys/kernel/random/boot_id)" ] && alive "$unit"; then
    echo running
  elif [ -e "$job/rc" ]; then
    echo "ended $(cat "$job/rc")"
  else
    echo interrupted
  fi
}

state() { # one line: ended RESULT CODE STATUS | running | interrupted | absent
  now=$(look)
  if [ "$now" = interrupted ]; then # or claimed a moment ago, and about to be started under the lock
    now=$({ flock -s 7; look; } 7>"$home/lock")
  fi
  echo "$now"
}

lease() { # only one journal works on a host; the other one is named
  if [ -s "$home/owner" ] && [ "$take_over" != yes ]; then
    read -r theirs at <"$home/owner"
    if [ "$theirs" != "$lineage" ]; then
      echo "owned $(sed -n 2p "$home/owner")"
      exit 77
    fi
    if [ "$at" -gt "$serial" ]; then
      echo "older $at"
      exit 78
    fi
  fi
  printf '%s %s\n%s\n' "$lineage" "$serial" "$who" >"$home/owner.part"
  mv -f "$home/owner.part" "$home/owner"
}

idle() { # no other script of ours runs here
  for other in $(systemctl list-units --plain --no-legend --state=active,activating 'hk8s-job-*' | cut -d' ' -f1); do
    [ "$other" = "$unit" ] || { echo "busy $other"; exit 73; }
  done
}

start() {
  umask 077
  mkdir -p "$home/jobs"
  exec 9>"$home/lock"
  flock 9
  [ ! -e "$job/claimed" ] || { look; exit 0; }
  lease
  idle
  mkdir -p "$job"
  cat >"$job/script"
  cat /proc/sys/kernel/random/boot_id >"$job/boot"
  unbuffered=$(command -v stdbuf || true) # what is waited for is in the log while it is waited for
  cat >"$job/run" <<RUN
cd $job
{ sh $job/script $id </dev/null; echo \$? >exit; } 2>&1 |
  { ${unbuffered:+$unbuffered -o0} head -c 67108864 >>log; cat >/dev/null; }
exit "\$(cat exit)"
RUN
  cat >"$job/end" <<END
cd $job
echo "\$SERVICE_RESULT \$EXIT_CODE \$EXIT_STATUS" >rc.part
sync rc.part
mv rc.part rc
sync .
END
  : >"$job/log"
  sync "$job/script" "$job/boot" "$job/run" "$job/end"
  : >"$job/claimed"
  sync "$job" "$home/jobs"
  systemd-run -q --collect --unit="$unit" -p KillMode=control-group -p TimeoutStopSec=30 -p RuntimeMaxSec="$limit" \
    -p ExecStopPost="/bin/sh $job/end" /bin/sh "$job/run" 9>&-
  echo running
}

follow() { # the log from $offset on, until the script has ended; then its state on stderr
  while :; do
    now=$(state)
    size=$(stat -c %s "$job/log" 2>/dev/null || echo 0)
    if [ "$size" -gt "$offset" ]; then
      tail -c "+$((offset + 1))" "$job/log" | head -c "$((size - offset))"
      offset=$size
    fi
    [ "$now" = running ] || break
    sleep 0.1
  done
  echo "$now" >&2
}

stop() {
  systemctl stop "$unit" 2>/dev/null || true
  state
}

$verb
