#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# generate.sh           rebuilds the BPF objects and records what they were made from. Needs the pinned clang.
# generate.sh --check   fails if an object or its source was changed without the other; with the pinned clang it also rebuilds
#                       the objects elsewhere and fails on a difference. Changes nothing, needs nothing.
# CLANG names another compiler of the pinned version.
set -euo pipefail
cd "$(dirname "$0")/.."

# Another major version makes other bytes, and the comparison would say nothing about the source.
pinned=14
# Where there are objects, and their name; gen.go there says how they are made. All of them include bpf/headers.
programs=(bpf:wskxdp cmd/wsk-xdp/internal/liveframes:wsklive cmd/wsk-xdp/internal/tally:wsktally)

# enter goes to a program's directory, and says what its files are.
enter() {
  local dir=${1%:*} name=${1#*:} headers=headers
  cd "$root/$dir"
  [ -d headers ] || headers=$(realpath --relative-to=. "$root/bpf/headers")
  record=$name.sum
  sources=("$name.c" "$headers"/*.h gen.go)
  objects=("${name}_bpfel.go" "${name}_bpfel.o" "${name}_bpfeb.go" "${name}_bpfeb.o")
}
root=$PWD

# find_clang prints the compiler of the pinned version, or says why there is none.
find_clang() {
  local cc version
  for cc in ${CLANG:-clang-$pinned clang}; do
    version=$("$cc" -dumpversion 2>/dev/null) || continue
    if [ "${version%%.*}" = "$pinned" ]; then echo "$cc"; return 0; fi
    echo "generate.sh: $cc is version $version, not $pinned" >&2
  done
  echo "generate.sh: no clang $pinned here (Debian: apt-get install clang-$pinned llvm-$pinned)" >&2
  return 1
}

# build_into writes the objects into a directory, which must exist.
build_into() {
  BPF2GO_CC=$clang WSKXDP_OUT=$1 go generate .
}

case "${1:-}" in
  "")
    clang=$(find_clang)
    for p in "${programs[@]}"; do
      enter "$p"
      build_into "$PWD"
      sha256sum "${sources[@]}" "${objects[@]}" > "$record"
    done
    ;;
  --check)
    for p in "${programs[@]}"; do
      enter "$p"
      if ! bad=$(sha256sum --check --strict --quiet "$record" 2>&1); then
        echo "$bad" >&2
        echo "generate.sh: ${p%:*} is not what $record recorded when the objects were made: run scripts/generate.sh, commit all of ${p%:*}/" >&2
        exit 1
      fi
    done
    if ! clang=$(find_clang); then
      echo "generate.sh: sources and objects are those recorded; not rebuilt and compared"
      exit 0
    fi
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    for p in "${programs[@]}"; do
      enter "$p"
      build_into "$out"
      for f in "${objects[@]}"; do
        cmp "$f" "$out/$f" || { echo "generate.sh: ${p%:*}/$f is not what its source gives: run scripts/generate.sh" >&2; exit 1; }
      done
    done
    echo "generate.sh: objects rebuilt with $clang, no difference"
    ;;
  *)
    echo "usage: scripts/generate.sh [--check]" >&2
    exit 2
    ;;
esac
