// SPDX-License-Identifier: Apache-2.0

package wsk

// DatagramIndication is WSK_DATAGRAM_INDICATION: a list of received datagrams, lent to the client for the time of the
// callback and, if the callback returns STATUS_PENDING, until [Socket.Release]. The memory that Buffer leads to belongs
// to the provider and is read-only. Buffer may begin at an offset and span several MDLs; it has an MDL for an empty
// datagram too.
//
// While the node is lent to it the client may overwrite Next and the other exported fields. It must not copy the struct
// and release the copy.
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

// indication is what the provider remembers about a node that it lends, out of the client's reach.
type indication struct {
	DatagramIndication
	socket   *Socket
	datagram *Datagram   // nil: not lent, or released
	link     *indication // list of a batch, or of the free nodes
	claimed  *indication // list of the nodes of one Release
	busy     bool        // its callback has not returned

	mdl     MDL
	remote  [SizeofSockaddrIn6]byte
	control [maxReceiveControl]byte
	split   splitBuffer // of the test mode
}

// indicationPool keeps free nodes. It is a queue of which some always stay unused, so that a node that has been
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

// Release is WskRelease: it gives indications of this socket back to the provider, any that are still lent to the
// client, linked by Next, in any order, from any goroutine, also inside the callback that brings them. It does not
// block.
//
//	STATUS_SUCCESS
//	STATUS_INVALID_PARAMETER       a nil list; a node that is not the provider's, belongs to another socket, has been
//	                               released already or is in the list twice: then nothing is released
//	STATUS_INVALID_DEVICE_REQUEST  not a datagram socket
//
// Close does not give back what the client has kept: the client does that, before or after; the memory stays valid
// until then. See [ReceiveStatistics].Retained.
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
		next := node.claimed
		node.claimed = nil
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

// claim checks a list and links its nodes by claimed. While the chain grows its end points to itself, so that a node
// that comes twice, or a list that turns back on itself, is noticed. The mutex is held.
func (s *Socket) claim(list *DatagramIndication) (chain *indication, ok bool) {
	ok = true
	for it := list; it != nil; it = it.Next {
		node := it.node
		if node == nil || it != &node.DatagramIndication || node.socket != s ||
			node.datagram == nil || node.claimed != nil {
			ok = false
			break
		}
		if node.claimed = chain; chain == nil {
			node.claimed = node
		}
		chain = node
	}
	// Take the mark off the end or, if the list is refused, the links off all nodes.
	for node := chain; node != nil; {
		next := node.claimed
		if next == node {
			node.claimed, next = nil, nil
		}
		if !ok {
			node.claimed = nil
		}
		node = next
	}
	return chain, ok
}
