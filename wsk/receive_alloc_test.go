// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"net/netip"
	"testing"
)

// source is a transport that lends the same datagrams again and again.
type source struct {
	sink
	events EndpointEvents
	list   []Datagram
	lent   int
}

func (t *source) OpenEndpoint(_ uint16, events EndpointEvents) (Endpoint, NTSTATUS) {
	t.events = events
	return t, STATUS_SUCCESS
}
func (t *source) Configure(ReceiveOptions)   {}
func (t *source) Change(Membership) NTSTATUS { return STATUS_NOT_SUPPORTED }
func (t *source) Release(*Datagram)          { t.lent-- }
func (t *source) Keep(*Datagram)             {}

// deliver hands n datagrams over in one list.
func (t *source) deliver(n int) {
	for i := range n {
		d := &t.list[i]
		if d.Next = nil; i > 0 {
			t.list[i-1].Next = d
		}
	}
	t.lent += n
	t.events.(Receiver).Receive(&t.list[0])
}

// newSource is a bound socket over a source of datagrams with a payload of the given size, with all control data on.
func newSource(tb testing.TB, local string, size int, control bool, dispatch *ClientDatagramDispatch) (*Socket, *source) {
	tb.Helper()
	t := &source{list: make([]Datagram, 64)}
	ap := netip.MustParseAddrPort(local)
	for i := range t.list {
		t.list[i] = Datagram{
			Payload: make([]byte, size), TTL: 64, TOS: 1, IfIndex: 3, Lender: t,
			Source:      Address{Addr: netip.MustParseAddr("::ffff:198.51.100.7").As16(), Port: 9},
			Destination: netip.MustParseAddr("::ffff:192.0.2.10").As16(),
		}
		if ap.Addr().Is6() {
			t.list[i].Source.Addr = netip.MustParseAddr("2001:db8::7").As16()
			t.list[i].Destination = netip.MustParseAddr("2001:db8::10").As16()
		}
	}
	var ss Subsystem
	var reg Registration
	var npi ProviderNPI
	ss.Attach(t, ProviderOptions{})
	ss.Register(&ClientNPI{Dispatch: &ClientDispatch{Version: 0x100}}, &reg)
	CaptureProviderNPI(&reg, WSK_NO_WAIT, &npi)
	family := uint16(AF_INET6)
	if ap.Addr().Is4() {
		family = AF_INET
	}
	irp := AllocateIRP()
	npi.Socket(family, SOCK_DGRAM, IPPROTO_UDP, WSK_FLAG_DATAGRAM_SOCKET, nil, dispatch, nil, nil, nil, irp)
	s := irp.IoStatus.Socket
	irp.Reuse(0)
	s.Bind(NewSockaddr(ap), 0, irp)
	if irp.IoStatus.Status != STATUS_SUCCESS {
		tb.Fatal(irp.IoStatus.Status)
	}
	if control {
		level := uint32(IPPROTO_IPV6)
		if family == AF_INET {
			level = IPPROTO_IP
		}
		for _, code := range []uint32{IP_PKTINFO, IP_RECVTTL, IP_RECVTOS, IP_RECVECN} {
			s.ControlSocket(WskSetOption, code, level, []byte{1, 0, 0, 0}, nil, nil, nil)
		}
	}
	if dispatch != nil {
		if status := s.ControlSocket(WskSetOption, SO_WSK_EVENT_CALLBACK, SOL_SOCKET,
			NewEventCallbackControl(WSK_EVENT_RECEIVE_FROM), nil, nil, nil); status != STATUS_SUCCESS {
			tb.Fatal(status)
		}
	}
	return s, t
}

// receiveArgs are the arguments of a receive that wants everything.
type receiveArgs struct {
	irp     IRP
	buf     Buf
	remote  [SizeofSockaddrIn6]byte
	control [256]byte
	length  uint32
	flags   uint32
	n       int
}

func (a *receiveArgs) pass(s *Socket) {
	a.irp.Reuse(STATUS_SUCCESS)
	a.irp.SetCompletionRoutine(freeRoutine, &a.n, true, true, true)
	a.length = uint32(len(a.control))
	s.ReceiveFrom(&a.buf, 0, a.remote[:], &a.length, a.control[:], &a.flags, &a.irp)
}

// Checklist item 75 for the receiving half: the way from a delivery to the completion of a receive allocates nothing,
// whether the receive waits or comes later, nor does the way to a callback and back, whatever the callback answers.
func TestReceiveNoAllocations(t *testing.T) {
	for _, local := range []string{"0.0.0.0:1000", "[::]:1000"} {
		s, transport := newSource(t, local, 1200, true, nil)
		args := &receiveArgs{buf: Buf{Mdl: AllocateMDL(make([]byte, 1500)), Length: 1500}}
		unwanted := new(ReceiveError)
		for name, f := range map[string]func(){
			"waiting":   func() { args.pass(s); transport.deliver(1) },
			"buffered":  func() { transport.deliver(1); args.pass(s) },
			"cancelled": func() { args.pass(s); args.irp.Cancel() },
			"unwanted": func() {
				transport.list[0].Err = unwanted
				transport.deliver(1)
				transport.list[0].Err = nil
				args.pass(s)
				args.irp.Cancel()
			},
		} {
			before := args.n
			if allocs := testing.AllocsPerRun(200, f); allocs != 0 {
				t.Errorf("%s, %s: %v allocations", local, name, allocs)
			}
			if args.n-before != 201 || transport.lent != 0 {
				t.Errorf("%s, %s: %d completions in 201 rounds, %d lent", local, name, args.n-before, transport.lent)
			}
		}
		calls := 0
		var kept *DatagramIndication
		dispatch := &ClientDatagramDispatch{
			ReceiveFromEvent: func(any, uint32, *DatagramIndication) NTSTATUS { return STATUS_SUCCESS },
		}
		s, transport = newSource(t, local, 1200, true, dispatch)
		for name, answer := range map[string]NTSTATUS{"success": STATUS_SUCCESS, "pending": STATUS_PENDING} {
			dispatch.ReceiveFromEvent = func(_ any, _ uint32, list *DatagramIndication) NTSTATUS {
				calls++
				kept = list
				return answer
			}
			calls = 0
			for range 5 { // fill the pool
				transport.deliver(64)
				s.Release(kept)
			}
			calls = 0
			if allocs := testing.AllocsPerRun(200, func() {
				transport.deliver(64)
				s.Release(kept)
			}); allocs != 0 {
				t.Errorf("%s, callback, %s: %v allocations", local, name, allocs)
			}
			if calls != 201 || transport.lent != 0 {
				t.Errorf("%s, callback, %s: %d calls, %d lent", local, name, calls, transport.lent)
			}
		}
	}
}

func BenchmarkReceiveFrom(b *testing.B) {
	for _, c := range []struct {
		name, local string
		control     bool
		buffered    bool
	}{
		{"ipv4", "0.0.0.0:1000", false, false},
		{"ipv6", "[::]:1000", false, false},
		{"ipv4/control", "0.0.0.0:1000", true, false},
		{"ipv4/buffered", "0.0.0.0:1000", false, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, transport := newSource(b, c.local, 64, c.control, nil)
			args := &receiveArgs{buf: Buf{Mdl: AllocateMDL(make([]byte, 1500)), Length: 1500}}
			b.ReportAllocs()
			for b.Loop() {
				if c.buffered {
					transport.deliver(1)
				}
				args.pass(s)
				if !c.buffered {
					transport.deliver(1)
				}
			}
			if args.n == 0 || transport.lent != 0 {
				b.Fatal("nothing was received")
			}
		})
	}
}

func BenchmarkReceiveFromEvent(b *testing.B) {
	for _, c := range []struct {
		name, local string
		control     bool
		batch       int
	}{
		{"ipv4/batch=1", "0.0.0.0:1000", false, 1},
		{"ipv4/batch=64", "0.0.0.0:1000", false, 64},
		{"ipv6/control/batch=64", "[::]:1000", true, 64},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := 0
			_, transport := newSource(b, c.local, 64, c.control, &ClientDatagramDispatch{
				ReceiveFromEvent: func(_ any, _ uint32, list *DatagramIndication) NTSTATUS {
					for ; list != nil; list = list.Next {
						n++
					}
					return STATUS_SUCCESS
				},
			})
			b.ReportAllocs()
			rounds := 0
			for b.Loop() {
				transport.deliver(c.batch)
				rounds++
			}
			if n != rounds*c.batch {
				b.Fatalf("%d datagrams in %d rounds", n, rounds)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/datagram")
		})
	}
}
