# ---- words for ufw: its files are written by itself, so what they were is noted before, what they became after -------

ufw_files="/etc/ufw/user.rules /etc/ufw/user6.rules /etc/ufw/ufw.conf"

ufw_on() { grep -qx 'ENABLED=yes' /etc/ufw/ufw.conf; }

ufw_before() { # notes the way back; read from bottom to top, it is what runs then
  if ufw_on; then
    on_undo "ufw reload"
  else
    for of in ip ip6; do ufw_note_chains "$of"; done
    ufw_note_settings
  fi
  for file in $ufw_files; do [ ! -e "$file" ] || remember "$file" changing; done
  ufw_on || on_undo "ufw --force disable"
}

ufw_after() { # what undo expects to find
  mkdir -p "$home/written"
  for file in $ufw_files; do
    new=$(content "$file")
    cp -- "$file" "$home/written/$new"
    remember "$file" "$new"
  done
}

ufw_note_chains() { # ip OR ip6: `ufw disable` leaves empty chains, and ACCEPT whatever was before
  if command -v nft >/dev/null && ! nft list tables | grep -qx "table $1 filter"; then
    on_undo "ufw_sweep $1 table"
    return
  fi
  "${1}tables" -S | grep -q '^-N ufw' || on_undo "ufw_sweep $1 chains"
  "${1}tables" -S | grep '^-P ' | while read -r rule; do on_undo "${1}tables $rule"; done
}

ufw_note_settings() { # the sysctls that ufw sets when it starts; those of `all` and `default` reach into each interface's
  settings=$(sed -n 's/^IPT_SYSCTL=//p' /etc/default/ufw)
  [ -r "$settings" ] || return 0
  mkdir -p "$home/backup/$attempt"
  sed -n 's/^[[:space:]]*\([a-z0-9_/.]*\)[[:space:]]*=.*/\1/p' "$settings" | tr . / | sed 's,/\(all\|default\)/,/*/,' |
    sort -u | while read -r key; do
      for each in /proc/sys/$key; do [ ! -e "$each" ] || echo "$each $(cat "$each")"; done
    done >"$home/backup/$attempt/ufw-settings"
  on_undo "ufw_settings $home/backup/$attempt/ufw-settings"
}

ufw_settings() { # FILE: as noted there
  while read -r path value; do
    [ ! -e "$path" ] || [ "$(cat "$path")" = "$value" ] || echo "$value" >"$path"
  done <"$1"
}

ufw_sweep() { # ip OR ip6, AND chains OR table: what ufw leaves behind
  tool=${1}tables
  "$tool" -S | sed -n 's/^-A \(.* -j ufw\)/-D \1/p' | while read -r rule; do
    # shellcheck disable=SC2086
    "$tool" $rule
  done
  left=$("$tool" -S | sed -n 's/^-N \(ufw.*\)/\1/p')
  for chain in $left; do "$tool" -F "$chain"; done
  for chain in $left; do "$tool" -X "$chain"; done
  if [ "$2" = table ] && command -v nft >/dev/null &&
    ! nft list table "$1" filter | grep -vqE '^#|^table|^[[:space:]]*(type .* policy accept;|chain (INPUT|FORWARD|OUTPUT) \{|\}|)$'; then
    nft delete table "$1" filter
  fi
}
