
as_planned() { # SCRIPT: fails where a file is neither as it was when this was planned, nor as it is to be
  todo=$({ cat <<'WORDS'
set -eu
checked='
'
asked=
open=
content() { if [ -e "$1" ]; then sha256sum <"$1" | cut -d' ' -f1; else echo absent; fi; }
put() { as_seen "$1" "$3" "$(sha256sum | cut -d' ' -f1)"; }
drop() { as_seen "$1" "$2" absent; }
edit_line() { asked=yes; grep -qsxF -- "$3" "$1" || open=yes; }
await() { shift 2; "$@"; }
as_seen() { # PATH SEEN TO-COME
  case $checked in *"
$1
"*) return ;; esac
  checked="$checked$1
" asked=yes
  now=$(content "$1")
  [ "$now" != "$3" ] || return 0
  [ "$now" = "$2" ] || { echo "$1 is not as it was where this was planned" >&2; exit 75; }
  open=yes
}
WORDS
    questions "$1"
    # shellcheck disable=SC2016 # the shell that reads it expands it
    echo '[ -n "$asked" ] && [ -z "$open" ] || echo something'
  } | sh) || fail 75 "nothing was done; this script is for a machine that is as that one was"
}

questions() { # SCRIPT: its files, and what it asks the host before a command and at its end
  awk '
    /^main\(\) \{$/ { main = 1; next }
    !main { next }
    end != "" { print; if ($0 == end) end = ""; next }
    /^}$/ { exit }
    /^put .* <<\047END_OF_FILE_*\047$/ { end = $0; sub(/.*<<\047/, "", end); sub(/\047$/, "", end); print; next }
    /^(drop|edit_line) / { print; next }
    /^(on_undo|say) / { next }
    unless = outside(" >/dev/null 2>&1 || ") { question(substr($0, 1, unless - 1)); next }
    /^await / { question($0) }
    function outside(mark,   i, char, quote) { # quotes: where it stands; what is in quotes is a command of its own
      for (i = 1; i <= length($0); i++) {
        if (quote == "" && substr($0, i, length(mark)) == mark) return i
        char = substr($0, i, 1)
        if (quote == "" && (char == "\047" || char == "\"")) quote = char
        else if (char == quote) quote = ""
      }
      return 0
    }
    function question(line) {
      print "asked=yes; [ -n \"$open\" ] || " line " >/dev/null 2>&1 </dev/null || open=yes"
    }' "$1"
}

stands() { # SCRIPT: ends where it ran before, was not taken back since, and all it can be asked is as it left it
  [ -z "$todo" ] || return 0
  for earlier in "$home"/jobs/by-hand-*-"$slug"; do
    of=${earlier##*/}
    cmp -s "$1" "$earlier/script" || continue
    grep -qs '^success ' "$earlier/rc" || continue
    [ "$(cat "$home/guard/pending" 2>/dev/null)" != "$of" ] || fail 73 "it ran, and waits to be confirmed"
    awk -F '\t' -v of="$of" '$1 == of && $3 == "end" { exit 1 }' "$home/manifest" 2>/dev/null || continue
    say "$name: nothing to do; it ran before ($of), and its work is there. To run it all the same: sh $name again"
    exit 0
  done
}

begin() { # SCRIPT: as a job, whose log is shown until it has ended
  set +e
  said=$(set -e; start <"$1")
  status=$?
  set -e
  [ "$status" != 73 ] || fail 73 "another script of ours runs on this host: ${said#busy }; wait until it has ended"
  [ "$status" = 0 ] || fail "$status" "it could not be started: $said"
  # shellcheck disable=SC2034 # job.sh reads it
  offset=0
  follow 2>/dev/null
  result=interrupted status=1
  [ ! -e "$job/rc" ] || read -r result _ status <"$job/rc"
  if [ "$result" != success ]; then
    case $status in *[!0-9]*) status=1 ;; esac
    fail "$status" "it did not succeed ($result); its log is $job/log"
  fi
  ended
}
