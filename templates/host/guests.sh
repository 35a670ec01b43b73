# ---- guests: the image, the disk, the domain, and what its console says ---------------------------------------------

guest_fetch() { # URL FILE SHA256: downloaded, going on where it broke off; kept only if it is what was meant
  [ ! -e "$2" ] || return 0
  directory "${2%/*}"
  ended=0
  guest_download "$1" "$2.part" || ended=$?
  case $ended in
    22 | 33 | 36) # this server cannot go on in the middle
      ended=0
      rm -f -- "$2.part"
      guest_download "$1" "$2.part" || ended=$?
      ;;
  esac
  case $ended in
    0) ;;
    23) guest_unwritten "$2" ;;
    *) fail 1 "the image could not be fetched; check the address in cluster.yaml, and that this host reaches it" ;;
  esac
  guest_is "$2.part" "$3" || { rm -f -- "$2.part"; guest_is_not "$1" "$3"; }
  sync "$2.part"
  mv -f -- "$2.part" "$2"
}

guest_download() { # URL FILE: says every ten seconds how far it is
  curl -fsSL -C - --retry 5 --connect-timeout 20 --speed-limit 1000 --speed-time 60 -o "$2" "$1" &
  download=$! seconds=0
  while kill -0 "$download" 2>/dev/null; do
    sleep 1
    seconds=$((seconds + 1))
    [ $((seconds % 10)) -ne 0 ] || say "$(($(stat -c %s "$2" 2>/dev/null || echo 0) / 1048576)) MiB so far"
  done
  wait "$download"
}

guest_unwritten() { # FILE: curl could not write it, and does not say why; a full disk gets back what it was filled with
  why=$({ head -c 1048576 /dev/zero >"$1.room"; } 2>&1) || true
  rm -f -- "$1.room"
  case $why in
    *'No space left on device'*)
      rm -f -- "$1.part" # before anything is said: the log may lie on the same disk
      fail 1 "the image does not fit into ${1%/*}: No space left on device"
      ;;
  esac
  fail 1 "the image could not be written to $1.part: ${why:-see what curl says}"
}

guest_is() { # FILE SHA256
  say "sha256sum $1"
  found=$(content "$1")
  [ "$found" = "$2" ]
}

guest_is_not() { # WHAT SHA256
  fail 1 "$1 is not what cluster.yaml says: its sha256 is $found, not $2; compare both with the distributor's list"
}

guest_known() { # IMAGE KEY: what qemu-img says of it
  qemu-img info --output=json "$1" | sed -n 's/^    "'"$2"'": "*\([^",]*\)"*,*$/\1/p'
}

guest_disk() { # IMAGE FILE CONSOLE BYTES [SHA256]: a full copy of the image, as large as wanted, its console empty
  if [ -e "$2" ]; then
    grep -qF "remove_guest_disk $2 " "$home/manifest" || fail 75 "$2 is there by now, and not from here; it is left as it is"
    return
  fi
  [ -e "$1" ] || fail 1 "there is no image $1"
  [ -z "${5:-}" ] || guest_is "$1" "$5" || guest_is_not "$1" "$5"
  format=$(guest_known "$1" format)
  case $format in
    '') fail 1 "$1 is no disk image" ;;
    raw) [ "$(od -An -tx1 -j510 -N2 "$1" | tr -d ' ')" = 55aa ] || fail 1 "$1 is no disk image: it has no partition table" ;;
    qcow2) qemu-img check -q "$1" || [ $? -eq 3 ] || fail 1 "the image $1 is damaged: fetch it again" ;;
  esac
  [ "$(guest_known "$1" virtual-size)" -le "$4" ] || fail 1 "the disk in $1 is larger than the guest's disk is to be: $4 bytes"
  directory "${2%/*}"
  on_undo "remove_guest_disk $2 $3"
  rm -f -- "$3"
  say "qemu-img convert -f $format -O qcow2 $1 $2"
  qemu-img convert -f "$format" -O qcow2 "$1" "$2.part"
  qemu-img resize -q "$2.part" "$4"
  chmod 600 "$2.part"
  sync "$2.part"
  mv -- "$2.part" "$2"
}

remove_guest_disk() { # FILE CONSOLE
  rm -f -- "$1" "$1.part" "$2" "$2".[0-9]*
}

guest_defined() { # NAME
  virsh dominfo "$1" >/dev/null 2>&1
}

guest_define() { # NAME UUID FILE ARGUMENT-OF-VIRT-INSTALL…: defined, unless it is; FILE keeps the definition
  name=$1 uuid=$2 file=$3; shift 3
  if guest_defined "$name"; then return; fi
  on_undo "remove_guest $name $uuid $file"
  virt-install --connect qemu:///system --name "$name" --uuid "$uuid" "$@" --print-xml >"$file"
  virsh define --validate "$file"
}

remove_guest() { # NAME UUID FILE: unless it is another guest by now
  if [ "$(virsh domuuid "$1" 2>/dev/null | head -n 1)" = "$2" ]; then
    guest_off "$1" || virsh destroy "$1"
    virsh undefine "$1" --nvram --managed-save --snapshots-metadata --checkpoints-metadata
  fi
  rm -f -- "$3"
}

guest_off() { # NAME
  [ "$(virsh domstate "$1" | head -n 1)" = "shut off" ]
}

guest_start() { # NAME ADDRESS BRIDGE: unless it runs; first the LAN is asked whether the address is taken
  guest_off "$1" || return 0
  case $2 in
    *:*) ;;
    *) if arping -D -q -c 2 -w 3 -I "$3" "$2" >/dev/null 2>&1; then :; elif [ $? -eq 1 ]; then
        fail 1 "another machine on the LAN answers at $2; give the guest another address in cluster.yaml"
      fi ;;
  esac
  virsh start "$1"
}

guest_console() { # NAME LOG SECONDS: its console, until cloud-init has shown the SSH host keys
  began=$(cut -d. -f1 /proc/uptime) shown=0
  until grep -qs -e '-----END SSH HOST KEY KEYS-----' "$2"; do
    guest_says "$2"
    guest_stuck "$1" "$2"
    [ $(($(cut -d. -f1 /proc/uptime) - began)) -lt "$3" ] ||
      guest_fails "$1 has not finished its first boot within $3 s: above is what its console said last; wait for it and retry, or take this step back (undo) and use another image"
    sleep 1
  done
  guest_says "$2"
}

guest_keys() { # LOG: the SSH host keys that cloud-init showed, where it, or what was rotated out of it, still has them
  cat "$1".2 "$1".1 "$1".0 "$1" 2>/dev/null |
    sed -n '/-----BEGIN SSH HOST KEY KEYS-----/,/-----END SSH HOST KEY KEYS-----/p'
}

guest_says() { # LOG: what is new in it
  size=$(stat -c %s "$1" 2>/dev/null || echo 0)
  [ "$size" -le "$shown" ] || tail -c "+$((shown + 1))" "$1" | head -c "$((size - shown))"
  shown=$size
}

guest_stuck() { # NAME LOG: what will not get better by waiting
  state=$(virsh domstate "$1" --reason | head -n 1)
  case $state in running*) ;; *) guest_fails "$1 is not running any more, but: $state" ;; esac
  if grep -qs -e 'UEFI Interactive Shell' -e 'No bootable option' "$2"; then
    guest_fails "the firmware finds nothing to start on the disk of $1: take this step back (undo), then use a cloud image that starts by UEFI"
  fi
  if grep -qs -e 'Kernel panic - not syncing' -e 'You are in emergency mode' "$2"; then
    guest_fails "the system in $1 does not start: above is what its console said last; take this step back (undo), then use another image"
  fi
}

guest_fails() { # WORDS: on a line of their own, below what the console said
  echo
  fail 1 "$1"
}

guest_has() { # NAME FILE [--inactive]: among its disks, now or at its next start
  virsh dumpxml "$1" ${3:+"$3"} | grep -qF "file='$2'"
}

guest_eject() { # NAME FILE: the disk of the first boot is taken out: for good, and now as far as the guest lets it
  if guest_has "$1" "$2" --inactive; then virsh detach-disk "$1" "$2" --config; fi
  if ! guest_off "$1" && guest_has "$1" "$2"; then
    virsh detach-disk "$1" "$2" --live || true
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      guest_has "$1" "$2" || break
      sleep 1
    done
    if guest_has "$1" "$2"; then
      say "the guest does not let go of $2 now; it is gone when the guest is started the next time"
      return
    fi
  fi
  rm -f -- "$2"
}

first_boot_over() { # SECONDS: cloud-init in this guest has done what it was told, and does nothing from then on:
  # without its seed it would take the next boot for another machine's first one, and make new SSH host keys. So all that
  # it made is on the disk first: keys that a loss of power empties would never be made again.
  off=/etc/cloud/cloud-init.disabled
  [ ! -e "$off" ] || return 0
  command -v cloud-init >/dev/null || fail 1 "there is no cloud-init in this guest; use an image that has it"
  code=0
  timeout "$1" cloud-init status --wait >/dev/null 2>&1 || code=$?
  cloud-init status --long || true
  case $code in 0 | 2) sync; : >"$off"; sync "$off"; return ;; esac
  tail -n 20 /var/log/cloud-init-output.log || true
  fail 1 "cloud-init did not end well (status $code): look at /var/log/cloud-init.log in the guest"
}
