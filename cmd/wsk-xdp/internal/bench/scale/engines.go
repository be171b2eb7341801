// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/irps"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// Base is the engine that ratios refer to.
const Base = "udp"

// sender is an engine made ready.
type sender struct {
	// send hands over a datagram by one of the sockets to one of the destinations.
	send func(socket, destination int) error
	// rest is called between bursts.
	rest func() error
	// end gives everything back and tells what became of it.
	end func(*event) error
}

type engine struct {
	check.Choice
	open func(*task) (*sender, error)
}

var engines = []engine{
	{check.Called("wsk", "WskSendTo, one datagram per IRP"), openWsk},
	{check.Called(Base, "net.UDPConn, one WriteToUDPAddrPort per datagram"), openUDP},
}

// Names are the engines that there are.
func Names() []string { return check.Names(engines) }

// Summary describes an engine in a few words.
func Summary(name string) string { return check.Summary(engines, name) }

const (
	// port is where everything is sent to.
	port = 9000
	// payload is the bytes of a datagram.
	payload = 18
	// underWay is how many datagrams a client of WSK lets be under way at once.
	underWay = 1024
	// drainTime bounds the wait for the last of them.
	drainTime = 2 * time.Second
)

func openUDP(t *task) (*sender, error) {
	var conns []*net.UDPConn
	end := func(*event) (err error) {
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	for range t.Sockets {
		c, err := net.ListenUDP(fmt.Sprintf("udp%d", t.IPVersion), nil)
		if err != nil {
			return nil, errors.Join(err, end(nil))
		}
		conns = append(conns, c)
	}
	data := make([]byte, payload)
	return &sender{
		send: func(socket, i int) error {
			_, err := conns[socket].WriteToUDPAddrPort(data, netip.AddrPortFrom(destination(t.IPVersion, i), port))
			if errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) {
				err = nil // it is lost, as datagrams are
			}
			return err
		},
		rest: func() error { return nil },
		end:  end,
	}, nil
}

// wskSender is WSK over AF_XDP.
type wskSender struct {
	dp     *datapath.Datapath
	client *client.Client
	irps   *irps.Set
	failed atomic.Uint64
	buf    *wsk.Buf
	to     wsk.SOCKADDR // is read during the call only
	put    func(i int)  // writes a destination there
}

func openWsk(t *task) (_ *sender, err error) {
	s := &wskSender{
		buf: &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, payload)), Length: payload},
		to:  wsk.NewSockaddr(netip.AddrPortFrom(destination(t.IPVersion, 0), port)),
	}
	local, family := netip.IPv4Unspecified(), uint16(wsk.AF_INET)
	s.put = func(i int) { putDestination4(s.to[4:], i) }
	if t.IPVersion == 6 {
		local, family = netip.IPv6Unspecified(), wsk.AF_INET6
		s.put = func(i int) { putDestination6(s.to[8:], i) }
	}
	if s.dp, err = datapath.Open(datapath.Options{Interfaces: []string{t.Interface}}); err != nil {
		return nil, err
	}
	if s.client, err = client.Open(s.dp, s.dp.Close); err != nil {
		return nil, err
	}
	for range t.Sockets {
		socket, err := s.client.Socket(context.Background(), family, nil, nil)
		if err == nil {
			err = client.Bind(context.Background(), socket, netip.AddrPortFrom(local, 0))
		}
		if err != nil {
			return nil, errors.Join(err, s.client.Close(context.Background()))
		}
	}
	s.irps = irps.New(underWay, 1, &s.failed)
	sockets := slices.Clone(s.client.Sockets())
	return &sender{
		send: func(socket, i int) error {
			s.put(i)
			sockets[socket].SendTo(s.buf, 0, s.to, nil, s.irps.Take())
			return nil
		},
		rest: func() error { s.irps.Collect(); return s.irps.Dead() },
		end:  s.end,
	}, nil
}

func (s *wskSender) end(e *event) error {
	s.irps.Drain(time.Now().Add(drainTime))
	if e != nil {
		info := s.dp.Info()
		e.Slow, e.Failed = info.SlowSent, s.failed.Load()
		for _, n := range info.RoutesAsked {
			e.Asked += n
		}
	}
	return errors.Join(s.client.Close(context.Background()), s.irps.Check())
}
