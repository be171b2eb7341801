// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// The broadcast address of a subnet is no source: neither of an answer to who has asked there, nor in the control messages
// of the read (ipi_spec_dst), which some programs hand on to the answer.
func TestAskedByBroadcast(t *testing.T) {
	transport, npi := silent(t)
	for _, network := range []string{"udp4", "udp"} {
		c, err := netconn.Listen(npi, network, netip.AddrPort{}, netconn.Options{ReplyFromDestination: true})
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(waitLimit))
		port := netip.MustParseAddrPort(c.LocalAddr().String()).Port()
		buf, oob := make([]byte, 10), make([]byte, 100)
		for _, tc := range []struct {
			to   string
			cast wsk.Cast
			from string
		}{
			{"192.0.2.255", wsk.Broadcast, "invalid IP"},
			{"255.255.255.255", wsk.Broadcast, "invalid IP"},
			{"192.0.2.255", wsk.Unicast, "192.0.2.255"}, // of a larger subnet
		} {
			to := netip.AddrPortFrom(netip.MustParseAddr(tc.to), port)
			transport.Arrive(wsktest.Arrival{From: somewhere, To: to, Payload: []byte("x"), IfIndex: 3, Cast: tc.cast})
			_, oobn, _, from, err := c.ReadMsgUDPAddrPort(buf, oob)
			if err != nil {
				t.Fatal(err)
			}
			spec := netip.AddrFrom4([4]byte(oob[20:24]))
			if addr := netip.AddrFrom4([4]byte(oob[24:28])); oobn < 28 || binary.NativeEndian.Uint32(oob[16:]) != 3 || addr.String() != tc.to {
				t.Errorf("%s to %s: % x", network, tc.to, oob[:oobn])
			}
			if want := tc.cast == wsk.Broadcast; spec.IsUnspecified() != want {
				t.Errorf("%s to %s: ipi_spec_dst %v", network, tc.to, spec)
			}
			if _, err := c.WriteToUDPAddrPort([]byte("answer"), from); err != nil {
				t.Errorf("%s to %s: %v", network, tc.to, err)
			}
			sent := transport.Datagrams()
			if got := sent[len(sent)-1].To.SourceIP().String(); got != tc.from {
				t.Errorf("%s to %s: answered from %s, want %s", network, tc.to, got, tc.from)
			}
		}
		c.Close()
	}
}
