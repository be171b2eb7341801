#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test once with the race detector and prints how many passed, failed and were skipped. As an ordinary user it
# first enters a user and network namespace of its own, where all but loading XDP programs is possible.
set -euo pipefail
cd "$(dirname "$0")/.."
summary=$(mktemp -d)
trap 'rm -rf "$summary"' EXIT
# Each program with the race detector sleeps for a second when it ends, and the tests of the command line run hundreds of them.
export GORACE="atexit_sleep_ms=20 ${GORACE:-}"
go build -o "$summary/testsum" ./scripts/testsum
# All that the tests need is fetched now: the namespace below has no way out.
go list -deps -test ./... >/dev/null
programs=docs/examples/netconn
with_programs=true
if ! missing=$(cd "$programs" && timeout 120 go list -deps -test ./... 2>&1 >/dev/null); then
  with_programs=false
fi
# Go's own limit is ten minutes for a package, which one of them takes where ten others run beside.
# The tests wait for the kernel and for each other a third of the time: half as many packages again as there are processors.
parallel=$(($(nproc) * 3 / 2))
enter=("$summary/testsum")
if [ "$(id -u)" -ne 0 ] && unshare -Urn true 2>/dev/null; then
  echo "not root: running in a user and network namespace of our own"
  # One package at a time: locked memory is counted per user, and two queues are what the usual 8 MiB hold.
  parallel=1
  enter=(unshare -Urn --kill-child env TESTSUM_LOOPBACK=1 "$summary/testsum")
fi
run=(go test -json -race -shuffle=on -count=1 -timeout 60m -p "$parallel" "$@" ./...)
if "$with_programs"; then
  # Programs of others over wsk/wsknet, a module of its own. Without the race detector and cgo: what they share with `make
  # build` is built already.
  run+=(\; env CGO_ENABLED=0 go -C "$programs" test -json -shuffle=on -count=1 -p "$parallel" "$@" ./...)
fi
code=0
"${enter[@]}" "${run[@]}" || code=$?
"$with_programs" || printf '%s was not tested, its modules are not to be had:\n%s\n' "$programs" "$missing"
exit "$code"
