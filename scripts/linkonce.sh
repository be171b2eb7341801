#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# For -toolexec of the go command: runs a tool, but a program that the linker has made once is copied from the directory LINKED. go test
# links every test anew, though nothing has changed. The build ID that it passes is made of all that goes into the program.
set -euo pipefail
tool=$1
shift
out="" id=""
if [ "${tool##*/}" = link ]; then
  previous=""
  for argument; do
    [ "$previous" != -o ] || out=$argument
    case $argument in -buildid=*) id=${argument#-buildid=} ;; esac
    previous=$argument
  done
fi
[ -n "$out" ] && [ -n "$id" ] || exec "$tool" "$@"
kept=$LINKED/${id//\//.}
if [ ! -e "$kept" ]; then
  "$tool" "$@"
  # The go command writes the build ID into its copy: ours is to stay as it is. Others may link the same at this moment.
  cp "$out" "$kept.$$"
  mv "$kept.$$" "$kept"
else
  cp "$kept" "$out"
fi
