#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs quic-go's own integration suite over sockets of package net and of package wsknet, on the loopback interface and
# between two network namespaces, and compares which of its tests pass. It copies quic-go out of the module cache, has the
# copy open its sockets by package sockets beside this file, and leaves everything, the logs too, in the directory
# that is named first. It needs root, and five to ten minutes.
#
#	sudo docs/examples/netconn/quicsuite/suite.sh /tmp/quicsuite [flags of go test]
set -eu
out=${1:?the directory to work in}
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
mkdir -p "$out"
if [ ! -d "$out/quic-go" ]; then
	cd "$here/.."
	go mod download github.com/quic-go/quic-go
	cp -r "$(go list -m -f '{{.Dir}}' github.com/quic-go/quic-go)" "$out/copying"
	chmod -R u+w "$out/copying"
	cd "$out/copying"
	mkdir internal/sockets
	cp "$here"/sockets/*.go internal/sockets/
	package=github.com/quic-go/quic-go/internal/sockets
	# Servers listen, clients and proxies dial; what a test opens itself is the one or the other by its turn.
	sed -i 's/net\.ListenUDP(/sockets.Listen(/; s/\*net\.UDPConn\>/*sockets.UDPConn/; s/net\.ResolveUDPAddr(/sockets.ResolveUDPAddr(/' server.go http3/server.go
	sed -i 's/net\.ListenUDP(/sockets.Dial(/; s/\*net\.UDPConn\>/*sockets.UDPConn/; s/net\.ResolveUDPAddr(/sockets.ResolveUDPAddr(/' client.go http3/transport.go integrationtests/tools/proxy/proxy.go
	sed -i 's/return \(&net\.UDPAddr{IP: ip\.IP, .*}\), nil/return sockets.Where(\1), nil/' http3/transport.go
	sed -i 's/\[\]net\.IP{net\.IPv4(127, 0, 0, 1)}/sockets.Addresses()/' integrationtests/tools/crypto.go
	for f in integrationtests/self/*_test.go; do
		sed -i 's/net\.ListenUDP("udp", &net\.UDPAddr{IP: net\.IPv4(127, 0, 0, 1), Port: 0})/sockets.Of(t)/
			s/\*net\.UDPConn\>/*sockets.UDPConn/; s/net\.ResolveUDPAddr(/sockets.ResolveUDPAddr(/
			s/IP: net\.IPv4(127, 0, 0, 1), Port: \([a-zA-Z]*\)}/IP: sockets.IP(\1), Port: \1}/' "$f"
	done
	grep -l 'sockets\.' server.go http3/server.go client.go http3/transport.go integrationtests/tools/crypto.go integrationtests/tools/proxy/proxy.go integrationtests/self/*_test.go |
		while read -r f; do
			sed -i "0,/^import (/s||import (\n\t\"$package\"|" "$f"
			grep -q '\<net\.' "$f" || sed -i '/^\t"net"$/d' "$f"
		done
	go mod edit -require github.com/wsk-xdp/wsk-xdp@v0.0.0 -replace "github.com/wsk-xdp/wsk-xdp=$root"
	go mod tidy
	cd ..
	mv copying quic-go
fi
cd "$out/quic-go"
go test -c -o "$out/net.test" ./integrationtests/self
go test -c -tags wsknet -o "$out/wsknet.test" ./integrationtests/self
cd integrationtests/self

# results lists what became of each test in a log.
results() { grep -E '^ *--- (PASS|FAIL|SKIP)' "$1" | sed 's/^ *--- //; s/ (.*//' | sort; }

# failed lists the tests that failed, without their parts.
failed() { sed -n 's/^FAIL: \([^/]*\)$/\1/p' "$1"; }

for where in loopback namespaces; do
	export SUITE_NAMESPACES=
	[ $where = loopback ] || SUITE_NAMESPACES=1
	for side in net wsknet; do
		log=$out/$where.$side
		"$out/$side.test" -test.v "$@" >"$log.log" 2>&1 || true
		results "$log.log" >"$log.results"
		echo "$where, $side: $(grep -c '^PASS' "$log.results") passed, $(grep -c '^FAIL' "$log.results") failed"
		# Many tests give up after a second, which a busy machine does not always have: what fails has two more tries.
		for again in 1 2; do
			tests=$(failed "$log.results" | paste -sd'|' -)
			[ -n "$tests" ] || break
			"$out/$side.test" -test.v -test.run "^($tests)\$" >"$log.again$again.log" 2>&1 || true
			grep -vE "^[A-Z]+: ($tests)(/|\$)" "$log.results" >"$log.kept"
			results "$log.again$again.log" | sort - "$log.kept" >"$log.results"
			echo "  tried again: $(grep -c '^PASS' "$log.results") passed, $(grep -c '^FAIL' "$log.results") failed"
		done
		sed -n 's/^FAIL: /  failed: /p' "$log.results"
	done
	if diff "$out/$where.net.results" "$out/$where.wsknet.results"; then
		echo "$where: the same tests pass"
	fi
done
