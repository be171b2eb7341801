// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// stormClient is one registration and its life.
type stormClient struct {
	storm        *storm
	audit        audit
	id           uint64
	static       bool
	registration wsk.Registration
	npi          wsk.ProviderNPI
	slots        [len(stormPorts)]atomic.Pointer[stormSocket]
	stop         atomic.Bool
	over         chan struct{} // closed with stop
	work         sync.WaitGroup
	retained     chan kept
	releasing    sync.WaitGroup
}

// kept is an indication that a callback has kept.
type kept struct {
	socket *wsk.Socket
	node   *wsk.DatagramIndication
}

// stormSocket is the context of a socket.
type stormSocket struct {
	client *stormClient
	socket *wsk.Socket
	six    bool
}

// runClient registers a client, lets it work for the given time and deregisters it.
func (s *storm) runClient(id uint64, life time.Duration) {
	c := &stormClient{storm: s, id: id, static: id%2 == 1, over: make(chan struct{}), retained: make(chan kept, 4096)}
	c.audit.t = s.t
	s.rig.register(&c.registration, &c.npi)
	if c.static {
		c.npi.ControlClient(wsk.WSK_SET_STATIC_EVENT_CALLBACKS, wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, nil)
	}
	c.releasing.Go(c.giveBack)
	watch := wsk.AllocateIRP() // Deregister cancels it
	call := c.audit.arm(watch, "WSK_TRANSPORT_LIST_CHANGE", func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
		if status := irp.IoStatus.Status; status != wsk.STATUS_CANCELLED {
			s.t.Errorf("WSK_TRANSPORT_LIST_CHANGE: %v", status)
		}
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}, nil)
	if status := call.returns(c.npi.ControlClient(wsk.WSK_TRANSPORT_LIST_CHANGE, nil, nil, nil, watch)); status != wsk.STATUS_PENDING {
		s.t.Errorf("WSK_TRANSPORT_LIST_CHANGE returned %v", status)
	}
	for i := range c.slots {
		c.work.Go(func() { c.keepSlot(i) })
	}
	for i, f := range []func(*rand.Rand){c.sendLoop, c.sendLoop, c.receiveLoop, c.optionLoop, c.optionLoop} {
		c.work.Go(func() { f(rand.New(rand.NewPCG(s.seed^id, uint64(100+i)))) })
	}
	<-time.After(life)
	c.stop.Store(true)
	close(c.over)
	if id%3 == 0 { // the client ends while it is still making calls
		wsk.ReleaseProviderNPI(&c.registration)
		wsk.Deregister(&c.registration)
		c.afterDeregister(false)
		c.work.Wait()
	} else {
		c.work.Wait()
		wsk.ReleaseProviderNPI(&c.registration)
		wsk.Deregister(&c.registration)
		c.afterDeregister(true)
	}
	close(c.retained)
	c.releasing.Wait()
	s.clients.Add(1)
	s.rig.begun.Add(c.audit.begun.Load())
	s.rig.over.Add(c.audit.over.Load())
}

// afterDeregister checks that no socket is open and, if no more calls come, that every IRP has completed and its
// routine returned.
func (c *stormClient) afterDeregister(quiet bool) {
	for i := range c.slots {
		if c.slots[i].Load() != nil {
			c.storm.t.Error("WskDeregister returned while a socket was open")
		}
	}
	if begun, over := c.audit.begun.Load(), c.audit.over.Load(); quiet && begun != over {
		c.storm.t.Errorf("WskDeregister returned with %d of %d IRPs completed", over, begun)
	}
}

// wait makes a call and waits for it.
func (c *stormClient) wait(what string, f func(irp *wsk.IRP) wsk.NTSTATUS) wsk.IOStatusBlock {
	irp, done := wsk.AllocateIRP(), newEvent()
	call := c.audit.arm(irp, what, setEvent, done)
	if call.returns(f(irp)) == wsk.STATUS_PENDING {
		select {
		case <-done:
		case <-time.After(waitLimit):
			c.storm.t.Errorf("%s does not complete", what)
			return wsk.IOStatusBlock{Status: wsk.STATUS_PENDING}
		}
	}
	return irp.IoStatus
}

// keepSlot keeps a socket in a slot, closes it after a while and opens another.
func (c *stormClient) keepSlot(i int) {
	random := rand.New(rand.NewPCG(c.storm.seed^c.id, uint64(i)))
	for !c.stop.Load() {
		s := c.open(i, random)
		if s == nil {
			continue
		}
		c.slots[i].Store(s)
		select {
		case <-c.over:
		case <-time.After(time.Duration(random.IntN(150)) * time.Millisecond):
		}
		c.slots[i].Store(nil)
		if end := c.wait("WskCloseSocket", s.socket.Close); end.Status != wsk.STATUS_SUCCESS {
			c.storm.t.Errorf("WskCloseSocket: %v", end.Status)
		}
		c.storm.closes.Add(1)
	}
}

// open makes a socket and binds it, to a port that other clients want too or to any port. If that fails it closes the
// socket again.
func (c *stormClient) open(i int, random *rand.Rand) *stormSocket {
	s := &stormSocket{client: c, six: i%2 == 1}
	family, local := uint16(wsk.AF_INET), netip.IPv4Unspecified()
	if s.six {
		family, local = wsk.AF_INET6, netip.IPv6Unspecified()
	}
	end := c.wait("WskSocket", func(irp *wsk.IRP) wsk.NTSTATUS {
		return c.npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, s,
			&wsk.ClientDatagramDispatch{ReceiveFromEvent: stormReceive}, nil, nil, nil, irp)
	})
	if end.Status != wsk.STATUS_SUCCESS {
		if end.Status != wsk.STATUS_INVALID_HANDLE || !c.stop.Load() {
			c.storm.t.Errorf("WskSocket: %v", end.Status)
		}
		return nil
	}
	s.socket = end.Socket
	if s.six {
		c.set(s, wsk.IPPROTO_IPV6, wsk.IPV6_V6ONLY, 0)
	}
	port := stormPorts[random.IntN(len(stormPorts))]
	if random.IntN(4) == 0 {
		port = 0
	}
	bind := func(irp *wsk.IRP) wsk.NTSTATUS {
		return s.socket.Bind(wsk.NewSockaddr(netip.AddrPortFrom(local, port)), 0, irp)
	}
	switch status := c.wait("WskBind", bind).Status; status {
	case wsk.STATUS_SUCCESS:
		return s
	case wsk.STATUS_ADDRESS_ALREADY_EXISTS, wsk.STATUS_ACCESS_DENIED:
	default:
		c.storm.t.Errorf("WskBind: %v", status)
	}
	if end := c.wait("WskCloseSocket", s.socket.Close); end.Status != wsk.STATUS_SUCCESS {
		c.storm.t.Errorf("WskCloseSocket: %v", end.Status)
	}
	return nil
}

// pick is one of the client's sockets, which may be closed at any moment, or nil.
func (c *stormClient) pick(random *rand.Rand) *stormSocket {
	s := c.slots[random.IntN(len(c.slots))].Load()
	if s == nil {
		runtime.Gosched()
	}
	return s
}

// set sets an option of four bytes with an IRP.
func (c *stormClient) set(s *stormSocket, level, code, value uint32) wsk.NTSTATUS {
	return c.wait("set option", func(irp *wsk.IRP) wsk.NTSTATUS {
		in := binary.LittleEndian.AppendUint32(nil, value)
		return s.socket.ControlSocket(wsk.WskSetOption, code, level, in, nil, nil, irp)
	}).Status
}

// optionLoop sets and gets everything that a datagram socket has.
func (c *stormClient) optionLoop(random *rand.Rand) {
	for !c.stop.Load() {
		s := c.pick(random)
		if s == nil {
			continue
		}
		c.storm.options.Add(1)
		c.change(s, random)
		if random.IntN(4) == 0 { // otherwise there would be nothing but changes
			<-time.After(time.Millisecond)
		}
	}
}

func (c *stormClient) change(s *stormSocket, random *rand.Rand) {
	bit := uint32(random.IntN(2))
	level := []uint32{wsk.IPPROTO_IP, wsk.IPPROTO_IPV6}[random.IntN(2)]
	ioctl := func(code uint32, input, output []byte) {
		c.wait("I/O control", func(irp *wsk.IRP) wsk.NTSTATUS {
			return s.socket.ControlSocket(wsk.WskIoctl, code, 0, input, output, nil, irp)
		})
	}
	event := func(mask uint32, irp *wsk.IRP) wsk.NTSTATUS {
		return s.socket.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, wsk.SOL_SOCKET, wsk.NewEventCallbackControl(mask),
			nil, nil, irp)
	}
	switch random.IntN(17) {
	case 0:
		c.set(s, wsk.SOL_SOCKET, wsk.SO_RCVBUF, uint32(1)<<(10+random.IntN(12)))
	case 1:
		c.set(s, level, wsk.IP_PKTINFO, bit)
	case 2:
		c.set(s, level, wsk.IP_RECVERR, bit)
	case 3:
		c.set(s, level, []uint32{wsk.IP_RECVTTL, wsk.IP_RECVTOS, wsk.IP_RECVECN}[random.IntN(3)], bit)
	case 4:
		c.set(s, wsk.IPPROTO_UDP, wsk.UDP_SEND_MSG_SIZE, bit*uint32(1+random.IntN(1400)))
	case 5:
		c.set(s, wsk.IPPROTO_UDP, wsk.UDP_RECV_MAX_COALESCED_SIZE, bit*65527)
	case 6:
		mreq := append(stormGroup[:], s.client.storm.rig.a(false).AsSlice()...)
		code := []uint32{wsk.IP_ADD_MEMBERSHIP, wsk.IP_DROP_MEMBERSHIP}[bit]
		c.wait("membership", func(irp *wsk.IRP) wsk.NTSTATUS {
			return s.socket.ControlSocket(wsk.WskSetOption, code, wsk.IPPROTO_IP, mreq, nil, nil, irp)
		})
	case 7:
		ioctl(wsk.SIO_WSK_SET_REMOTE_ADDRESS, c.target(s, random), nil)
		ioctl(wsk.SIO_WSK_SET_REMOTE_ADDRESS, nil, nil)
	case 8:
		ioctl(wsk.SIO_WSK_SET_SENDTO_ADDRESS, c.target(s, random), nil)
	case 9:
		ioctl(wsk.SIO_ADDRESS_LIST_QUERY, nil, make([]byte, random.IntN(400)))
	case 10: // stays pending until it is cancelled, by us or by the close
		irp, done := wsk.AllocateIRP(), newEvent()
		call := c.audit.arm(irp, "SIO_ADDRESS_LIST_CHANGE", setEvent, done)
		call.returns(s.socket.ControlSocket(wsk.WskIoctl, wsk.SIO_ADDRESS_LIST_CHANGE, 0, nil, nil, nil, irp))
		if bit == 0 {
			irp.Cancel()
			<-done
		}
	case 11:
		c.wait("WskGetLocalAddress", func(irp *wsk.IRP) wsk.NTSTATUS {
			return s.socket.GetLocalAddress(make(wsk.SOCKADDR, wsk.SizeofSockaddrIn6), irp)
		})
	case 12, 13, 14:
		event(wsk.WSK_EVENT_RECEIVE_FROM, nil)
	case 15:
		event(wsk.WSK_EVENT_RECEIVE_FROM|wsk.WSK_EVENT_DISABLE, nil)
	case 16:
		c.wait("disable the callback", func(irp *wsk.IRP) wsk.NTSTATUS {
			return event(wsk.WSK_EVENT_RECEIVE_FROM|wsk.WSK_EVENT_DISABLE, irp)
		})
	}
}

// target is where a send goes: mostly to a sink, sometimes where nobody listens, and at times nowhere.
func (c *stormClient) target(s *stormSocket, random *rand.Rand) wsk.SOCKADDR {
	version := random.IntN(2)
	if !s.six {
		version = 0
	}
	to := c.storm.sinks[version].addr
	switch random.IntN(40) {
	case 0:
		to = c.storm.nobody[version]
	case 1:
		to = netip.AddrPortFrom(to.Addr(), 0)
	}
	if s.six {
		to = mapped(to)
	}
	return wsk.NewSockaddr(to)
}
