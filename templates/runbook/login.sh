
login() { # the process of sshd that carries this login, and when it began; nothing at a console
  process=$$
  while [ "$process" -gt 1 ]; do
    case $(cat "/proc/$process/comm") in
      sshd*) cut -d' ' -f1,22 "/proc/$process/stat"; return ;;
    esac
    process=$(sed -n "s/^PPid:$(printf '\t')//p" "/proc/$process/status")
  done
}
