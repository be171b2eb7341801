// SPDX-License-Identifier: Apache-2.0

package service

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// guardOf is a socket that is asked about destinations, and one that its grant allows.
func guardOf(t testing.TB) (*socket, wsk.Destination, wsk.Way) {
	t.Helper()
	p, err := policy.Parse("p", []byte("version = 1\n[interface.eth0]\n[[allow]]\nname = \"a\"\nuid = 7\n"+
		"destination = [\"10.0.0.0/8\", \"192.0.2.0/24:53\", \"2001:db8::/32\"]\n"), policy.Host{})
	if err != nil {
		t.Fatal(err)
	}
	transport := wsktest.New()
	transport.SetLocal(netip.MustParseAddr("10.77.0.1"))
	s, err := New(Config{Transport: transport, Policy: policy.NewCurrent(p), Interface: func(uint32) string { return "eth0" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(t.Context()) })
	grant := p.Grants()[0]
	n := &session{server: s}
	n.granted.Store(&granted{p, grant, s.grants.of(grant)})
	to := wsk.Destination{Addr: netip.MustParseAddr("10.77.0.2").As16(), Port: 9, TTL: 64}
	return &socket{session: n}, to, wsk.Way{IfIndex: 1, Source: netip.MustParseAddr("10.77.0.1").As16(), MTU: 1500}
}

// TestGroupOfOthers: a datagram to a group that the grant does not have is not delivered, whoever has joined it.
func TestGroupOfOthers(t *testing.T) {
	k, to, _ := guardOf(t)
	d := wsk.Datagram{Source: wsk.Address{Addr: to.Addr, Port: to.Port}, Destination: netip.MustParseAddr("239.1.2.3").As16(), IfIndex: 1}
	if !k.mayReceive(&d) {
		t.Error("its source is refused")
	}
	d.Cast = wsk.Multicast
	if k.mayReceive(&d) {
		t.Error("it is delivered")
	}
}

// TestSourceOfAnotherInterface: an address that only another interface has is no source, one that every interface may have
// is, where it is IPv6.
func TestSourceOfAnotherInterface(t *testing.T) {
	k, to, way := guardOf(t)
	to6 := to
	to6.Addr = netip.MustParseAddr("2001:db8::1").As16()
	for _, tt := range []struct {
		to     wsk.Destination
		source string
		reason ipc.Reason
	}{
		{to, "10.77.0.1", ipc.ReasonNone},
		{to, "10.78.0.1", ipc.ReasonSourceAddress},
		{to, "169.254.20.10", ipc.ReasonSourceAddress},
		{to6, "2001:db8::7", ipc.ReasonSourceAddress},
		{to6, "fe80::7", ipc.ReasonNone},
	} {
		way.Source = netip.MustParseAddr(tt.source).As16()
		if status := k.Admit(&tt.to, way); (status == wsk.STATUS_SUCCESS) != (tt.reason == ipc.ReasonNone) {
			t.Errorf("%s: %v", tt.source, status)
		} else if status != wsk.STATUS_SUCCESS && k.denials.find(&tt.to) != tt.reason {
			t.Errorf("%s: %v, want %v", tt.source, k.denials.find(&tt.to), tt.reason)
		}
	}
}

// TestAdmitAllocatesNothing: a verdict is cheap enough for a destination that is new with every datagram.
func TestAdmitAllocatesNothing(t *testing.T) {
	k, to, way := guardOf(t)
	if status := k.Admit(&to, way); status != wsk.STATUS_SUCCESS {
		t.Fatalf("%v, %v", status, k.denials.find(&to))
	}
	denied := to
	denied.Addr = netip.MustParseAddr("11.0.0.1").As16()
	if n := testing.AllocsPerRun(100, func() {
		k.Admit(&to, way)
		k.Admit(&denied, way)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	k, to, way := guardOf(b)
	b.ReportAllocs()
	for b.Loop() {
		if k.Admit(&to, way) != wsk.STATUS_SUCCESS {
			b.Fatal("refused")
		}
	}
}
