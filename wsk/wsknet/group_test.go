// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestListenOnGroup: who listens on a group is on the wildcard and gets what is sent to the host itself; others listen on the
// port beside it, and each joins by itself. A listener of another kind is in the way, and so is one of another program here.
func TestListenOnGroup(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	group := &net.UDPAddr{IP: net.IPv4(239, 1, 2, 3), Port: 5353}
	sender, err := pcKernel(lab.B).Listen("udp4", netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	if err := ipv4.NewPacketConn(sender).SetMulticastInterface(&net.Interface{Index: lab.B.If.Index()}); err != nil {
		t.Fatal(err)
	}
	run := func(f functions) string {
		var out []string
		must := func(c conn, err error) conn {
			if err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			c.SetDeadline(time.Now().Add(testenv.Patience(5 * time.Second)))
			out = append(out, c.LocalAddr().String())
			return c
		}
		send := func(to net.IP, readers ...conn) {
			if _, err := sender.WriteTo([]byte("x"), &net.UDPAddr{IP: to, Port: group.Port}); err != nil {
				t.Fatal(err)
			}
			for _, c := range readers {
				if _, _, err := c.ReadFrom(make([]byte, 10)); err != nil {
					t.Errorf("%s: to %v: %v", f.name, to, err)
				}
			}
		}
		plain := must(f.listenUDP("udp4", &net.UDPAddr{Port: group.Port}))
		_, err := f.listenUDP("udp4", group)
		out = append(out, errnoOf(err))
		plain.Close()
		first := must(f.listenUDP("udp4", group))
		defer first.Close()
		send(lab.A.IPv4().AsSlice(), first)
		second := must(f.listenUDP("udp4", group))
		defer second.Close()
		for _, c := range []conn{first, second} {
			x := &trio{t: t, c: c}
			x.wrap()
			if err := x.four.JoinGroup(&net.Interface{Index: lab.A.If.Index()}, group); err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
		}
		send(group.IP, first, second)
		_, err = f.listenUDP("udp4", &net.UDPAddr{Port: group.Port})
		out = append(out, errnoOf(err))
		return strings.Join(out, ", ")
	}
	in(t, lab.A, func() error {
		want, got := run(ofNet), run(ofWsknet)
		if got != want {
			t.Errorf("%s, package net %s", got, want)
		}
		for _, pair := range [][2]functions{{ofNet, ofWsknet}, {ofWsknet, ofNet}} {
			c, err := pair[0].listenUDP("udp4", group)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pair[1].listenUDP("udp4", group); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("%s beside %s: %v", pair[1].name, pair[0].name, err)
			}
			c.Close()
		}
		return nil
	})
}
