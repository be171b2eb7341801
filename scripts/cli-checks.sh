#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tries what the command line promises, on this machine, as a user would: twelve checks between two namespaces of its own, each of which
# ends on a line "check N: ok, figure" or "check N: FAILED, what was seen". Needs root, iproute2, util-linux and jq; packets go nowhere
# but between these namespaces. Exit code 1 if one failed. Times and rates are judged: run it on a machine that does nothing else.
#
#   scripts/cli-checks.sh [N...]     these checks only
#
#   RUNS       rounds of check 3 (default 9)
#   EXTERNAL   other senders for check 3, as name=command separated by lines, see docs/benchmarks.md
#   FUZZTIME   how long each fuzz target of check 10 runs (default 1m)
#   RELAY      packets of each run of check 5 (default: as many as make test has; 1000000 takes an hour)
#   KEEP       1: leave the working directory, with every document and page, and say where it is
set -u
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "cli-checks: needs root" >&2; exit 77; }
for tool in ip jq setpriv script unshare timeout; do
  command -v "$tool" >/dev/null || { echo "cli-checks: $tool is missing (iproute2, jq, util-linux, coreutils)" >&2; exit 77; }
done

go=${GO:-go}
work=$(mktemp -d)
chmod 755 "$work"
name=cli$$
bin=$work/wsk-xdp
started=()
failed=0
clean() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  "$bin" lab down --name "$name" >/dev/null 2>&1
  ip netns del "$name-q" 2>/dev/null
  if [ "${KEEP:-0}" = 1 ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap clean EXIT
trap 'exit 130' INT TERM
CGO_ENABLED=0 "$go" build -trimpath -o "$bin" ./cmd/wsk-xdp && "$go" build -o "$work/frames" ./testenv/cmd/frames || exit 1
PATH=$work:$PATH
"$bin" lab up --name "$name" >"$work/lab" 2>&1 || { cat "$work/lab"; exit 1; }
A=(timeout -k 5 120 ip netns exec "$name-a")
B=(timeout -k 5 300 ip netns exec "$name-b")

ok() { echo "check $check: ok, $*"; }
bad() { echo "check $check: FAILED, $*"; failed=1; }
# verdict tells one of two, by the exit code of the condition before it.
verdict() { if [ "$1" = 0 ]; then ok "$2"; else bad "$2"; fi; }
# figure is a value of a JSON document, or "none".
figure() { jq -r "$2" "$work/$1" 2>/dev/null || echo none; }
# receiver starts a recv or echo at end B and returns when it listens.
receiver() {
  local out=$1; shift
  "${B[@]}" wsk-xdp "$@" >"$work/$out" 2>"$work/$out.err" &
  started+=($!); receiver_pid=$!
  for _ in $(seq 200); do
    grep -qE 'answered on TCP|answers pings|^wsk-xdp echo' "$work/$out.err" 2>/dev/null && return
    kill -0 "$receiver_pid" 2>/dev/null || return
    sleep 0.05
  done
}
await() { wait "$1" 2>/dev/null; }
child() { pgrep -P "$1" | head -1; } # timeout's
arrived() { "${B[@]}" cat /proc/net/dev | awk '$1 == "wsk1:" {print $3}'; }
tail1() { tail -n 1 "$1" | cut -c 1-160; }

check_1() { # every packet of a paced run arrives, and both ends say the same
  receiver r.json recv :9000 --one-off --json -q; local r=$receiver_pid
  "${A[@]}" wsk-xdp blast 10.77.0.2:9000 -r 100k -d 5s --peer --json -q >"$work/t.json" 2>"$work/t.err"; await "$r"
  jq -e '(.totals | .requested_packets == 500000 and .submitted_packets == 500000 and .completed_packets == 500000) and
    (.peer | .received_packets == 500000 and .lost_packets == 0) and (.pacing.mean_error_ppm | fabs) < 1000' "$work/t.json" >/dev/null &&
    [ "$(figure t.json '.peer | [.received_packets, .lost_packets, .duplicate_packets, .reordered_packets, .late_packets]')" = \
      "$(figure r.json '.runs[0] | [.received_packets, .lost_packets, .duplicate_packets, .reordered_packets, .late_packets]')" ]
  verdict $? "$(figure t.json '"\(.totals.submitted_packets) sent, \(.peer.received_packets) received, \(.peer.lost_packets) lost, pacing \(.pacing.mean_error_ppm) ppm"')"
}

check_2() { # what is lost is named, and a closed port is told
  receiver r2.json recv :9000 --one-off --json -q; local r=$receiver_pid
  "${A[@]}" wsk-xdp blast 10.77.0.2:9000 -r max -d 3s --peer --json -q >"$work/t2.json" 2>"$work/t2.err"; await "$r"
  jq -e '.totals.completed_packets == .peer.received_packets + ([.peer.drops[]] | add // 0)' "$work/t2.json" >/dev/null; local named=$?
  local before between
  before=$(arrived)
  "${A[@]}" wsk-xdp blast 10.77.0.2:9 -r 2k -n 2000 -q >"$work/closed" 2>&1
  between=$(arrived)
  "${A[@]}" setpriv --reuid nobody --clear-groups wsk-xdp blast 10.77.0.2:9 -r 2k -n 2000 -q >"$work/closed-nobody" 2>&1
  [ $named = 0 ] && [ $((between - before)) -ge 2000 ] && [ $(($(arrived) - between)) -ge 2000 ] &&
    grep -q 'port is closed' "$work/closed" && grep -q 'port is closed' "$work/closed-nobody"
  verdict $? "$(figure t2.json '"\(.totals.completed_packets) completed, \(.peer.received_packets) received, drops \(.peer.drops | tojson)"'), to a closed port $((between - before)) and $(($(arrived) - between)) packets"
}

check_3() { # blast is as fast as lists of WskSendMessages, stamped frames as fast per CPU time as other programs
  local external=(--external 'blast=wsk-xdp blast 10.77.0.2:9000 -r max -d {duration}s -q'
    --external 'frames-stamped=wsk-xdp blast 10.77.0.2:9000 --engine frames --flows 1000 -r max -d {duration}s -q') line
  while IFS= read -r line; do [ -z "$line" ] || external+=(--external "$line"); done <<<"${EXTERNAL:-}"
  timeout -k 5 900 "$bin" bench --engines wsk-batch --runs "${RUNS:-9}" "${external[@]}" --json -q >"$work/bench.json" 2>"$work/bench.err"
  local rates='[.results[] | {key: .engine, value: {pps: .pps_median, cpu: .cpu_ns_per_packet}}] | from_entries'
  local query='.["wsk-batch"] as $b | .blast.pps >= 0.95 * $b.pps and
    ([to_entries[] | select(.key | IN("wsk-batch", "blast", "frames-stamped") | not) | .value.cpu] | length == 0 or min >= 0.95 * $f.cpu)'
  jq -e "$rates | .[\"frames-stamped\"] as \$f | $query" "$work/bench.json" >/dev/null 2>&1
  verdict $? "$(jq -r "$rates | to_entries | map(\"\\(.key) \\(.value.pps / 1000 | floor) kpps \\(.value.cpu | floor) ns\") | join(\", \")" "$work/bench.json" 2>/dev/null || tail1 "$work/bench.err")$([ -n "${EXTERNAL:-}" ] || echo '; no other programs (EXTERNAL)')"
}

check_4() { # live frames: every number is accounted for
  receiver r4.json recv 10.77.0.2:9000 --engine xdp -i wsk1 --one-off --json -q; local r=$receiver_pid
  "${A[@]}" wsk-xdp blast 10.77.0.2:9000 --engine xdp -r max --flows 1000 -d 5s --peer --json -q >"$work/t4.json" 2>"$work/t4.err"; await "$r"
  jq -e '.peer | .balanced and .received_packets > 0' "$work/t4.json" >/dev/null &&
    jq -e '.totals.submitted_packets == (.peer | .received_packets + .lost_packets + .late_packets)' "$work/t4.json" >/dev/null
  verdict $? "$(figure t4.json '"\(.totals.submitted_packets) handed out, \(.peer.received_packets) received, \(.peer.lost_packets) lost"')$(tail1 "$work/t4.err" 2>/dev/null | sed 's/^/; /')"
}

check_5() { # a path that misbehaves by a script is reported exactly
  WSKXDP_RELAY=${RELAY:-} "$go" test -count=1 -timeout 3h -v -run 'TestRelay$' ./cmd/wsk-xdp >"$work/relay" 2>&1
  verdict $? "$(grep -c -- '--- PASS: TestRelay/' "$work/relay") runs as scripted, $(grep -c -- '--- FAIL: TestRelay/' "$work/relay") not"
}

check_6() { # a capture file arrives byte for byte, and takes its own time
  frames make 1000 1ms "$work/mixed" && frames make 1000 10ms "$work/slow" || { bad "no capture file"; return; }
  frames record "$name-b" wsk1 1000 "$work/arrived" >"$work/recording" 2>"$work/recording.err" & local r=$!
  started+=("$r")
  for _ in $(seq 200); do grep -q recording "$work/recording" && break; sleep 0.05; done
  "${A[@]}" wsk-xdp replay "$work/mixed.pcap" -i wsk0 --topspeed --json -q >"$work/replay.json" 2>"$work/replay.err"; await "$r"
  cmp -s "$work/mixed.raw" "$work/arrived.raw"; local same=$?
  "${A[@]}" wsk-xdp replay "$work/slow.pcap" -i wsk0 --original --json -q >"$work/original.json" 2>"$work/original.err"
  [ $same = 0 ] && jq -e '.gaps.reached.p99_ns > 0 and (.totals.sending_ns - 9990000000 | fabs) < 99900000' "$work/original.json" >/dev/null
  verdict $? "1000 mixed frames $([ $same = 0 ] && echo 'the same' || echo 'not the same') byte for byte; ten seconds took $(figure original.json '"\(.totals.sending_ns / 1e9) s, gap p99 \(.gaps.reached.p99_ns) of \(.gaps.asked.p99_ns) ns"')"
}

check_7() { # a stall of the sender is in the times of the pings that were due
  receiver echo.json echo :9001 -q; local e=$receiver_pid
  "${A[@]}" wsk-xdp ping 10.77.0.2:9001 -r 1k -d 4s --json -q >"$work/p.json" 2>"$work/p.err" & local p=$!
  sleep 2
  local ping; ping=$(child "$p")
  kill -STOP "$ping"; sleep 0.1; kill -CONT "$ping"
  await "$p"; kill -INT "$(child "$e")" 2>/dev/null
  jq -e '.round_trip.max_ns >= 100000000 and .round_trip.p99_ns >= 50000000 and .limited_by == "cpu"' "$work/p.json" >/dev/null
  verdict $? "$(figure p.json '"p99 \(.round_trip.p99_ns / 1e6) ms, max \(.round_trip.max_ns / 1e6) ms, limited by \(.limited_by)"')"
}

check_8() { # beside one that has the queue, the other says what carried it, or that it can't
  "${A[@]}" wsk-xdp blast 10.77.0.2:9000 -d 8s -q >"$work/first" 2>&1 & local first=$!
  sleep 1
  local begun=$SECONDS code
  "${A[@]}" wsk-xdp blast 10.77.0.2:9001 -r 1k -d 3s --json -q >"$work/second.json" 2>"$work/second.err"; code=$?
  { [ $code = 3 ] && [ $((SECONDS - begun)) -le 3 ]; } ||
    jq -e '([.intervals[] | .completed_packets] | all(. >= 990 and . <= 1010)) and ([.carried[].packets] | add) == .totals.completed_packets' "$work/second.json" >/dev/null
  verdict $? "exit code $code, carried $(figure second.json '[.carried[] | "\(.engine) \(.packets)"] | join(", ")')"
  await "$first"
}

check_9() { # a laboratory goes away where / is private, and two demos don't meet
  unshare -m sh -c "mount --make-rprivate / && mount -t tmpfs t /run && wsk-xdp lab up >/dev/null && ip netns add x && wsk-xdp lab down >/dev/null &&
    test \"\$(ls /run/netns)\" = x && ip netns del x" >"$work/private" 2>&1; local lab=$?
  timeout 300 wsk-xdp demo >"$work/demo1" 2>&1 & local one=$!
  timeout 300 wsk-xdp demo >"$work/demo2" 2>&1; local two=$?
  wait $one; one=$?
  [ $lab = 0 ] && [ $one = 0 ] && [ $two = 0 ]
  verdict $? "lab without a shared mount $lab, two demos at once $one and $two"
}

check_10() { # what is wrong with a command line is told in a sentence, and nothing is sent
  "$go" test -count=1 -v -run 'TestBadInput$' ./cmd/wsk-xdp >"$work/badinput" 2>&1; local code=$? target fuzzed=0
  local targets=(units/FuzzRate units/FuzzSize units/FuzzRange units/FuzzDuration units/FuzzSchedule failif/FuzzConditions runfile/FuzzConfig)
  for target in "${targets[@]}"; do
    "$go" test -run '^$' -fuzz "^${target#*/}\$" -fuzztime "${FUZZTIME:-1m}" "./cmd/wsk-xdp/internal/${target%/*}" >"$work/${target#*/}" 2>&1 && fuzzed=$((fuzzed + 1))
  done
  [ $code = 0 ] && [ $fuzzed = ${#targets[@]} ]
  verdict $? "$(grep -o '[0-9]* command lines' "$work/badinput" | tail -1 || true) refused in words of their own, $fuzzed of ${#targets[@]} parsers fuzzed for ${FUZZTIME:-1m} each"
}

check_11() { # the live line on 80 columns, plain text, and remedies that help
  local live odd
  live=$(script -qc "stty cols 80; timeout 60 ip netns exec $name-a $bin blast 10.77.0.2:9000 -d 2s" /dev/null 2>/dev/null | grep -c 'compl p50.*p99')
  odd=$(TERM=dumb LC_ALL=C "${A[@]}" wsk-xdp blast 10.77.0.2:9000 -d 2s 2>&1 | LC_ALL=C grep -c '[^ -~]')
  "$go" test -count=1 -v -run 'TestRemedies$' ./cmd/wsk-xdp >"$work/remedies" 2>&1; local code=$?
  [ "$live" -gt 0 ] && [ "$odd" = 0 ] && [ $code = 0 ] && ! grep -q 'no tests to run' "$work/remedies"
  verdict $? "live lines with p50 and p99 $live, lines that are not plain $odd, $(grep -c -- '--- PASS: TestRemedies/' "$work/remedies") situations whose remedies help"
}

check_12() { # a page that needs no network, a comparison with an exit code, a tour that is real output
  [ -s "$work/t.json" ] || (check_1) >/dev/null # for its document: whether the machine keeps a rate is for check 1 to say
  wsk-xdp report "$work/t.json" --html "$work/r.html" --force >"$work/report" 2>&1; local code=$? links charts diff
  links=$(grep -o 'https\?://[^"]*' "$work/r.html" | grep -vc w3.org)
  charts=$(grep -c '<svg' "$work/r.html")
  "${A[@]}" wsk-xdp blast 10.77.0.2:9000 -r 10k -d 2s --json -q >"$work/a.json" 2>/dev/null
  "${A[@]}" wsk-xdp blast 10.77.0.2:9000 -r 9k -d 2s --json -q >"$work/b.json" 2>/dev/null
  wsk-xdp report --diff "$work/a.json" "$work/b.json" --threshold 5% >"$work/diff" 2>&1; diff=$?
  "$go" test -count=1 -run 'TestTour$' ./cmd/wsk-xdp >"$work/tour" 2>&1; local tour=$?
  [ $code = 0 ] && [ "$links" = 0 ] && [ "$charts" -gt 0 ] && [ $diff = 4 ] && [ $tour = 0 ] && ! grep -q 'no tests to run' "$work/tour"
  verdict $? "$charts drawings, $links links, a rate of 0.9 ends in exit code $diff, docs/tour.md $([ $tour = 0 ] && echo 'as it is' || echo 'differs')"
}

for check in "${@:-1 2 3 4 5 6 7 8 9 10 11 12}"; do
  for check in $check; do "check_$check"; done
done
exit $failed
