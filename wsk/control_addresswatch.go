// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

// addressWatch knows the addresses of the host, and tells those who wait for a change of them. It begins to watch when
// that is first needed, and ends with the provider.
type addressWatch struct {
	begin sync.Once
	now   atomic.Pointer[addressSet]

	looking sync.Mutex // serialises look

	mu      sync.Mutex
	ended   bool
	stop    func()
	waiting irpList // SIO_ADDRESS_LIST_CHANGE
}

// addressSet is the addresses of one moment.
type addressSet struct {
	four, six []Address // sorted
	own       map[[16]byte]struct{}
}

// has reports whether an address is one of the host's.
func (w *addressWatch) has(a *Address) bool {
	set := w.now.Load()
	if set == nil {
		return false
	}
	_, ok := set.own[a.Addr]
	return ok
}

// start begins to watch. When it returns the addresses are known.
func (w *addressWatch) start(source AddressSource) {
	w.begin.Do(func() {
		stop := source.WatchAddresses(func() { w.look(source) })
		w.look(source)
		w.mu.Lock()
		ended := w.ended
		w.stop = stop
		w.mu.Unlock()
		if ended {
			w.close()
		}
	})
}

// close ends the watch. IRPs that wait for a change go on waiting.
func (w *addressWatch) close() {
	w.mu.Lock()
	stop := w.stop
	w.stop, w.ended = nil, true
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// look reads the addresses, and completes the IRPs of sockets whose list has changed.
func (w *addressWatch) look(source AddressSource) {
	w.looking.Lock()
	set := &addressSet{four: sorted(source.Addresses(AF_INET)), six: sorted(source.Addresses(AF_INET6))}
	set.own = make(map[[16]byte]struct{}, len(set.four)+len(set.six))
	for _, a := range slices.Concat(set.four, set.six) {
		set.own[a.Addr] = struct{}{}
	}
	old := w.now.Swap(set)
	if old == nil {
		old = set
	}
	chain := w.changed(!slices.Equal(old.four, set.four), !slices.Equal(old.six, set.six))
	w.looking.Unlock()
	completeAll(chain, STATUS_SUCCESS)
}

func sorted(list []Address) []Address {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Address) int {
		if c := slices.Compare(a.Addr[:], b.Addr[:]); c != 0 {
			return c
		}
		return int(a.Scope) - int(b.Scope)
	})
	return list
}

// changed takes the IRPs that a change completes off the list.
func (w *addressWatch) changed(four, six bool) *IRP {
	return w.takeIf(func(irp *IRP) bool {
		if irp.wait.socket.snap.Load().family == AF_INET {
			return four
		}
		return six
	})
}

// takeIf takes those of the waiting IRPs that are wanted off the list. completeAll completes them.
func (w *addressWatch) takeIf(wanted func(irp *IRP) bool) (chain *IRP) {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := &chain
	for irp := w.waiting.head; irp != nil; {
		next := irp.wait.next
		if wanted(irp) {
			w.waiting.remove(irp)
			if irp.disarm() {
				*end = irp
				end = &irp.wait.next
			}
		}
		irp = next
	}
	return chain
}

// end completes the IRPs of a socket that is ending.
func (w *addressWatch) end(s *Socket, status NTSTATUS) {
	completeAll(w.takeIf(func(irp *IRP) bool { return irp.wait.socket == s }), status)
}

// cancelIRP implements irpCanceller.
func (w *addressWatch) cancelIRP(irp *IRP) {
	w.mu.Lock()
	w.waiting.remove(irp)
	w.mu.Unlock()
	irp.completeWait(STATUS_CANCELLED, 0)
}

// addressSource is the transport, if it knows addresses.
func (s *Socket) addressSource() AddressSource {
	source, _ := s.provider.transport.(AddressSource)
	return source
}

// addressListChange is SIO_ADDRESS_LIST_CHANGE: it puts the IRP on the list of those that wait.
func (s *Socket) addressListChange(irp *IRP) NTSTATUS {
	source := s.addressSource()
	if source == nil {
		return STATUS_NOT_SUPPORTED
	}
	w := &s.provider.addresses
	w.start(source)
	w.mu.Lock()
	defer w.mu.Unlock()
	irp.PendingReturned = true
	irp.wait.socket = s
	w.waiting.push(irp)
	armed := irp.arm(w)
	refuse := s.snap.Load().refuse // Close looks at the list after it has set this
	if armed && (refuse == STATUS_SUCCESS || !irp.disarm()) {
		return STATUS_PENDING
	}
	w.waiting.remove(irp)
	irp.PendingReturned, irp.wait.socket = false, nil
	if !armed {
		return STATUS_CANCELLED
	}
	return refuse
}

// watchForLoop is the part of switching IP_MULTICAST_LOOP off that needs the transport: the host's own datagrams are
// recognised by their source addresses.
func (s *Socket) watchForLoop(sn *snapshot, level, code uint32, input []byte) NTSTATUS {
	is := code == IP_MULTICAST_LOOP && (level == IPPROTO_IP || level == IPPROTO_IPV6 && sn.family == AF_INET6)
	if !is || len(input) != 4 || binary.LittleEndian.Uint32(input) != 0 {
		return STATUS_SUCCESS
	}
	source := s.addressSource()
	if source == nil {
		return STATUS_NOT_SUPPORTED
	}
	s.provider.addresses.start(source)
	return STATUS_SUCCESS
}
