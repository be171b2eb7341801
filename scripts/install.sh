#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh BIN        puts the binary BIN, its manual pages, and completion for bash, zsh and fish below $DESTDIR$PREFIX.
# install.sh --remove   takes them away.
# PREFIX is /usr/local unless it says otherwise; DESTDIR is for packages, and empty for this machine.
set -eu
root=${DESTDIR:-}${PREFIX:-/usr/local}
man=$root/share/man/man1
bash=$root/share/bash-completion/completions/wsk-xdp
zsh=$root/share/zsh/site-functions/_wsk-xdp
fish=$root/share/fish/vendor_completions.d/wsk-xdp.fish

case "${1:-}" in
  --remove)
    rm -f "$root/bin/wsk-xdp" "$man/wsk-xdp.1" "$man"/wsk-xdp-*.1 "$bash" "$zsh" "$fish"
    ;;
  "" | -*)
    echo "usage: scripts/install.sh BIN | --remove" >&2
    exit 2
    ;;
  *)
    # All of it is made before any of it is put in place.
    made=$(mktemp -d)
    trap 'rm -rf "$made"' EXIT
    mkdir "$made/man"
    "$1" man --dir "$made/man"
    for shell in bash zsh fish; do
      "$1" completion "$shell" > "$made/$shell"
    done
    mkdir -p "$root/bin" "$man" "$(dirname "$bash")" "$(dirname "$zsh")" "$(dirname "$fish")"
    install -m 755 "$1" "$root/bin/wsk-xdp"
    install -m 644 "$made/man"/*.1 "$man"
    install -m 644 "$made/bash" "$bash"
    install -m 644 "$made/zsh" "$zsh"
    install -m 644 "$made/fish" "$fish"
    ;;
esac
