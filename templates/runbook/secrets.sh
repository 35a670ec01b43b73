
ask_secret() { # NAME WORDS: what the wizard would bring is asked for here; what runs later has no keyboard
  [ -t 0 ] || fail 5 "it asks for a secret, so it needs a terminal (ssh -t): $2"
  mkdir -p "$home/secrets/$id"
  (
    trap 'stty echo' EXIT
    trap 'exit 130' INT TERM HUP
    stty -echo
    printf 'SECRET{%s}: %s\nPaste what that prints, then press Enter and Ctrl+D:\n' "$1" "$2" >&2
    cat >"$home/secrets/$id/$1"
  )
  [ -s "$home/secrets/$id/$1" ] || fail 5 "nothing was pasted"
}
