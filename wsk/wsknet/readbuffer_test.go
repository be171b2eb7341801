// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// TestSmallReadBuffer: a datagram that comes before the read is there for it, whatever its size and that of the read
// buffer, as with a socket of the kernel: where nothing waits one is always taken.
func TestSmallReadBuffer(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{NetNS: lab.A.NS.FD()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sender := pcKernel(lab.B)
	b, err := sender.Listen("udp4", netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	kernel := pcKernel(lab.A)
	for name, listen := range map[string]func() (conn, error){
		"net":    func() (conn, error) { return kernel.Listen("udp4", netip.AddrPort{}) },
		"wsknet": func() (conn, error) { return orNil(s.ListenUDP("udp4", nil)) },
	} {
		for _, tc := range []struct{ buffer, size int }{{0, 300}, {2048, 300}, {64 << 10, 20_000}, {64 << 10, 65_507}} {
			c, err := listen()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadBuffer(tc.buffer); err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(testenv.Patience(5 * time.Second)))
			payload := pctest.Pattern(tc.size)
			if _, err := b.WriteToUDPAddrPort(payload, at(lab.A.IPv4(), c)); err != nil {
				t.Fatal(err)
			}
			if w, ok := c.(*wsknet.UDPConn); ok { // else the read might be there first, and the datagram not meet the buffer
				for end := time.Now().Add(waitLimit); ; <-time.After(time.Millisecond) {
					if st := w.Socket().ReceiveStatistics(); st.Buffered+int(st.Overflowed) > 0 || time.Now().After(end) {
						break
					}
				}
			}
			buf := make([]byte, 1<<16)
			if n, err := c.Read(buf); err != nil || string(buf[:n]) != string(payload) {
				t.Errorf("%s: a read buffer of %d, a datagram of %d: %d bytes, %v", name, tc.buffer, tc.size, n, err)
			}
			c.Close()
		}
	}
}
