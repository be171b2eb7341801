// SPDX-License-Identifier: Apache-2.0

package service

import (
	"math"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// send is SEND: its datagrams are checked and queued, and it is the turn of whoever's it is.
func (n *session) send(h ipc.Header, msg []byte) error {
	k, err := n.socket(h)
	if err != nil {
		return err
	}
	n.mu.Lock()
	_, taken := n.asked[h.Seq]
	n.asked[h.Seq] = struct{}{}
	n.mu.Unlock()
	if taken {
		return violation(ipc.ReasonState, h.Type, "a sequence number is not in use")
	}
	j, err := k.takeJob(len(msg))
	if err != nil {
		return err
	}
	if j != nil {
		msg = n.keep(j, msg)
	}
	if err := n.decoded.Decode(msg[ipc.HeaderSize:]); err != nil {
		return err
	}
	if n.features&ipc.FeatureSegment == 0 {
		for i := range n.decoded.Datagrams() {
			if n.decoded.Datagrams()[i].Segment != 0 {
				return violation(ipc.ReasonEntry, h.Type, "segment is 0 without its feature")
			}
		}
	}
	if j == nil {
		n.sendNothing(h)
		return nil
	}
	k.fill(j, h.Seq, n.decoded.Datagrams())
	k.queueJob(j)
	return nil
}

// keep moves a message into the job's memory.
func (n *session) keep(j *job, msg []byte) []byte {
	if len(msg) <= smallMessage {
		return j.small[:copy(j.small, msg)]
	}
	n.buffer, j.large = j.large, n.buffer
	return msg
}

// takeJob finds a job for a message of so many bytes. It returns none when the grant's memory is used up.
func (k *socket) takeJob(size int) (*job, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.jobs) == ipc.MaxSends {
		return nil, violation(ipc.ReasonState, ipc.TypeSend, "at most 16 SENDs of a socket have entries left")
	}
	var j *job
	need := 0
	if last := len(k.free) - 1; last >= 0 {
		j = k.free[last]
	} else {
		need = jobSize
	}
	switch {
	case size <= smallMessage && (j == nil || j.small == nil):
		need += smallMessage
	case size > smallMessage && (j == nil || j.large == nil):
		need += ipc.MaxMessage
	}
	if need != 0 && !k.quota.TakeMemory(need) {
		return nil, nil
	}
	k.charged += need
	if j == nil {
		j = newJob(k)
	} else {
		k.free = k.free[:len(k.free)-1]
	}
	if size <= smallMessage && j.small == nil {
		j.small = make([]byte, smallMessage)
	} else if size > smallMessage && j.large == nil {
		j.large = make([]byte, ipc.MaxMessage)
	}
	return j, nil
}

// fill makes entries of datagrams. What is refused here completes at once.
func (k *socket) fill(j *job, seq uint32, datagrams []ipc.Datagram) {
	g := k.session.granted.Load()
	free := len(datagrams)
	if !k.quota.TakeInflight(free) {
		free = 0
		for free < len(datagrams) && k.quota.TakeInflight(1) {
			free++
		}
	}
	j.seq, j.n, j.next, j.told = seq, len(datagrams), 0, 0
	j.all = 1<<len(datagrams) - 1 // of 64 too: what is shifted out is gone
	j.over.Store(0)
	spare := free
	gone, why := k.refusal()
	var row int32 // entries in a row that have the same target
	var of *target
	for i := range datagrams {
		d, e := &datagrams[i], &j.entries[i]
		e.id, e.segment, e.payload = d.ID, uint32(d.Segment), d.Payload
		e.offset, e.part, e.state, e.whole, e.cut = 0, 0, waiting, false, false
		size := len(d.Payload)
		if d.Segment != 0 {
			size = min(size, int(d.Segment))
		}
		e.frames = frames(len(d.Payload), int(d.Segment))
		status, reason := wsk.STATUS_ACCESS_DENIED, g.grant.Datagram(size, math.MaxInt)
		e.to = nil
		switch {
		case gone != wsk.STATUS_SUCCESS:
			status, reason = gone, why
		case reason != ipc.ReasonNone:
		case spare == 0:
			status, reason = wsk.STATUS_INSUFFICIENT_RESOURCES, ipc.ReasonInflight
		default:
			to := destination(&d.Entry)
			if !g.grant.Limits.Fragments && to.Fragment != wsk.IP_PMTUDISC_PROBE && to.Fragment != wsk.IP_PMTUDISC_DO {
				to.Fragment, e.whole = wsk.IP_PMTUDISC_DO, true
			}
			e.to, status, reason = k.find(&to, of)
		}
		if e.to == nil {
			e.state = over
			e.complete(status, reason)
			continue
		}
		if e.to != of {
			of.used(row)
			of, row = e.to, 0
		}
		row++
		spare--
	}
	of.used(row)
	k.quota.GiveInflight(spare)
}

// destination is what an entry asks for in the terms of package wsk.
func destination(e *ipc.Entry) wsk.Destination {
	return wsk.Destination{
		Addr: e.Addr, Source: e.Source, IfIndex: e.IfIndex, Port: e.Port, TTL: e.TTL, TOS: e.TOS,
		Fragment: wsk.FragmentPolicy(e.Fragment), Flags: wsk.DestinationFlags(e.Flags),
	}
}

// frames is how many frames a payload is, where packets have 1500 bytes.
func frames(length, segment int) int {
	if segment != 0 {
		return max((length+segment-1)/segment, 1)
	}
	return max((length+8+1479)/1480, 1)
}

// sendNothing answers a SEND for which there is no memory.
func (n *session) sendNothing(h ipc.Header) {
	n.refused(ipc.ReasonMemory)
	n.answered(h)
	h.Type = h.Type.Reply()
	n.out.post(func(b []byte) []byte {
		n.out.done.Reset()
		for i := range n.decoded.Datagrams() {
			n.out.done.Add(ipc.Completion{
				ID:     n.decoded.Datagrams()[i].ID,
				Status: uint32(wsk.STATUS_INSUFFICIENT_RESOURCES), Reason: ipc.ReasonMemory,
			})
		}
		return n.out.done.Append(h.Append(b))
	})
}

// linkBits is what a datagram has on the wire in bits: payload, and for each frame UDP, IP and Ethernet.
func linkBits(to *wsk.Destination, payload, frames int) int {
	headers := 14 + 40 + 8
	if ipaddr.Is4(&to.Addr) {
		headers = 14 + 20 + 8
	}
	return 8 * (payload + frames*headers)
}
