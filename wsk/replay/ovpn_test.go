// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestOvpn is a conversation with the fixed peer over each kind of socket, with every size from empty to the largest
// that fits. What comes back is made contiguous whatever MDLs it lies in, and what others send is not seen.
//
// Checklist items 27, 43, 45, 58 and 61.
func TestOvpn(t *testing.T) {
	for name, o := range map[string]rigOptions{
		"whole": {}, "split": {provider: wsk.ProviderOptions{SplitReceived: true}},
	} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, o, func(t *testing.T, r *rig) {
				for _, tc := range []struct {
					name        string
					family      uint16
					local       string
					six, mapped bool
				}{
					{"IPv4", wsk.AF_INET, "0.0.0.0:0", false, false},
					{"IPv6", wsk.AF_INET6, "[::]:0", true, false},
					{"mapped", wsk.AF_INET6, "[::]:0", false, true},
					{"specific", wsk.AF_INET, "10.77.0.101:1194", false, false},
				} {
					t.Run(tc.name, func(t *testing.T) {
						p := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(tc.six), 0), true)
						stranger := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(tc.six), 0), false)
						remote := p.addr
						if tc.mapped {
							remote = mapped(remote)
						}
						o := newOvpn(t, r)
						if status := o.open(tc.family, netip.MustParseAddrPort(tc.local), remote); status != wsk.STATUS_SUCCESS {
							t.Fatal(status)
						}
						to := netip.AddrPortFrom(r.a(tc.six), o.local.Port())
						if addr := o.local.Addr(); !addr.IsUnspecified() {
							to = netip.AddrPortFrom(addr, to.Port())
						}
						o.converse(p, stranger, to)
						o.finish()
					})
				}
				r.checkArrivals()
			})
		})
	}
}

func (o *ovpn) converse(p, stranger *peer, to netip.AddrPort) {
	t := o.t
	t.Helper()
	total := 0
	for i, n := range []int{0, 1, 2, 3, 16, 17, 100, 1000, 1399, 1452, 0} {
		payload := pattern(n, i)
		stranger.send(to, []byte("not for you"), sending{})
		if status := o.send(o.newBuffer(payload)); !status.Success() {
			t.Errorf("%d bytes: %v", n, status)
		}
		if got := p.wait(1)[0]; !bytes.Equal(got.data, payload) {
			t.Errorf("the peer got %d bytes, want %d", len(got.data), n)
		}
		if got := take(t, "the echo", o.received); !bytes.Equal(got, payload) {
			t.Errorf("%d bytes came back, want %d", len(got), n)
		}
		total += n
	}
	testenv.Eventually(t, waitLimit, "the strangers to be filtered", func() bool {
		return o.socket.ReceiveStatistics().Filtered == 11
	})
	o.audit.settle() // an echo may come before the completion of what it echoes
	if o.sent.Load() != 11 || o.bytesSent.Load() != int64(total) || o.lost.Load() != 0 {
		t.Errorf("%d datagrams with %d bytes sent, %d lost", o.sent.Load(), o.bytesSent.Load(), o.lost.Load())
	}
}

// TestOvpnFailures: set-up calls that fail, at once or later, never complete an IRP that the helper has freed; the
// routine of a send that fails cleans up.
//
// Checklist items 13 to 16.
func TestOvpnFailures(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		any4 := netip.MustParseAddrPort("0.0.0.0:0")
		for _, tc := range []struct {
			name          string
			family        uint16
			local, remote netip.AddrPort
			want          wsk.NTSTATUS
		}{
			{"no such family", 99, any4, any4, wsk.STATUS_PROTOCOL_NOT_SUPPORTED},
			{"local address of another family", wsk.AF_INET, netip.MustParseAddrPort("[::]:0"), any4, wsk.STATUS_INVALID_PARAMETER},
			{"a local address that is not ours", wsk.AF_INET, netip.MustParseAddrPort("192.0.2.1:0"), any4,
				wsk.STATUS_INVALID_ADDRESS_COMPONENT},
			{"a remote wildcard", wsk.AF_INET, any4, any4, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
			{"a remote address of another family", wsk.AF_INET, any4, netip.MustParseAddrPort("[fd77::2]:9"),
				wsk.STATUS_INVALID_PARAMETER},
		} {
			o := newOvpn(t, r)
			if status := o.open(tc.family, tc.local, tc.remote); status != tc.want {
				t.Errorf("%s: %v, want %v", tc.name, status, tc.want)
			}
			o.finish()
		}
		o := newOvpn(t, r)
		if status := o.open(wsk.AF_INET, any4, netip.AddrPort{}); status != wsk.STATUS_SUCCESS {
			t.Fatal(status)
		}
		if status := o.send(o.newBuffer([]byte("to nobody"))); status != wsk.STATUS_INVALID_PARAMETER {
			t.Errorf("a send without any address: %v", status)
		}
		if status := o.setRemote(netip.MustParseAddrPort("198.51.100.7:9")); status != wsk.STATUS_SUCCESS {
			t.Fatal(status)
		}
		o.send(o.newBuffer([]byte("no route")))
		testenv.Eventually(t, waitLimit, "the send without a route", func() bool { return o.lost.Load() == 2 })
		o.finish()
	})
}

// TestOvpnMovesOn: the fixed address is changed while datagrams are under way; each goes to the address that was set
// when it was sent.
//
// Checklist item 27.
func TestOvpnMovesOn(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		o := newOvpn(t, r)
		first := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(false), 0), true)
		next := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(false), 0), true)
		if status := o.open(wsk.AF_INET, netip.MustParseAddrPort("0.0.0.0:0"), first.addr); status != wsk.STATUS_SUCCESS {
			t.Fatal(status)
		}
		peers := []*peer{first, next}
		for i := range uint32(200) {
			p := peers[i%2]
			if status := o.setRemote(p.addr); status != wsk.STATUS_SUCCESS {
				t.Fatal(status)
			}
			if status := o.send(o.newBuffer(binary.BigEndian.AppendUint32(nil, i))); !status.Success() {
				t.Fatal(status)
			}
			if got := binary.BigEndian.Uint32(p.wait(1)[0].data); got != i {
				t.Errorf("peer %d got %d, want %d", i%2, got, i)
			}
		}
		o.finish()
	})
}
