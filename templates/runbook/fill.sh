
fill() { # FILE COMMAND…: every READ-FROM-THE-HOST{COMMAND} in it becomes what COMMAND prints here, plain words
  file=$1; shift
  for command in "$@"; do
    value=$(sh -c "$command" </dev/null) || true
    case $value in
      '') fail 75 "nothing was done, because this host has no answer to: $command" ;;
      *[!A-Za-z0-9._:/@%+,=\ -]*) fail 75 "nothing was done, because this host's answer to $command is not made of plain words: $value" ;;
    esac
    say "read from this host: $value ($command)"
    mark="READ-FROM-THE-HOST{$command}" value=$value awk '{
      done = ""
      rest = $0
      while (at = index(rest, ENVIRON["mark"])) {
        done = done substr(rest, 1, at - 1) ENVIRON["value"]
        rest = substr(rest, at + length(ENVIRON["mark"]))
      }
      print done rest
    }' "$file" >"$file.part"
    mv -f -- "$file.part" "$file"
  done
}
