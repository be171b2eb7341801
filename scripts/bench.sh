#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the measurements of wsk-xdp bench and the Go benchmarks of the parts, and compares with the committed baseline. Arguments go to
# wsk-xdp bench, the comparison of rates. As an ordinary user that one works in a user and network namespace of its own, without
# XDP at the receiver, and latency, receive and footprint are left out; numbers for documents need root.
#
#   PARTS      what to run (default "rates latency receive footprint go")
#   YARDSTICK  1: compare with scripts/yardstick.c, compiled with gcc -O2, once with its best budget and once with bursts of 64 only; or
#              the path of another C sender that has its options (-i -q -l -b -B -t -c)
#   SIZES      frame sizes with FCS (default 64,1518); the other measurements take the first of them
#   RUNS       runs of everything (default 5)
#   OUT        directory for the JSON documents and go.txt (default: a new temporary one)
#   COUNT      repetitions of the Go benchmarks (default 6, what benchstat asks for), BENCHTIME of each (default 1s)
#   PRIORITY   1: take the processors from everything else on the machine meanwhile (root; spreads become a quarter as wide)
#   BASELINE   1: write to docs/bench, the baseline of later runs, and compare with nothing
#   AGAINST    directory with an earlier rates.json and go.txt to compare with (default docs/bench)
set -euo pipefail
cd "$(dirname "$0")/.."
parts=" ${PARTS:-rates latency receive footprint go} "
out=${OUT:-}
against=${AGAINST:-docs/bench}
if [ "${BASELINE:-0}" = 1 ]; then
  out=docs/bench against=
fi
out=${out:-$(mktemp -d)}
sizes=${SIZES:-64,1518}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
mkdir -p "$out"

wants() { [[ $parts == *" $1 "* ]]; }
# prioritized runs a command, before all others on the machine where that is wished. nice alone decides only within a session where the
# kernel schedules by sessions (sched_autogroup_enabled).
prioritized() {
  if [ "${PRIORITY:-0}" = 1 ]; then
    setsid -w bash -c 'echo -20 >/proc/self/autogroup 2>/dev/null; exec nice -n -20 "$@"' bench "$@"
  else
    "$@"
  fi
}
measure() {
  echo "== $1" >&2
  prioritized "${confined[@]}" "$build/wsk-xdp" bench "${@:2}"
}

CGO_ENABLED=0 go build -o "$build/wsk-xdp" ./cmd/wsk-xdp
confined=()
if [ "$(id -u)" -ne 0 ]; then
  echo "not root: only rates and Go benchmarks, in a user and network namespace of our own" >&2
  parts=${parts/ latency / } parts=${parts/ receive / } parts=${parts/ footprint / }
  if unshare -Urn true 2>/dev/null; then
    confined=(unshare -Urn --kill-child)
  fi
fi

if wants rates; then
  args=(--size "$sizes" --runs "${RUNS:-5}" --output "$out/rates.json")
  if [ -n "${YARDSTICK:-}" ]; then
    [ "$YARDSTICK" != 1 ] || YARDSTICK=scripts/yardstick.c
    gcc -O2 -o "$build/yardstick" "$YARDSTICK"
    args+=(--external "c=$build/yardstick -i {if} -q 0 -l {frame} -b 64 -B 256 -c {cpu} -t {duration}"
      --external "c-b64=$build/yardstick -i {if} -q 0 -l {frame} -b 64 -c {cpu} -t {duration}")
  fi
  if [ -n "$against" ] && [ -f "$against/rates.json" ]; then
    args+=(--baseline "$against/rates.json")
  fi
  measure rates "${args[@]}" "$@"
fi
if wants latency; then
  measure latency latency --size "${sizes%%,*}" --runs "${RUNS:-5}" --output "$out/latency.json"
fi
if wants receive; then
  for sender in xdp wsk-batch; do
    measure "receive, sender $sender" receive --size "${sizes%%,*}" --runs "${RUNS:-5}" --sender "$sender" \
      --output "$out/receive-$sender.json"
  done
fi
if wants footprint; then
  measure footprint footprint --runs "${RUNS:-5}" --output "$out/footprint.json"
fi

count=${COUNT:-6}
if wants go && [ "$count" -gt 0 ]; then
  echo "== go" >&2
  prioritized go test -run '^$' -bench . -skip Veth -benchmem -benchtime "${BENCHTIME:-1s}" -count "$count" \
    ./frame ./xdp ./wsk ./wsk/datapath ./wsk/datapath/internal/receive | tee "$out/go.txt"
  if [ -n "$against" ] && [ -f "$against/go.txt" ]; then
    go tool benchstat "$against/go.txt" "$out/go.txt"
  fi
fi
echo "kept in $out" >&2
