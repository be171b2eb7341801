#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Repeats the storm tests until the time is over, each several times as long as in make test. Stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."
limit=${1:-10m}
export STORM="${STORM:-2.5s}" FLOOD="${FLOOD:-16}"
exec timeout --preserve-status --signal=INT "$limit" \
  bash -c 'n=0; while go test -race -count=1 -run Storm ./wsk/...; do n=$((n+1)); echo "rounds: $n"; done'
