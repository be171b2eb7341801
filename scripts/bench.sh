#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the comparison of engines and the Go benchmarks of the parts, and compares both with the committed baseline.
# Arguments go to wsk-xdp bench. As an ordinary user it works in a user and network namespace of its own, without XDP at
# the receiver; numbers for documents need root.
#
#   YARDSTICK  source file of a C sender with the options of an AF_XDP yardstick (-i -q -l -b -B -t): compiled with gcc -O2 and
#              compared, once with its best budget and once with bursts of 64 only. Not part of this repository.
#   SIZES      frame sizes with FCS (default 64,1518)
#   OUT        directory for compare.json and go.txt (default: a new one in the temporary directory)
#   COUNT      repetitions of the Go benchmarks (default 6, what benchstat asks for; 0: none)
#   PRIORITY   1: take the processors from everything else on the machine meanwhile (root; spreads become a quarter as wide)
#   BASELINE   directory with an earlier compare.json and go.txt (default docs/bench, where it exists)
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-$(mktemp -d)}
baseline=${BASELINE:-docs/bench}
count=${COUNT:-6}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
mkdir -p "$out"

CGO_ENABLED=0 go build -o "$build/wsk-xdp" ./cmd/wsk-xdp
args=(--output "$out/compare.json")
if [ -n "${YARDSTICK:-}" ]; then
  gcc -O2 -o "$build/yardstick" "$YARDSTICK"
  args+=(--external "c=$build/yardstick -i {if} -q 0 -l {frame} -b 64 -B 256 -c {cpu} -t {duration}"
    --external "c-b64=$build/yardstick -i {if} -q 0 -l {frame} -b 64 -c {cpu} -t {duration}")
fi
if [ -f "$baseline/compare.json" ]; then
  args+=(--baseline "$baseline/compare.json")
fi
run=("$build/wsk-xdp" bench --size "${SIZES:-64,1518}" "${args[@]}" "$@")
if [ "$(id -u)" -ne 0 ] && unshare -Urn true 2>/dev/null; then
  echo "not root: running in a user and network namespace of our own" >&2
  run=(unshare -Urn --kill-child "${run[@]}")
fi
if [ "${PRIORITY:-0}" = 1 ]; then
  # nice alone decides only within a session where the kernel schedules by sessions (sched_autogroup_enabled).
  run=(setsid -w bash -c 'echo -20 >/proc/self/autogroup 2>/dev/null; exec nice -n -20 "$@"' bench "${run[@]}")
fi
"${run[@]}"

if [ "$count" -gt 0 ]; then
  go test -run '^$' -bench . -benchmem -count "$count" ./frame ./xdp ./wsk ./wsk/datapath | tee "$out/go.txt"
  if [ -f "$baseline/go.txt" ]; then
    if go tool benchstat -h >/dev/null 2>&1; then
      go tool benchstat "$baseline/go.txt" "$out/go.txt"
    else
      echo "no benchstat among the tools of go.mod: compare $baseline/go.txt with $out/go.txt by hand" >&2
    fi
  fi
fi
echo "kept in $out" >&2
