# A script that outlives the connection that started it (RELIABILITY 3.2): a transient unit of systemd. On the owner's own
# machine, where there is no root (HK8S_HOME is set there), a session of its own: it holds a lock for as long as it lives,
# and all that it starts is known by a variable.
# Set before: verb, and what the verb needs: id, limit, lineage, serial, who, take_over, offset; the script on stdin.
set -eu
export LC_ALL=C PATH="${HK8S_HOME:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
home=${HK8S_HOME:-/var/lib/homek8s-wizard}
job=$home/jobs/$id
unit=hk8s-job-$id.service

rootless() { [ -n "${HK8S_HOME:-}" ]; }

locked() { [ -e "$1" ] && ! flock -s -n "$1" true; }

alive() { # a unit that is stopping still writes its result
  if rootless; then locked "$job/session.lock"; return; fi
  case $(systemctl is-active "$unit") in active | activating | deactivating) ;; *) return 1 ;; esac
}

others() { # the scripts of ours that run here
  if ! rootless; then
    systemctl list-units --plain --no-legend --state=active,activating 'hk8s-job-*' | cut -d' ' -f1
    return
  fi
  for lock in "$home"/jobs/*/session.lock; do
    ! locked "$lock" || echo "hk8s-job-$(basename "${lock%/*}").service"
  done
}

look() {
  if [ -e "$job/rc" ]; then
    echo "ended $(cat "$job/rc")"
  elif [ ! -e "$job/claimed" ]; then
    echo absent
  elif [ "$(cat "$job/boot")" = "$(cat /proc/sys/kernel/random/boot_id)" ] && alive; then
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
  for other in $(others); do
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
  # This shell and what keeps the log end after the script: its clean-up takes time, and must not print to nobody.
  cat >"$job/run" <<RUN
stopped=
trap 'stopped=yes' TERM
cd "\${0%/*}"
{ sh "\$PWD/script" $id </dev/null; echo \$? >exit; } 2>&1 |
  { trap '' TERM; ${unbuffered:+$unbuffered -o0} head -c 67108864 >>log; cat >/dev/null; }
[ -z "\$stopped" ] || { trap - TERM; kill -TERM \$\$; }
exit "\$(cat exit)"
RUN
  cat >"$job/end" <<END
cd "\${0%/*}"
echo "\$SERVICE_RESULT \$EXIT_CODE \$EXIT_STATUS" >rc.part
sync rc.part
mv rc.part rc
sync .
END
  : >"$job/log"
  sync "$job/script" "$job/boot" "$job/run" "$job/end"
  : >"$job/claimed"
  sync "$job" "$home/jobs"
  launch
  echo running
}

launch() {
  if rootless; then launch_session; return; fi
  systemd-run -q --collect --unit="$unit" -p KillMode=control-group -p TimeoutStopSec=30 -p RuntimeMaxSec="$limit" \
    -p ExecStopPost="/bin/sh $job/end" /bin/sh "$job/run" 9>&-
}

launch_session() { # as a unit would: TERM to all at a stop or after its time, KILL 30 s later, nothing left behind
  cat >"$job/session" <<'SESSION'
cd "${0%/*}"
unset HK8S_SESSION
stopped=
trap 'stopped=yes' TERM
HK8S_JOB=$1 /bin/sh "$PWD/run" </dev/null >/dev/null 2>&1 8>&- &
wait "$!"
status=$?
SERVICE_RESULT=signal EXIT_CODE=killed EXIT_STATUS=TERM
if [ -z "$stopped" ] && [ "$status" = "$(cat exit 2>/dev/null)" ]; then
  SERVICE_RESULT=exit-code EXIT_CODE=exited EXIT_STATUS=$status
  [ "$status" != 0 ] || SERVICE_RESULT=success
fi
tries=0
while left=$(grep -lszxF "HK8S_JOB=$1" /proc/[0-9]*/environ | cut -d/ -f3) && [ -n "$left" ]; do
  [ "$tries" -ne 0 ] || kill -TERM $left
  [ "$tries" -lt 150 ] || kill -KILL $left
  tries=$((tries + 1))
  sleep 0.2
done 2>/dev/null
export SERVICE_RESULT EXIT_CODE EXIT_STATUS
exec /bin/sh "$PWD/end"
SESSION
  exec 8>"$job/session.lock"
  flock 8
  HK8S_SESSION=$id setsid timeout --foreground -k 60 "$limit" /bin/sh "$job/session" "$id" \
    </dev/null >/dev/null 2>&1 9>&- &
  exec 8>&-
}

follow() { # the log from $offset on, until the script has ended; then its state on stderr
  ticks=0
  while :; do
    # Its result says that it ended; systemd is asked now and then, for one that ended without.
    now=running
    if [ -e "$job/rc" ] || [ $((ticks % 10)) -eq 0 ]; then now=$(state); fi
    ticks=$((ticks + 1))
    size=$(stat -c %s "$job/log" 2>/dev/null || echo 0)
    if [ "$size" -gt "$offset" ]; then
      tail -c "+$((offset + 1))" "$job/log" | head -c "$((size - offset))"
      offset=$size
    fi
    [ "$now" = running ] || break
    sleep 0.2
  done
  echo "$now" >&2
}

stop() {
  if rootless; then
    ! alive || stop_session
  else
    systemctl stop "$unit" 2>/dev/null || true
  fi
  state
}

stop_session() { # asked again, because one that has just begun may not hear it
  for _ in 1 2 3 4 5 6 7 8 9; do
    grep -lszxF "HK8S_SESSION=$id" /proc/[0-9]*/environ | cut -d/ -f3 | xargs -r kill -TERM 2>/dev/null || true
    ! flock -s -w 5 "$job/session.lock" true || return 0
  done
}

$verb
