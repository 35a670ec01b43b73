need_secret() { # NAME WORDS: it was brought here, or is asked for at the keyboard
  brought=$home/secrets/$attempt/$1
  [ ! -s "$brought" ] || return 0
  [ -t 0 ] || fail 5 "the secret $1 was not brought here ($2)"
  printf 'SECRET{%s}: %s\nPaste what that prints, then press Enter and Ctrl+D:\n' "$1" "$2" >&2
  ( umask 077; mkdir -p "$home/secrets/$attempt"; stty -echo; cat >"$brought"; stty echo )
  [ -s "$brought" ] || fail 5 "nothing was pasted for the secret $1"
}

put_secret() { # PATH <content with SECRET{NAME} where the secrets belong; what was brought here is gone afterwards
  say "write $1, with secrets in it"
  plain "$1"
  rm -f -- "$1"
  ( umask 077; awk -v brought="$home/secrets/$attempt" '
    function secret(name,   file, line, all, between) {
      file = brought "/" name
      while ((getline line < file) > 0) { all = all between line; between = "\n" }
      close(file)
      if (all == "") exit 1
      return all
    }
    {
      rest = $0; done = ""
      while (match(rest, /SECRET\{[a-z-]+\}/)) {
        done = done substr(rest, 1, RSTART - 1) secret(substr(rest, RSTART + 7, RLENGTH - 8))
        rest = substr(rest, RSTART + RLENGTH)
      }
      print done rest
    }' >"$1" )
  rm -rf -- "$home/secrets/$attempt"
}
