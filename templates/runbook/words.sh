say() { printf '%s\n' "$*"; }

fail() { # STATUS WORDS
  status=$1; shift
  printf '%s: %s\n' "$name" "$*" >&2
  exit "$status"
}
