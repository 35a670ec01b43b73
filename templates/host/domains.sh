# ---- definitions of domains: kept before they are changed, defined again on the way back ------------------------------

keep_domain() { # DOMAIN BEFORE: its definition, with the passwords in it, is kept in the file BEFORE
  left=${2%.before.xml}.after.xml
  (umask 077; mkdir -p "${2%/*}")
  part_file=$(mktemp "${2%/*}/.hk8s.XXXXXX")
  virsh dumpxml --inactive --security-info "$1" >"$part_file"
  if [ -e "$2" ] && noted "define_again $1 $2"; then
    if cmp -s "$part_file" "$2" || [ ! -e "$left" ] || virsh dumpxml --inactive "$1" | cmp -s - "$left"; then
      rm -f -- "$left"
    else
      say "somebody changed the definition of $1 since: undo will refuse, and show how"
    fi
    rm -f -- "$part_file"
    part_file=
    return
  fi
  rm -f -- "$left"
  install_file "$2"
}

leave_domain() { # DOMAIN BEFORE: what it is now, beside BEFORE, so that a later change by somebody else is noticed
  left=${2%.before.xml}.after.xml
  [ ! -e "$left" ] || return 0
  part_file=$(mktemp "${2%/*}/.hk8s.XXXXXX")
  virsh dumpxml --inactive "$1" >"$part_file"
  install_file "$left"
}

define_again() { # DOMAIN BEFORE: the definition that was kept; a domain that is gone by now stays gone
  left=${2%.before.xml}.after.xml
  if [ ! -e "$2" ]; then
    say "the definition of $1 is back already"
    return
  fi
  domains=$(virsh list --all --name)
  if echo "$domains" | grep -qxF -- "$1"; then
    rm -f -- "$left"
    virsh define "$2"
  fi
  rm -f -- "$left" "$2"
}

unplug() { # DOMAIN MAC: takes a NIC from a running guest, where the guest lets go of it
  kind=$(nic_kind "$1" "$2")
  [ -n "$kind" ] || return 0
  virsh detach-interface "$1" "$kind" --mac "$2" --live || true
  patience=10
  while [ -n "$(nic_kind "$1" "$2")" ]; do
    if [ "$patience" = 0 ]; then
      say "$1 does not let go of the NIC $2 while it runs; it goes when $1 is shut down"
      return
    fi
    patience=$((patience - 1))
    sleep 0.5
  done
}

nic_kind() { # DOMAIN MAC: what virsh calls that NIC of a running guest (network, bridge); nothing where there is none
  virsh domiflist "$1" 2>/dev/null | awk -v mac="$2" '$5 == mac { print $2; exit }'
}

noted() { # LINE: is it noted, by an attempt that has not been undone since?
  LINE=$1 STEP=$step awk -F '\t' '
    $2 == ENVIRON["STEP"] && $3 == "end" { delete open[$1] }
    $2 == ENVIRON["STEP"] && $3 == "undo" && $4 == ENVIRON["LINE"] { open[$1] = 1 }
    END { for (attempt in open) found = 1; exit !found }' "$home/manifest" 2>/dev/null
}
