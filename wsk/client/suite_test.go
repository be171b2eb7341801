// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

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

// open makes a client of a daemon, for the time of the test.
func open(t testing.TB, o client.Options) *client.Transport {
	t.Helper()
	transport := client.Open(o)
	t.Cleanup(func() { transport.Close() })
	return transport
}

// host is a host of netconn's suite.
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

// TestNetconn is netconn's suite between a client and a socket of the daemon's own transport.
func TestNetconn(t *testing.T) {
	transport := wsktest.New()
	transport.Loop(true)
	transport.Record(false)
	loopback := netip.MustParseAddr("127.0.0.1")
	transport.SetLocal(loopback)
	d := serve(t, transport, nil)
	a := capture(t, open(t, client.Options{Path: d.path}))
	pctest.Run(t, pctest.Hosts{A: host(loopback, a), B: host(loopback, capture(t, transport))})
	testenv.Eventually(t, waitLimit, "the last datagrams to come back", func() bool { return transport.Counts().Lent == 0 })
}
