// SPDX-License-Identifier: Apache-2.0

package wsk

// DatagramIndication is WSK_DATAGRAM_INDICATION: a list of received datagrams, lent to the client for the time of the
// callback and, when the callback returns STATUS_PENDING, until [Socket.Release]. The memory that Buffer leads to is
// the provider's: it is read only. Buffer may begin at an offset and go over several MDLs, and has an MDL for an
// empty datagram too.
//
// The client may overwrite Next while it holds the node, and the other exported fields as well. It must not copy the
// struct and release the copy.
type DatagramIndication struct {
	Next *DatagramIndication
	// Buffer is the payload.
	Buffer Buf
	// ControlInfo is nil when no objects came with the datagram.
	ControlInfo []byte
	// RemoteAddress is in the form of the socket's family.
	RemoteAddress SOCKADDR

	node *indication
}

// indication is what the provider knows about a node that it lends, apart from what the client can overwrite.
type indication struct {
	DatagramIndication
	socket   *Socket
	datagram *Datagram   // nil: not lent, or released
	link     *indication // own list: of a batch, or of the free nodes
	release  *indication // list of one Release
	busy     bool        // its callback has not returned

	mdl     MDL
	remote  [SizeofSockaddrIn6]byte
	control [maxReceiveControl]byte
	split   splitBuffer // of the test mode
}

// indicationPool keeps free nodes. It is a queue with a reserve that is not used, so that a node that has been
// released is not lent again at once, and a second release of it is noticed.
type indicationPool struct {
	head, tail *indication
	count      int
}

const (
	poolReserve = 32
	poolLimit   = 1024
)

func (p *indicationPool) get(s *Socket) *indication {
	if p.count <= poolReserve {
		node := &indication{socket: s}
		node.node = node
		return node
	}
	node := p.head
	p.head = node.link
	p.count--
	node.link = nil
	return node
}

func (p *indicationPool) put(node *indication) {
	node.DatagramIndication = DatagramIndication{node: node}
	node.mdl = MDL{}
	node.link = nil
	if p.count == poolLimit {
		return
	}
	if p.count == 0 {
		p.head = node
	} else {
		p.tail.link = node
	}
	p.tail = node
	p.count++
}

// describe makes the node show its datagram.
func (n *indication) describe(sn *snapshot) {
	d := n.datagram
	if n.socket.provider.split {
		n.Buffer = n.split.describe(d.Payload)
	} else {
		n.mdl.data = d.Payload
		n.Buffer = Buf{Mdl: &n.mdl, Length: uintptr(len(d.Payload))}
	}
	n.RemoteAddress = n.remote[:putAddress(n.remote[:], sn.family, &d.Source)]
	if used, _ := sn.receiveControl(n.control[:], d); used != 0 {
		n.ControlInfo = n.control[:used:used]
	}
}

// Release is WskRelease: it gives indications back to the provider, any that the client still holds of this socket,
// linked by Next, in any order, from any goroutine, also inside the callback that brings them. It does not block.
//
// Returns STATUS_SUCCESS; STATUS_INVALID_PARAMETER (a nil list, or a node that is not the provider's, of another
// socket, released already or twice in the list: then nothing is released); STATUS_INVALID_DEVICE_REQUEST (not a
// datagram socket). Close does not release what the client holds, so the client does, before or after; the memory
// stays valid until then. See [ReceiveStatistics].Retained.
func (s *Socket) Release(list *DatagramIndication) NTSTATUS {
	if s.snap.Load().category != WSK_FLAG_DATAGRAM_SOCKET {
		return STATUS_INVALID_DEVICE_REQUEST
	}
	if list == nil {
		return STATUS_INVALID_PARAMETER
	}
	r := &s.recv
	r.mu.Lock()
	chain, ok := s.claim(list)
	if !ok {
		r.mu.Unlock()
		return STATUS_INVALID_PARAMETER
	}
	var released *Datagram
	for node := chain; node != nil; {
		next := node.release
		node.release = nil
		drop(node.datagram, &released)
		node.datagram = nil
		if !node.busy { // else its batch still has it
			r.stats.Retained--
			r.nodes.put(node)
		}
		node = next
	}
	r.mu.Unlock()
	releaseAll(released)
	return STATUS_SUCCESS
}

// claim checks a list and links its nodes by release. The end of the chain points to itself while it grows, so that a
// node that comes twice, or a list that turns back, is noticed. The mutex is held.
func (s *Socket) claim(list *DatagramIndication) (chain *indication, ok bool) {
	ok = true
	for it := list; it != nil; it = it.Next {
		node := it.node
		if node == nil || it != &node.DatagramIndication || node.socket != s ||
			node.datagram == nil || node.release != nil {
			ok = false
			break
		}
		if node.release = chain; chain == nil {
			node.release = node
		}
		chain = node
	}
	// Take the mark off the end, and all of them where the list is refused.
	for node := chain; node != nil; {
		next := node.release
		if next == node {
			node.release, next = nil, nil
		}
		if !ok {
			node.release = nil
		}
		node = next
	}
	return chain, ok
}
