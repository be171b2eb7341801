#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch.sh tools | kernel NAME: gets QEMU or a kernel out of Debian's archive into the cache and prints the directory it is in.
# Nothing is installed: packages are unpacked into the cache. apt checks the signed list of each suite and, against it, every
# package. NAME is newest, or a series such as 6.12; which package that is, the suite's list says.
# What is in the cache stays as it is until WSKXDP_VM_REFRESH is set.
# Exit status 77 with a reason: this machine cannot do it.
set -eu
umask 022

cache=${WSKXDP_VM_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set, nor WSKXDP_VM_CACHE}/.cache}/wsk-xdp}
mirror=${WSKXDP_VM_MIRROR:-http://deb.debian.org/debian}
keyring=${WSKXDP_VM_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

cannot() { echo "cannot run guests: $*" >&2; exit 77; }

check_machine() {
  [ "$(uname -m)" = x86_64 ] || cannot "this is $(uname -m); the kernels and QEMU are fetched for x86-64"
  for tool in apt-get apt-cache dpkg-deb; do
    command -v $tool >/dev/null || cannot "$tool is missing; packages come from Debian's archive through apt"
  done
  [ -r "$keyring" ] || cannot "no $keyring to check signatures with; install debian-archive-keyring, or set WSKXDP_VM_KEYRING"
}

# suite NAME SUITE...: prepares apt for these suites alone, apart from what the host has installed and knows.
suite() {
  apt=$cache/apt/$1
  shift
  mkdir -p "$apt/lists/partial" "$apt/archives/partial"
  : >"$apt/status"
  : >"$apt/sources.list"
  for s; do echo "deb [arch=amd64 signed-by=$keyring] $mirror $s main" >>"$apt/sources.list"; done
  # Of the host's settings only the way out is taken over: its hooks would clean up the host.
  env -u APT_CONFIG apt-config dump | grep -iE '^Acquire::.*proxy' >"$apt/apt.conf" || true
  cat >>"$apt/apt.conf" <<CONF
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::State::extended_states "$apt/extended_states";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
Dir::Log "$apt";
Debug::NoLocking "true";
CONF
  export APT_CONFIG="$apt/apt.conf"
  apt-get -qq update >&2 || cannot "apt could not read $* from $mirror (its reason is above)"
}

# place WORK NAME: WORK becomes NAME in one step, so that a run that was cut short leaves nothing half done.
place() {
  touch "$1/complete"
  rm -rf "$2"
  mv "$1" "$2"
}

fresh() { [ -e "$1/complete" ] && [ -z "${WSKXDP_VM_REFRESH:-}" ]; }

tools() {
  dir=$cache/tools
  if ! fresh "$dir"; then
    check_machine
    echo "fetching QEMU and busybox" >&2
    suite tools bookworm bookworm-backports
    # The main suite's QEMU 7.2 hangs now and then.
    apt-get -qq -y -t bookworm-backports --download-only install \
      qemu-system-x86 busybox-static/bookworm zstd/bookworm xz-utils/bookworm >&2 || cannot "apt could not fetch QEMU"
    work=$cache/tools.$$
    rm -rf "$work" && mkdir -p "$work"
    for deb in "$apt"/archives/*.deb; do dpkg-deb -x "$deb" "$work"; done
    rm -rf "$work/usr/share/doc" "$work/usr/share/man" "$work/usr/share/locale"
    rm -f "$apt"/archives/*.deb
    place "$work" "$dir"
  fi
  echo "$dir"
}

# package_of NAME: the image package, by the meta package of its suite, or else the newest of its series.
package_of() {
  case $1 in
    5.10) suite bullseye bullseye ;;
    6.1) suite bookworm bookworm ;;
    6.12) suite bookworm-backports bookworm-backports ;;
    *) suite trixie-backports trixie-backports ;;
  esac
  meta=$(apt-cache show linux-image-amd64 | sed -n 's/^Depends:.*\(linux-image-[0-9][^ ,]*-amd64\).*/\1/p' | head -n 1)
  case $1/$meta in
    newest/linux-image-* | "$1/linux-image-$1".*) package=$meta ;;
    *) package=$(apt-cache pkgnames | grep -E "^linux-image-$(echo "$1" | sed 's/\./\\./g')\.[0-9.]*\+deb[0-9.]*-amd64\$" | sort -V | tail -n 1) ;;
  esac
  [ -n "$package" ] || cannot "no suite has a kernel $1 (linux-image-amd64 of $(cat "$apt/sources.list") is ${meta:-missing})"
}

kernel() {
  dir=$cache/kernels/$1
  if ! fresh "$dir"; then
    check_machine
    echo "fetching Linux $1" >&2
    package_of "$1"
    work=$cache/kernels/$1.$$
    rm -rf "$work" && mkdir -p "$work/debs"
    # From 6.19 on the image is split into several packages.
    all=$(apt-cache depends --recurse --important "$package" | grep -E '^linux-(image|base|binary|modules)-[0-9]')
    # shellcheck disable=SC2086
    (cd "$work/debs" && apt-get -qq download $all >&2) || cannot "apt could not fetch $all"
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
    apt-cache show "$package" | sed -n 's/^Version: //p' | head -n 1 >"$work/version"
    echo "$package" >"$work/package"
    modules=$(echo "$work"/root/lib/modules/* "$work"/root/usr/lib/modules/* | tr ' ' '\n' | grep -v '\*' | head -n 1)
    image=$(find "$work/root" -name 'vmlinuz*' -type f | head -n 1)
    [ -d "$modules" ] && [ -f "$image" ] || cannot "$package has no modules or no image where they are expected"
    mv "$image" "$work/vmlinuz"
    basename "$modules" >"$work/release"
    # What a guest with a network card can never use takes most of the room.
    (cd "$modules/kernel" && rm -rf sound drivers/gpu drivers/media drivers/infiniband drivers/staging drivers/iio drivers/usb \
      drivers/scsi drivers/input drivers/hid drivers/hwmon drivers/net/wireless)
    mv "$modules" "$work/modules"
    rm -rf "$work/root" "$work/debs"
    place "$work" "$dir"
  fi
  echo "$dir"
}

case ${1:-} in
  tools) tools ;;
  kernel) kernel "${2:?usage: fetch.sh kernel NAME}" ;;
  *) echo "usage: fetch.sh tools | kernel NAME" >&2; exit 2 ;;
esac
