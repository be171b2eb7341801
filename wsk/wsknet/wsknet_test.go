// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/servicetest"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// TestOneLine: the same steps with both packages, in two namespaces at once. With this package frames leave through
// AF_XDP, and nothing is held any more when the last connection is closed.
func TestOneLine(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	for _, f := range []functions{ofNet, ofWsknet} {
		t.Run(f.name, func(t *testing.T) {
			before := holds(t)
			var a, b, dialled conn
			var packet net.PacketConn
			in(t, lab.A, func() (err error) {
				a, err = f.listenUDP("udp", &net.UDPAddr{IP: lab.A.IPv4().AsSlice()})
				return err
			})
			in(t, lab.B, func() (err error) {
				b, err = f.listenUDP("udp", nil)
				return err
			})
			if err := exchange(a, b, at(lab.B.IPv4(), b)); err != nil {
				t.Fatal(err)
			}
			in(t, lab.A, func() (err error) {
				if dialled, err = f.dialUDP("udp", nil, net.UDPAddrFromAddrPort(at(lab.B.IPv6(), b))); err != nil {
					return err
				}
				packet, err = f.listenPacket("udp4", ":0")
				return err
			})
			if _, err := dialled.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if n, from, err := b.ReadFrom(make([]byte, 10)); n != 1 || err != nil || from.String() != dialled.LocalAddr().String() {
				t.Errorf("%d bytes from %v, %v, want them from %v", n, from, err, dialled.LocalAddr())
			}
			if got := packet.LocalAddr().(*net.UDPAddr).AddrPort(); got.Addr() != netip.IPv4Unspecified() || got.Port() == 0 {
				t.Errorf("ListenPacket is bound to %v", got)
			}
			// The first datagrams leave through the kernel's stack.
			for end := time.Now().Add(waitLimit); f.name == "wsknet" && holds(t).mappings == before.mappings; <-time.After(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("no AF_XDP socket is open")
				}
			}
			for _, c := range []net.PacketConn{packet, a, dialled, b} {
				if err := c.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if err := c.Close(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Close again: %v", err)
				}
			}
			gone(t, before)
		})
	}
}

// TestAddresses: what the functions of package net take for an address, both take, and refuse the same.
func TestAddresses(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	four, six := net.IP(lab.A.IPv4().AsSlice()), net.IP(lab.A.IPv6().AsSlice())
	type outcome struct {
		local, remote string
		failed        string // Op of the error
		is            string // what errors.As finds in it
	}
	look := func(c conn, err error) (o outcome) {
		if err != nil {
			var op *net.OpError
			var addr *net.AddrError
			var network net.UnknownNetworkError
			if !errors.As(err, &op) {
				t.Errorf("%v (%T) is no *net.OpError", err, err)
				return outcome{failed: "?"}
			}
			switch {
			case errors.As(err, &addr):
				o.is = "AddrError"
			case errors.As(err, &network):
				o.is = "UnknownNetworkError"
			}
			o.failed = op.Op
			return o
		}
		defer c.Close()
		local := c.LocalAddr().(*net.UDPAddr)
		o.local = local.IP.String()
		if c.RemoteAddr() != nil {
			o.remote = c.RemoteAddr().String()
		}
		return o
	}
	for _, tc := range []struct {
		name string
		open func(f functions) (conn, error)
	}{
		{"listen nowhere", func(f functions) (conn, error) { return f.listenUDP("udp", nil) }},
		{"listen on no address", func(f functions) (conn, error) { return f.listenUDP("udp4", &net.UDPAddr{}) }},
		{"listen on 16 bytes", func(f functions) (conn, error) { return f.listenUDP("udp", &net.UDPAddr{IP: four.To16()}) }},
		{"listen on IPv6", func(f functions) (conn, error) { return f.listenUDP("udp6", &net.UDPAddr{IP: six}) }},
		{"listen on the other version", func(f functions) (conn, error) { return f.listenUDP("udp4", &net.UDPAddr{IP: six}) }},
		{"listen on five bytes", func(f functions) (conn, error) { return f.listenUDP("udp", &net.UDPAddr{IP: net.IP{1, 2, 3, 4, 5}}) }},
		{"listen on no network", func(f functions) (conn, error) { return f.listenUDP("tcp", nil) }},
		{"listen elsewhere", func(f functions) (conn, error) {
			return f.listenUDP("udp", &net.UDPAddr{IP: net.IPv4(198, 51, 100, 1)})
		}},
		{"listen on a group", func(f functions) (conn, error) {
			return f.listenUDP("udp4", &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251)})
		}},
		{"listen on any group", func(f functions) (conn, error) { return f.listenUDP("udp", &net.UDPAddr{IP: net.IPv4(224, 0, 0, 0)}) }},
		{"listen on a group of IPv6", func(f functions) (conn, error) { return f.listenUDP("udp6", &net.UDPAddr{IP: net.ParseIP("ff02::fb")}) }},
		{"listen on a group with a zone", func(f functions) (conn, error) {
			return f.listenUDP("udp", &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Zone: "nowhere"})
		}},
		{"dial nowhere", func(f functions) (conn, error) { return f.dialUDP("udp", nil, nil) }},
		{"dial a port", func(f functions) (conn, error) { return f.dialUDP("udp", nil, &net.UDPAddr{Port: 9}) }},
		{"dial a port of IPv6", func(f functions) (conn, error) { return f.dialUDP("udp6", nil, &net.UDPAddr{Port: 9}) }},
		{"dial from an address", func(f functions) (conn, error) {
			return f.dialUDP("udp", &net.UDPAddr{IP: four}, &net.UDPAddr{IP: lab.B.IPv4().AsSlice(), Port: 9})
		}},
		{"dial the wildcard", func(f functions) (conn, error) { return f.dialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4zero, Port: 9}) }},
		{"dial no network", func(f functions) (conn, error) { return f.dialUDP("unix", nil, &net.UDPAddr{IP: four, Port: 9}) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var want, got outcome
			in(t, lab.A, func() error {
				want, got = look(tc.open(ofNet)), look(tc.open(ofWsknet))
				return nil
			})
			if got != want {
				t.Errorf("%+v, package net %+v", got, want)
			}
		})
	}
}

// TestSharedStackStorm: connections that come and go at once share stacks, and the end of the last ends the stack also
// when the next one is under way.
func TestSharedStackStorm(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	before := holds(t)
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() {
			for j := range 5 {
				err := lab.A.NS.Do(func() error {
					c, err := wsknet.ListenUDP("udp", &net.UDPAddr{IP: lab.A.IPv4().AsSlice()})
					if err != nil {
						return err
					}
					if (i+j)%2 == 0 {
						if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(lab.B.IPv4(), 9)); err != nil {
							t.Error(err)
						}
					}
					return c.Close()
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	gone(t, before)
}

// TestStackClose: Close ends blocked reads with net.ErrClosed, in whatever order things are closed, and everything else
// fails after it.
func TestStackClose(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{})
	before := holds(t)
	name := lab.A.If.Name()
	s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{
		NetNS: lab.A.NS.FD(), Interfaces: []string{name}, Receive: []string{name},
	}})
	if err != nil {
		t.Fatal(err)
	}
	f := ofStack("stack", s)
	const conns, reads = 8, 3
	failures := make(chan error, conns*reads)
	var all []conn
	for range conns {
		c, err := f.listenUDP("udp", &net.UDPAddr{IP: lab.A.IPv4().AsSlice()})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		for range reads {
			go func() {
				_, err := c.Read(make([]byte, 10))
				failures <- err
			}()
		}
		if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(lab.B.IPv4(), 9)); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, waitLimit, "AF_XDP to send all", func() bool { return s.Datapath().Info().Queues[0].Submitted >= conns })
	var closing sync.WaitGroup
	for range 2 {
		closing.Go(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	for _, c := range all[:conns/2] {
		closing.Go(func() { c.Close() })
	}
	closing.Go(func() {
		for {
			c, err := f.listenUDP("udp", nil)
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("listen: %v", err)
				}
				return
			}
			defer c.Close()
		}
	})
	for range conns * reads {
		select {
		case err := <-failures:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("blocked read: %v", err)
			}
		case <-time.After(waitLimit):
			t.Fatal("a blocked read does not end")
		}
	}
	closing.Wait()
	for _, c := range all {
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Close after the stack's: %v", err)
		}
	}
	if _, err := f.dialUDP("udp", nil, &net.UDPAddr{IP: lab.B.IPv4().AsSlice(), Port: 9}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial: %v", err)
	}
	gone(t, before)
}

// TestDaemon: the stack is that of a daemon by an option, and its connections and its Close do the same.
func TestDaemon(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	name := lab.A.If.Name()
	below, err := datapath.Open(datapath.Options{NetNS: lab.A.NS.FD(), Interfaces: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { below.Close() })
	path := servicetest.Serve(t, below, name, func(uint32) string { return name }, below.Recheck)
	testenv.Eventually(t, waitLimit, "the routes to be read, which ends in one more goroutine", func() bool {
		stacks := make([]byte, 1<<20)
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("mirror.(*Mirror).learning("))
	})
	before := holds(t)
	s, err := wsknet.Open(wsknet.Options{Daemon: &client.Options{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Datapath() != nil {
		t.Error("a stack over a daemon has a datapath")
	}
	a, err := s.ListenUDP("udp", &net.UDPAddr{IP: lab.A.IPv4().AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := pctest.Kernel(lab.B.IPv4(), lab.B.NS.Do).Listen("udp", netip.AddrPortFrom(lab.B.IPv4(), 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := exchange(a, b, at(lab.B.IPv4(), b)); err != nil {
		t.Error(err)
	}
	if got := below.Info().Queues[0].Submitted; got == 0 {
		t.Error("nothing was sent through AF_XDP")
	}
	b.Close()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, _, err := a.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after the stack's Close: %v", err)
	}
	gone(t, before)
}

// TestSuite is the suite of pctest over the functions of the package, with the kernel at the other end.
func TestSuite(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	var anchor conn // keeps the shared stack open
	in(t, lab.A, func() (err error) {
		anchor, err = orNil(wsknet.ListenUDP("udp", nil))
		return err
	})
	defer anchor.Close()
	opened := func(f func() (*wsknet.UDPConn, error)) (c pctest.Conn, err error) {
		err = lab.A.NS.Do(func() (err error) {
			c, err = orNil(f())
			return err
		})
		return c, err
	}
	pctest.Run(t, pctest.Hosts{
		A: pctest.Host{
			Addr: lab.A.IPv6(),
			Listen: func(network string, laddr netip.AddrPort) (pctest.Conn, error) {
				return opened(func() (*wsknet.UDPConn, error) { return wsknet.ListenUDP(network, udpAddr(laddr)) })
			},
			Dial: func(network string, laddr, raddr netip.AddrPort) (pctest.Conn, error) {
				return opened(func() (*wsknet.UDPConn, error) { return wsknet.DialUDP(network, udpAddr(laddr), udpAddr(raddr)) })
			},
		},
		B: pctest.Kernel(lab.B.IPv6(), lab.B.NS.Do), Refuses: true,
	})
}

func udpAddr(ap netip.AddrPort) *net.UDPAddr {
	if ap == (netip.AddrPort{}) {
		return nil
	}
	return net.UDPAddrFromAddrPort(ap)
}
