# ---- Kubernetes's own packages: the key that they are signed with, and which versions there are ---------------------

kube_key() { # URL-OR-FILE PATH: the key there, as apt takes it: without armour
  directory "${2%/*}"
  part_file=$(mktemp "${2%/*}/.hk8s.XXXXXX")
  case $1 in
    /*) cat "$1" ;;
    *) curl -fsSL --retry 3 --connect-timeout 15 --max-time 120 "$1" ;;
  esac >"$part_file" ||
    fail 1 "$1 cannot be fetched. Is kubernetes.version right, and does this machine reach that server?"
  aside=$(mktemp -d)
  if grep -q '^-----BEGIN PGP PUBLIC KEY BLOCK-----' "$part_file"; then
    gpg --homedir "$aside" --batch --quiet --dearmor --output "$aside/key" "$part_file" || true
    [ ! -s "$aside/key" ] || cat "$aside/key" >"$part_file"
  fi
  known=$(gpg --homedir "$aside" --batch --quiet --show-keys "$part_file" 2>/dev/null) || known=
  rm -rf -- "$aside"
  [ -n "$known" ] || fail 1 "$1 is no key (OpenPGP)"
  chmod 644 "$part_file"
  new=$(content "$part_file")
  if [ "$(content "$2")" = "$new" ]; then
    rm -f -- "$part_file"
    return
  fi
  remember "$2" "$new"
  install_file "$2"
}

kube_there() { # VERSION PACKAGE…: does apt have it; else it says which versions there are
  pattern=$1; shift
  for package in "$@"; do
    versions=$(apt-cache madison "$package" | awk -F ' *[|] *' '{ print $2 }')
    found=
    for version in $versions; do
      # shellcheck disable=SC2254 # a pattern, on purpose
      case $version in $pattern) found=$version; break ;; esac
    done
    if [ -z "$found" ]; then
      say "$package, versions that apt knows: $(echo "${versions:-none}" | tr '\n' ' ')"
      fail 1 "there is no $package $pattern. Write a version that there is as kubernetes.version in cluster.yaml"
    fi
    say "$package $found"
  done
}

put_block() { # PATH BEGIN END LINE…: these lines between these two marks, in place of those there; without lines, none
  path=$1 begin=$2 end=$3; shift 3
  plain "$path"
  part_file=$(mktemp "${path%/*}/.hk8s.XXXXXX")
  [ ! -e "$path" ] || cp -p -- "$path" "$part_file"
  {
    [ ! -e "$path" ] || begin=$begin end=$end awk '
      $0 == ENVIRON["begin"] { within = 1 }
      !within { print }
      $0 == ENVIRON["end"] { within = 0 }' "$path"
    [ $# = 0 ] || printf '%s\n' "$begin" "$@" "$end"
  } >"$part_file.new"
  cat "$part_file.new" >"$part_file"
  rm -f -- "$part_file.new"
  install_file "$path"
}

containerd_serves() { # SECONDS: waits until it answers, and its side for Kubernetes (CRI) is up
  began=$(cut -d. -f1 /proc/uptime)
  spoken=$began
  look="Look further: journalctl -u containerd -n 50"
  while :; do
    told=$(timeout 10 ctr plugins ls -d 'type==io.containerd.grpc.v1,id==cri' 2>&1) || true
    case $told in
      *Error:*) fail 1 "containerd does not serve Kubernetes: $(echo "$told" | sed -n 's/^ *Message: *//p'). $look" ;;
      *"ID: "*cri*) return ;;
    esac
    told=$(printf '%s' "$told" | tail -n 1)
    now=$(cut -d. -f1 /proc/uptime)
    [ $((now - began)) -lt "$1" ] || fail 1 "containerd does not answer: $told. $look"
    if [ $((now - spoken)) -ge 5 ]; then
      say "containerd does not answer yet: $told"
      spoken=$now
    fi
    sleep 0.5
  done
}
