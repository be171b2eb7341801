#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the whole suite ROUNDS times, the first BESIDE of them beside two busy processes of normal priority, and prints one line a round.
# The output of rounds that failed is kept. Exits 1 when any did. Programs that have not changed since a round before are not linked again;
# that takes some 2 GB in TMPDIR while it goes on.
#
#   scripts/repeat.sh [ROUNDS [BESIDE [FLAG ...]]]    ROUNDS 20, BESIDE 5; flags go to go test
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-20} beside=${2:-5}
shift $(($# < 2 ? $# : 2))
number='^[0-9]+$'
if ! [[ $rounds =~ $number && $beside =~ $number ]] || [ "$rounds" -eq 0 ]; then
  echo "repeat: ROUNDS=$rounds BESIDE=$beside: want a number from 1 and a number from 0" >&2
  exit 2
fi
logs=$(mktemp -d "${TMPDIR:-/tmp}/wsk-xdp-repeat.XXXXXX")
busy=()
export LINKED=$logs/linked
mkdir "$LINKED"

# load starts the busy processes. Each looks now and then whether this script is still there.
load() {
  for _ in 1 2; do
    (while kill -0 $$ 2>/dev/null; do for ((i = 0; i < 200000; i++)); do :; done; done) &
    busy+=($!)
  done
}

unload() {
  for pid in "${busy[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  busy=()
}

trap 'unload; rm -rf "$LINKED"' EXIT
trap 'exit 130' INT TERM

failures=0
for ((round = 1; round <= rounds; round++)); do
  log=$logs/round-$round.log what=alone
  if [ "$round" -le "$beside" ]; then
    what="beside load"
    load
  fi
  begin=$SECONDS code=0
  scripts/test.sh "-toolexec='$PWD/scripts/linkonce.sh'" "$@" >"$log" 2>&1 || code=$?
  unload
  counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1) || counts="no tests were counted"
  line="round $round of $rounds: $counts, $((SECONDS - begin)) s, $what"
  if [ "$code" -eq 0 ]; then
    echo "$line"
    rm "$log"
  else
    failures=$((failures + 1))
    echo "$line, FAILED (exit status $code): $log"
    grep -E '^(--- FAIL|FAIL) ' "$log" | sed 's/^/    /' || true
  fi
done
if [ "$failures" -ne 0 ]; then
  echo "$failures of $rounds rounds failed"
  exit 1
fi
rm -rf "$LINKED"
rmdir "$logs"
echo "none of $rounds rounds failed"
