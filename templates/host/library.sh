# ---- the words used above -------------------------------------------------------------------------------------------

home=${HK8S_HOME:-/var/lib/homek8s-wizard}
tab=$(printf '\t')

say() { printf '==> %s\n' "$*"; }

fail() { # STATUS WORDS
  status=$1; shift
  printf 'error: %s\n' "$*" >&2
  exit "$status"
}

content() { # PATH: its sha256, or "absent"
  if [ -e "$1" ]; then sha256sum <"$1" | cut -d' ' -f1; else echo absent; fi
}

note() { # KIND WHAT SHA256 BEFORE-IMAGE: one line of the manifest, on disk before the deed
  mkdir -p "$home" && chmod 700 "$home"
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$attempt" "$step" "$1" "$2" "${3:--}" "${4:--}" >>"$home/manifest"
  sync "$home/manifest"
}

on_undo() { # LINE: noted once per attempt
  grep -qsFx "$attempt$tab$step${tab}undo$tab$1$tab-$tab-" "$home/manifest" || note undo "$1"
}

directory() { # PATH: made where it is missing, and noted; our own home is made by the note itself
  if [ -d "$1" ] || [ "$1" = "$home" ]; then return; fi
  directory "${1%/*}"
  note dir "$1"
  mkdir -m 755 "$1"
}

remember() { # PATH SHA256-TO-COME: how PATH is now, kept for the way back
  before=-
  if [ -e "$1" ]; then
    before=$home/backup/$attempt$1
    mkdir -p "${before%/*}"
    [ -e "$before" ] || { cp -p -- "$1" "$before.part" && sync "$before.part" && mv -f -- "$before.part" "$before"; }
  fi
  note file "$1" "$2" "$before"
}

plain() { # PATH: neither link nor directory
  [ ! -L "$1" ] || fail 1 "$1 is a symbolic link; it is left as it is"
  [ ! -d "$1" ] || fail 1 "$1 is a directory; it is left as it is"
}

unchanged() { # PATH SHA256-SEEN
  [ "$(content "$1")" = "$2" ] || fail 75 "$1 is no longer as it was when this was planned; it is left as it is"
}

part_file=
install_file() { # PATH: $part_file becomes PATH, atomically
  sync "$part_file"
  mv -fT -- "$part_file" "$1"
  part_file=
  sync "${1%/*}"
  if command -v restorecon >/dev/null 2>&1; then restorecon "$1" || true; fi
}

put() { # PATH MODE SHA256-SEEN <content
  say "write $1"
  plain "$1"
  directory "${1%/*}"
  part_file=$(mktemp "${1%/*}/.hk8s.XXXXXX")
  cat >"$part_file"
  chmod "$2" "$part_file"
  new=$(content "$part_file")
  if [ "$(content "$1")" = "$new" ]; then
    chmod "$2" "$1"
    rm -f -- "$part_file"
    return
  fi
  unchanged "$1" "$3"
  remember "$1" "$new"
  mkdir -p "$home/written"
  cp -- "$part_file" "$home/written/$new"
  install_file "$1"
}

edit_line() { # PATH WAS NOW: a line of a file that is not ours, wherever it stands; nothing else is copied or shown
  plain "$1"
  if ! grep -qxF -- "$2" "$1" && grep -qxF -- "$3" "$1"; then return; fi
  say "change one line of $1"
  grep -qxF -- "$2" "$1" || fail 75 "$1 has no line that reads: $2"
  on_undo "edit_line $(quoted "$1") $(quoted "$3") $(quoted "$2")"
  part_file=$(mktemp "${1%/*}/.hk8s.XXXXXX")
  cp -p -- "$1" "$part_file"
  was=$2 now=$3 awk '$0 == ENVIRON["was"] { print ENVIRON["now"]; next } { print }' "$1" >"$part_file"
  install_file "$1"
}

quoted() { # WORD: as these scripts read it back; a tab is named, because it divides the fields of the manifest
  printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g; s/$tab/'\"\$tab\"'/g")"
}

drop() { # PATH SHA256-SEEN
  say "move aside $1"
  [ -e "$1" ] || return 0
  plain "$1"
  unchanged "$1" "$2"
  remember "$1" absent
  rm -f -- "$1"
  sync "${1%/*}"
}

restore() { # PATH SHA256-WRITTEN BEFORE-IMAGE
  if [ "$3" = - ]; then goal=absent; else goal=$(content "$3"); fi
  [ "$(content "$1")" != "$goal" ] || return 0
  if [ "$3" = - ]; then say "remove $1"; else say "restore $1"; fi
  plain "$1"
  unchanged "$1" "$2"
  remember "$1" "$goal"
  put_back "$1" "$3"
}

put_back() { # PATH BEFORE-IMAGE
  if [ "$2" = - ]; then
    rm -f -- "$1"
    return
  fi
  mkdir -p "${1%/*}"
  part_file=$(mktemp "${1%/*}/.hk8s.XXXXXX")
  cp -p -- "$2" "$part_file"
  install_file "$1"
}

await() { # SECONDS WORDS PROBE…
  limit=$1; words=$2; shift 2
  say "wait until $words (at most $limit s)"
  began=$(cut -d. -f1 /proc/uptime)
  until "$@" >/dev/null 2>&1; do
    [ $(($(cut -d. -f1 /proc/uptime) - began)) -lt "$limit" ] || { echo "still not so after $limit s: $words" >&2; return 1; }
    sleep 0.2
  done
}

forget() { # ATTEMPT…: what they changed has been undone
  for done_with in "$@" "$attempt"; do
    printf '%s\t%s\tend\tundone\t-\t-\n' "$done_with" "$step" >>"$home/manifest"
  done
  sync "$home/manifest"
}

take_back() { # ATTEMPT HOW: its notes, last first; at boot only the files
  tac "$home/manifest" | while IFS=$tab read -r of _ kind what _ before; do
    [ "$of" = "$1" ] || continue
    case $kind in
      file) put_back "$what" "$before" ;;
      dir) rmdir "$what" 2>/dev/null || true ;;
      undo) [ "$2" = boot ] || ( eval "$what" ) || say "this failed, going on: $what" ;;
    esac || say "this failed, going on: $kind $what"
  done
  printf '%s\t%s\tend\treverted\t-\t-\n' "$1" "$step" >>"$home/manifest"
  sync "$home/manifest"
}
