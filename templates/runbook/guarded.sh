
beware() {
  say "This may cut your connection. $guard s after it began, this host goes back to what it was, by itself, unless you
log in anew${reach:+ (to $reach)} and run there, as root: sh $confirm"
}

ended() {
  say "$name: done, and not confirmed yet. Log in anew${reach:+ (to $reach)} and run there, as root: sh $confirm
In $(($(cat "$home/guard/deadline") - $(cut -d. -f1 /proc/uptime))) s this host goes back to what it was."
}
