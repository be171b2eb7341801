// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// waitLimit is how long something may take that should take no time at all.
const waitLimit = time.Minute

// capture attaches a transport to a subsystem of its own and captures it until the end of the test.
func capture(t testing.TB, transport wsk.Transport) *wsk.ProviderNPI {
	t.Helper()
	subsystem := new(wsk.Subsystem)
	if status := subsystem.Attach(transport, wsk.ProviderOptions{}); status != wsk.STATUS_SUCCESS {
		t.Fatal(status)
	}
	npi, release, err := netconn.Capture(subsystem)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		release() // waits until every connection is closed
		subsystem.Detach()
	})
	return npi
}

// fake is a transport in memory whose sockets reach each other.
func fake(t testing.TB) (*wsktest.Transport, *wsk.ProviderNPI) {
	t.Helper()
	transport := wsktest.New()
	transport.Loop(true)
	transport.Record(false)
	return transport, capture(t, transport)
}

// host is a host of the suite with connections of this package.
func host(addr netip.Addr, npi *wsk.ProviderNPI) pctest.Host {
	return pctest.Host{
		Addr: addr,
		Listen: func(network string, laddr netip.AddrPort) (pctest.Conn, error) {
			c, err := netconn.Listen(npi, network, laddr, netconn.Options{})
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		Dial: func(network string, laddr, raddr netip.AddrPort) (pctest.Conn, error) {
			c, err := netconn.Dial(npi, network, laddr, raddr, netconn.Options{})
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		Control: func(c pctest.Conn) error {
			return c.(*netconn.Conn).SetControl(netconn.ControlPacketInfo|netconn.ControlTTL|netconn.ControlTOS, true)
		},
	}
}

func listen(t testing.TB, npi *wsk.ProviderNPI, laddr string, opts netconn.Options) *netconn.Conn {
	t.Helper()
	c, err := netconn.Listen(npi, "udp", netip.MustParseAddrPort(laddr), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestFake is the suite over memory.
func TestFake(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		t.Run(addr, func(t *testing.T) {
			transport, npi := fake(t)
			local := netip.MustParseAddr(addr)
			transport.SetLocal(local)
			pctest.Run(t, pctest.Hosts{A: host(local, npi), B: host(local, npi)})
			if lent := transport.Counts().Lent; lent != 0 {
				t.Errorf("%d datagrams are still lent", lent)
			}
		})
	}
}
