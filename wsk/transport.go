// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// Transport is what a provider sends datagrams through. The AF_XDP datapath (wsk/datapath) is one; tests have a fake
// (wsk/wsktest). A Transport is safe for concurrent use, and none of its methods may block: what needs time goes on in
// the transport's own goroutines, and its end is reported through the callback of the call.
//
// The interfaces between a socket and its transport, and what goes without those that are optional:
//
//	Transport          makes endpoints
//	AddressSource      optional, of a Transport: knows the host's addresses and its routes. Without it
//	                   SIO_ADDRESS_LIST_QUERY, _SORT, _CHANGE and SIO_ROUTING_INTERFACE_QUERY are STATUS_NOT_SUPPORTED,
//	                   as is switching IP_MULTICAST_LOOP off, and GetLocalAddress does not look at the route.
//	Endpoint           the transport's half of a socket
//	ReceivingEndpoint  optional, of an Endpoint: receives. Without it receives, memberships and the asking for ICMP
//	                   errors are STATUS_NOT_SUPPORTED.
//	AttendedEndpoint   optional, of a ReceivingEndpoint: lets callers who wait read themselves. Without it its own goroutines do.
//	BatchEndpoint      optional, of an Endpoint: takes many operations at once. Without it they are handed over one by one.
//	MarkingEndpoint    optional, of an Endpoint: gives what it sends a mark. Without it SetMark is STATUS_NOT_SUPPORTED.
//	InterfaceFinder    optional, of an Endpoint: finds the interface of an address. Without it IP_MULTICAST_IF with an
//	                   address is STATUS_NOT_SUPPORTED.
//	EndpointEvents     the socket, as its endpoint sees it
//	Receiver           of the same EndpointEvents: takes what arrives. A transport that only sends ignores it.
//	FlowGuard          optional, of the same EndpointEvents: is asked before anything is sent to a destination
//	Canceller          given with SendOp.ArmCancel: takes back an operation that waits
//	Lender             given with each Datagram: gets its memory back
type Transport interface {
	// OpenEndpoint makes the transport's half of one datagram socket. family is AF_INET or AF_INET6 (the Windows
	// values). The transport calls events from any goroutine, with no lock of its own held.
	OpenEndpoint(family uint16, events EndpointEvents) (Endpoint, NTSTATUS)
}

// EndpointEvents is what an endpoint tells the socket above it.
type EndpointEvents interface {
	// Dead says that the endpoint can never send again: the device that carried it is gone. It is called at most once.
	// Operations in flight complete all the same, one by one.
	Dead()
}

// BindRequest is a WskBind as the transport sees it.
type BindRequest struct {
	// Local is the wanted address. An unspecified one means every address of the family; port 0 asks for a free port of
	// the dynamic range 49152–65535. A zone is an interface index in decimal.
	Local netip.AddrPort
	// DualStack is set for an AF_INET6 socket with IPV6_V6ONLY off.
	DualStack bool
	// ReuseAddress and ExclusiveAddressUse are the SO_REUSEADDR and SO_EXCLUSIVEADDRUSE of Windows, whose
	// meaning is the sharing matrix of Winsock and not that of Linux.
	ReuseAddress        bool
	ExclusiveAddressUse bool
	// ShareGranted says that the security descriptor of this socket lets others share its address, where [Sharing] must
	// ask it. The default descriptor does not.
	ShareGranted bool
	// Owner is who the socket belongs to where one process binds for several users. Sockets of different owners never
	// share an address. 0, as all sockets of WSK have it, is the process itself.
	Owner uint64
}

// Endpoint is the transport's half of a socket.
type Endpoint interface {
	// Bind reserves the address. done is called exactly once, perhaps before Bind returns, with the address that was
	// bound (the port filled in) or a failure status. After a success Bind is not called again.
	Bind(req BindRequest, done func(local netip.AddrPort, status NTSTATUS))

	// Send takes over op until the transport completes it, exactly once. From that moment the endpoint may be closed,
	// even while this very call has not returned yet: the call must not touch anything any more that Close takes away.
	// It never blocks, and it does not let the stack grow: a completion routine runs at most once on the caller's stack
	// for each level of the transport's trampoline, so that a routine may send again for ever. Operations to one
	// destination leave in the order of the calls.
	Send(op *SendOp)

	// MTU is the largest IP packet that can leave for the destination, or a failure status when there is no route or
	// none is known yet.
	MTU(to *Destination) (int, NTSTATUS)

	// Abort begins the end of the endpoint: operations that wait (for a route, a neighbour, a chunk, a link) complete
	// with STATUS_CANCELLED, soon and without another packet leaving for them. Those that are with the kernel complete
	// as ever. It may be called while Send is running on another goroutine, and what is handed over after it is treated
	// in the same way. It does not wait.
	Abort()

	// Close ends the endpoint, frees its port and then calls done, once. The socket calls it after Abort, when every
	// operation has completed and no other call than a Send of such an operation is in progress.
	Close(done func())
}

// ReceivingEndpoint is an Endpoint that receives.
type ReceivingEndpoint interface {
	Endpoint
	// Configure changes what the endpoint delivers. It does not block and does not report to the endpoint's events. It
	// is called after the success of Bind, once at a time, and the last call counts.
	Configure(ReceiveOptions)
	// Change joins or leaves a group, or changes its sources, and has the kernel do so too. It makes a few system calls
	// and does not wait. STATUS_INVALID_ADDRESS_COMPONENT: no such interface or address; STATUS_ADDRESS_ALREADY_EXISTS:
	// joined already; STATUS_NOT_FOUND: not joined.
	Change(Membership) NTSTATUS
}

// InterfaceFinder is an Endpoint that knows the interfaces of the host, for the form of IP_MULTICAST_IF that names the
// interface by an address.
type InterfaceFinder interface {
	// InterfaceOf is the index of the interface that has a local address. It does not block. It answers
	// STATUS_INVALID_ADDRESS_COMPONENT when no interface has the address.
	InterfaceOf(addr netip.Addr) (index uint32, status NTSTATUS)
}

// MarkingEndpoint is an Endpoint whose datagrams can have a mark, by which policy rules choose their route.
type MarkingEndpoint interface {
	Endpoint
	// Mark says that the destinations of what is sent from now on have this mark, and has what else the endpoint has for
	// the socket take it. It does not block. STATUS_PRIVILEGE_NOT_HELD: the process may not set marks.
	Mark(mark uint32) NTSTATUS
	// MarkedSourceFor is AddressSource.SourceFor for a datagram with a mark.
	MarkedSourceFor(to Address, mark uint32) (Address, NTSTATUS)
}

// Destination flags.
const (
	// AllowBroadcast is SO_BROADCAST: without it a subnet broadcast address ends in STATUS_ACCESS_DENIED.
	AllowBroadcast DestinationFlags = 1 << iota
	// NoChecksum leaves the UDP checksum zero. IPv4 only (RFC 768; RFC 8200 section 8.1 forbids it).
	NoChecksum
)

// DestinationFlags are the flags of a Destination.
type DestinationFlags uint8

// Destination is everything that decides the headers of a datagram and the way it takes: the remote address and the
// control data in force, after the socket's options and the control data of the call have been merged. It is
// comparable; two sends with equal Destinations belong to one flow.
type Destination struct {
	Addr    [16]byte // IPv4 addresses are v4-mapped; such a destination always leaves as IPv4
	Source  [16]byte // wanted source address; zero: the bound address, else the route's choice
	IfIndex uint32   // wanted interface (pktinfo, IP_UNICAST_IF, IP_MULTICAST_IF, scope id); 0: the route's choice
	Mark    uint32   // SetMark; 0: what the transport's own sockets have
	Port    uint16   // host byte order
	TTL     uint8    // TTL or hop limit
	TOS     uint8    // the whole TOS or traffic class byte, ECN included

	Fragment FragmentPolicy
	Flags    DestinationFlags
}

// Is4 reports whether the datagram leaves as IPv4.
func (d *Destination) Is4() bool {
	return ipaddr.Is4(&d.Addr)
}

// IP is the remote address; a v4-mapped one is returned as IPv4.
func (d *Destination) IP() netip.Addr { return ipaddr.Addr(d.Addr) }

// SourceIP is the wanted source address, or the zero Addr when none is wanted.
func (d *Destination) SourceIP() netip.Addr {
	if d.Source == ([16]byte{}) {
		return netip.Addr{}
	}
	return ipaddr.Addr(d.Source)
}

// SendOp is one accepted WskSendTo or WskSendMessages, embedded in its IRP so that a send allocates nothing.
//
// The socket fills it in and hands it to [Endpoint.Send]; from then until Complete it belongs to the transport.
// Everything small was copied during the call; the payload stays in the client's MDL chains, which must not change
// until completion.
type SendOp struct {
	To Destination // to read only: an IRP that goes to the same again has it already
	// Bufs are the datagrams in order, at least one, already checked against their MDL chains.
	Bufs []Buf
	// Segment is the UDP_SEND_MSG_SIZE in force: each buffer leaves as datagrams of this many payload bytes,
	// the last one shorter. 0: every buffer is one datagram.
	Segment uint32

	// Transport is the transport's own, zero at Send. Nothing above reads it.
	Transport SendState

	irp       *IRP
	socket    *Socket
	progress  atomic.Uint32 // a SendProgress
	bytes     uintptr
	longest   uintptr // of Bufs
	aimed     aimed
	cancel    atomic.Uint32
	canceller Canceller
	one       [1]Buf
}

// SendState is what a transport remembers of an operation, without allocating. It is what Tail.Overlay of an IRP, with
// ListEntry and DriverContext, is to a driver of Windows. The lock of the transport under which the operation is guards
// it.
type SendState struct {
	Next, Prev *SendOp  // links of a list of the transport's
	Linked     bool     // on such a list
	Status     NTSTATUS // what it is going to complete with
	Via        any      // where the operation goes next, in whatever terms the transport has for that
	// Room is for numbers that mean something to the transport alone. The transport may lay a struct without pointers
	// over it.
	Room [6]uint64
}

// Canceller takes an operation off a transport's waiting list. CancelSend is called at most once for each arming, and
// then owns the operation: it completes it with STATUS_CANCELLED, at once or, if frames of it are already with the
// kernel, when the last of them has come back.
type Canceller interface {
	CancelSend(op *SendOp)
}

const (
	cancelIdle uint32 = iota
	cancelArmed
	cancelTaken
)

// ArmCancel makes the operation cancellable while it waits. The caller holds the lock that c.CancelSend takes. It
// reports false, and arms nothing, when the IRP has been cancelled already: the caller then ends the operation with
// STATUS_CANCELLED. This is IoSetCancelRoutine followed by the look at Irp->Cancel that the WDM asks for.
func (op *SendOp) ArmCancel(c Canceller) bool {
	op.canceller = c
	op.cancel.Store(cancelArmed)
	if op.irp.cancelRequested() && op.cancel.CompareAndSwap(cancelArmed, cancelIdle) {
		return false
	}
	return true
}

// DisarmCancel ends cancellability before the operation goes on. It reports false when the canceller has taken the
// operation: then the caller must leave it alone.
func (op *SendOp) DisarmCancel() bool {
	return op.cancel.CompareAndSwap(cancelArmed, cancelIdle)
}

// takeCancel is the half of the IRP: it takes the operation for its canceller, or reports false when it can't be
// cancelled.
func (op *SendOp) takeCancel() bool {
	if !op.cancel.CompareAndSwap(cancelArmed, cancelTaken) {
		return false
	}
	op.canceller.CancelSend(op)
	return true
}

// Bytes is the number of payload bytes of the whole operation, the IoStatus.Information of its success.
func (op *SendOp) Bytes() uintptr { return op.bytes }

// Complete ends the operation: it sets IoStatus (Information is 0 unless status is a success), calls the completion
// routine and tells the socket. The transport has no lock, and does not touch op afterwards: the routine may have
// reused the IRP. A second call panics.
func (op *SendOp) Complete(status NTSTATUS) {
	irp := op.irp
	irp.mustPend()
	if op.socket != nil {
		defer op.socket.calls.Finish(1) // also when the routine panics
	}
	irp.completeSend(status)
}

// Completer completes many operations one after the other, and tells their socket of several at once. The zero value is
// ready. It is for one goroutine, which calls Flush when it is done or is going to wait for anything: until then a
// socket whose operations it has completed can't end. See Panicked for a routine that panics.
type Completer struct {
	socket *Socket
	n      int
	under  *Socket // of the operation whose routine runs
}

// Complete is [SendOp.Complete].
func (c *Completer) Complete(op *SendOp, status NTSTATUS) {
	socket := op.socket
	if socket != c.socket {
		c.Flush() // before the routine, which may wait for another socket's end
	}
	c.under = socket
	op.irp.completeSend(status)
	c.under = nil
	if socket != c.socket { // also when the routine has sent through another socket, and that was completed inside
		c.Flush()
		c.socket = socket
	}
	c.n++
}

// Panicked tells the socket of the operation whose routine has panicked, so that it can end all the same. It is for the
// function that the panic goes through, and does nothing where there was none.
func (c *Completer) Panicked() {
	if socket := c.under; socket != nil {
		c.under = nil
		socket.calls.Finish(1)
	}
}

// Flush tells the socket of all operations that it has not been told of. It may be called again and again.
func (c *Completer) Flush() {
	if c.n == 0 {
		return
	}
	socket, n := c.socket, c.n
	c.socket, c.n = nil, 0
	if socket != nil { // else they were relayed
		socket.calls.Finish(n)
	}
}
