# ---- Debian packages: installed, and taken away again as far as nobody else needs them by then ----------------------

installing() { # the program that holds a lock of dpkg or apt, as "NAME (process PID)"; nothing when all are free
  find /proc/[0-9]*/fd -maxdepth 1 \( -lname /var/lib/dpkg/lock -o -lname /var/lib/dpkg/lock-frontend \
    -o -lname /var/lib/apt/lists/lock -o -lname /var/cache/apt/archives/lock \) 2>/dev/null |
  while IFS=/ read -r _ _ process _ number; do
    grep -qs '^lock:' "/proc/$process/fdinfo/$number" || continue
    echo "$(cat "/proc/$process/comm") (process $process)"
    break
  done
}

packages_free() { # waits until nobody else installs, and names who does
  patience=900; named=
  while holder=$(installing) && [ -n "$holder" ]; do
    [ "$holder" = "$named" ] || say "waiting: $holder is installing or updating packages (at most $patience s)"
    named=$holder
    [ "$patience" -gt 0 ] || fail 75 "$holder still holds the lock of the package system; end it or let it finish, then try again"
    patience=$((patience - 1))
    sleep 1
  done
}

packages_apt() { # ARGUMENT…: apt-get that asks nothing, keeps changed settings, and restarts no other service
  NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none apt-get -q -y -o DPkg::Lock::Timeout=900 -o Acquire::Retries=3 \
    -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    -o APT::Get::AutomaticRemove=0 "$@" </dev/null
}

packages_in() { # STATUS PACKAGE…: those of them that dpkg has in this status
  wanted=$1; shift
  # shellcheck disable=SC2016 # dpkg-query's own fields
  dpkg-query -W -f='${db:Status-Status} ${binary:Package}\n' "$@" 2>/dev/null | sed -n "s/^$wanted //p"
}

packages_refresh() {
  say "apt-get update"
  packages_free
  packages_apt update || say "not all lists of packages could be fetched; going on with those that are there"
}

packages_finish() { # what an interrupted installation left half-way
  packages_free
  dpkg --force-confdef --force-confold --configure -a </dev/null
}

packages_install() { # PACKAGE…: without what they merely recommend; fails rather than remove anything
  say "apt-get install --no-install-recommends $*"
  packages_free
  coming=$(packages_apt -s install --no-install-recommends --no-remove "$@" |
    awk '$1 == "Inst" && $3 !~ /^\[/ { printf " %s", $2 }')
  if [ -n "$coming" ]; then
    # shellcheck disable=SC2086 # names of packages
    left=$(packages_in config-files $coming | tr '\n' ' ')
    fresh=$coming
    for package in $left; do fresh=$(echo "$fresh " | sed "s/ ${package%%:*} / /"); done
    mkdir -p "$home/backup/$attempt"
    [ -e "$home/backup/$attempt/in-etc" ] || find /etc ! -type d | sort >"$home/backup/$attempt/in-etc"
    on_undo "packages_purge $attempt$fresh"
    on_undo "packages_remove$coming"
  fi
  packages_apt install --no-install-recommends --no-remove "$@"
}

packages_remove() { # PACKAGE…: those that nothing outside this list depends on, nor the system itself; their settings stay
  packages_free
  # shellcheck disable=SC2016 # dpkg-query's own fields
  going=$(dpkg-query -W -f='${db:Status-Status}${Essential}${Protected}${Important} ${binary:Package}\n' "$@" 2>/dev/null |
    sed -nE 's/^installed(no)* //p')
  while [ -n "$going" ]; do
    # shellcheck disable=SC2086 # names of packages
    needed=$(dpkg --no-act --remove $going 2>&1 | sed -n 's/^dpkg: error processing package \(.*\) (--remove):$/\1/p')
    [ -n "$needed" ] || break
    # shellcheck disable=SC2086
    say "kept, because other packages need it:" $needed
    going=$(printf '%s\n' "$going" | grep -vFx "$needed" || true)
  done
  # shellcheck disable=SC2086
  [ -z "$going" ] || packages_apt remove $going
}

packages_purge() { # ATTEMPT PACKAGE…: the settings of those that are removed, except what was there before that attempt
  before=$home/backup/$1; shift
  settings=$(packages_in config-files "$@")
  [ -n "$settings" ] || return 0
  # shellcheck disable=SC2016,SC2086 # dpkg-query's own fields, names of packages
  dpkg-query -W -f='${Conffiles}\n' $settings | sed -n 's/^ \([^ ]*\) .*/\1/p' | sort |
    comm -12 - "$before/in-etc" | while read -r file; do [ ! -e "$file" ] || echo "$file"; done >"$before/stays"
  tar -cPf "$before/stays.tar" -T "$before/stays"
  # shellcheck disable=SC2086
  packages_apt purge $settings
  tar -xPpf "$before/stays.tar"
  systemctl list-units --all --plain --no-legend --state=failed | awk '$2 == "not-found" { print $1 }' |
    xargs -r systemctl reset-failed || true
}
