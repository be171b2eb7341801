// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// TestCompanion: what the kernel's sockets do for the daemon, which for its clients is no different.
func TestCompanion(t *testing.T) { testCompanion(t, start(t)) }

func testCompanion(t *testing.T, r *rig) {
	npi := through(t, r.path("s"))
	own := func(c *netconn.Conn, err error) *netconn.Conn {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(testenv.Patience(waitLimit))); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := own(netconn.Listen(npi, "udp4", netip.AddrPort{}, netconn.Options{Strict: true}))
	here := netip.AddrPortFrom(r.lab.A.IPv4(), c.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port())
	arrives := func(want string) {
		t.Helper()
		buf := make([]byte, 10000)
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil || string(buf[:n]) != want {
			t.Errorf("%d bytes from %v: %v; want %.20s", n, from, err, want)
		}
	}

	if _, err := c.WriteToUDPAddrPort([]byte("to this host"), here); err != nil {
		t.Error(err)
	}
	arrives("to this host")

	group := netip.MustParseAddr("239.1.2.3")
	at := r.lab.A.IPv4().As4()
	irp := wsk.AllocateIRP()
	c.Socket().ControlSocket(wsk.WskSetOption, wsk.IP_ADD_MEMBERSHIP, wsk.IPPROTO_IP, append(group.AsSlice(), at[:]...), nil, nil, irp)
	if err := irp.Wait(testenv.Context(t, waitLimit)); err != nil || irp.IoStatus.Status != wsk.STATUS_SUCCESS {
		t.Fatalf("join: %v, %v", irp.IoStatus.Status, err)
	}
	there := testenv.NewUDPSenderT(t, r.lab.B.NS, testenv.UDPSenderOptions{
		Source: netip.AddrPortFrom(r.lab.B.IPv4(), 0), Interface: r.lab.B.If.Index(),
	})
	if err := there.Send(netip.AddrPortFrom(group, here.Port()), []byte("to the group")); err != nil {
		t.Fatal(err)
	}
	arrives("to the group")

	long := bytes.Repeat([]byte("long"), 1000)
	if err := there.Send(here, long); err != nil {
		t.Fatal(err)
	}
	arrives(string(long))
	far := testenv.NewUDPReceiverT(t, r.lab.B.NS, netip.AddrPortFrom(r.lab.B.IPv4(), 9000), testenv.UDPReceiverOptions{})
	if _, err := c.WriteToUDPAddrPort(long, far.Local()); err != nil {
		t.Error(err)
	}
	if got, err := far.Wait(testenv.Context(t, waitLimit), 1); err != nil || !bytes.Equal(got[0].Payload, long) {
		t.Errorf("in fragments: %v", err)
	}

	closed := own(netconn.Dial(npi, "udp4", netip.AddrPort{}, netip.AddrPortFrom(r.lab.B.IPv4(), 9001), netconn.Options{Strict: true}))
	if _, err := closed.Write([]byte("to nobody")); err != nil {
		t.Error(err)
	}
	if _, err := closed.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("from a closed port: %v", err)
	}
}
