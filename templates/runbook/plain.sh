
ended() {
  say "$name: done"
}
