
fill() { # FILE, then MARK COMMAND …: every READ-FROM-THE-HOST{MARK} in it becomes what COMMAND prints here, plain words
  file=$1 asked=; shift
  while [ $# -gt 0 ]; do
    if [ "$2" != "$asked" ]; then
      asked=$2
      value=$(sh -c "$asked" </dev/null) || true
      case $value in
        '') fail 75 "nothing was done, because this host has no answer to: $asked" ;;
        *[!A-Za-z0-9._:/@%+,=\ -]*) fail 75 "nothing was done, because this host's answer to $asked is not made of plain words: $value" ;;
      esac
      say "read from this host: $value ($asked)"
    fi
    mark="READ-FROM-THE-HOST{$1}" value=$value awk '{
      done = ""
      rest = $0
      while (at = index(rest, ENVIRON["mark"])) {
        done = done substr(rest, 1, at - 1) ENVIRON["value"]
        rest = substr(rest, at + length(ENVIRON["mark"]))
      }
      print done rest
    }' "$file" >"$file.part"
    mv -f -- "$file.part" "$file"
    shift 2
  done
}
