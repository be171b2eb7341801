// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// wgEndpoint is where a peer is: its address, and the control data by which answers leave from the address at which it
// reached us. These are packet information, and an empty object behind it.
type wgEndpoint struct {
	address [wsk.SizeofSockaddrIn6]byte
	control [56]byte
	length  int
}

// wgPeer has an endpoint that may change whenever its lock is free.
type wgPeer struct {
	lock     sync.RWMutex
	endpoint wgEndpoint
}

// learn makes an endpoint of what a packet came with. It reports false without packet information, and if the length of
// the control data is not a sum of padded sizes, since the client's walk reads it as such.
func (e *wgEndpoint) learn(data *wsk.DatagramIndication) bool {
	*e = wgEndpoint{}
	copy(e.address[:], data.RemoteAddress)
	level, empty, size := int32(wsk.IPPROTO_IP), int32(wsk.IP_OPTIONS), 8
	if data.RemoteAddress.Family() == wsk.AF_INET6 {
		level, empty, size = wsk.IPPROTO_IPV6, wsk.IPV6_RTHDR, 20
	}
	info := findControl(data.ControlInfo, level, wsk.IP_PKTINFO) // its number is the same on both levels
	if len(info) != size || len(data.ControlInfo)%8 != 0 {
		return false
	}
	control := wsk.AppendCMsg(e.control[:0], level, wsk.IP_PKTINFO, info)
	e.length = len(wsk.AppendCMsg(control, level, empty, nil))
	return true
}

// findControl walks as the client does: it relies on the length being a sum of padded sizes, and would run past the end
// if it were not.
func findControl(control []byte, level, typ int32) []byte {
	for len(control) > 0 {
		size := binary.LittleEndian.Uint64(control)
		if int32(binary.LittleEndian.Uint32(control[8:])) == level && int32(binary.LittleEndian.Uint32(control[12:])) == typ {
			return control[wsk.SizeofCMSGHDR:size]
		}
		control = control[(size+7)&^7:]
	}
	return nil
}

// set is how a peer roams.
func (p *wgPeer) set(e wgEndpoint) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.endpoint = e
}

// disturb overwrites the endpoint and restores it: a change at the very moment when a call has returned.
func (p *wgPeer) disturb() {
	p.lock.Lock()
	defer p.lock.Unlock()
	was := p.endpoint
	scribble(p.endpoint.address[:])
	scribble(p.endpoint.control[:])
	p.endpoint = was
}

// wgSend is a send context: the IRP and what it sends.
type wgSend struct {
	irp    wsk.IRP
	device *wgDevice
	first  *wgNet
	freed  bool
}

// wgNet is a NET_BUFFER: memory with an MDL chain over it, and the WSK_BUF_LIST node in its reserved area.
type wgNet struct {
	node   wsk.BufList
	next   *wgNet
	memory [][]byte
}

// newNet puts a payload into MDLs that are cut at the given places. The data begin at an offset into the first MDL, and
// the last one is longer than the data.
func newNet(payload []byte, cuts ...int) *wgNet {
	const headroom, tailroom = 40, 16
	whole := slices.Concat(make([]byte, headroom), payload, make([]byte, tailroom))
	scribble(whole[:headroom])
	scribble(whole[headroom+len(payload):])
	nb := new(wgNet)
	var last *wsk.MDL
	for from, i := 0, 0; i <= len(cuts); i++ {
		to := len(whole)
		if i < len(cuts) {
			to = min(headroom+cuts[i], len(whole))
		}
		piece := slices.Clone(whole[from:to])
		nb.memory = append(nb.memory, piece)
		m := wsk.AllocateMDL(piece)
		if last == nil {
			nb.node.Buffer.Mdl = m
		} else {
			last.Next = m
		}
		last, from = m, to
	}
	nb.node.Buffer.Offset, nb.node.Buffer.Length = headroom, uintptr(len(payload))
	return nb
}

// newSend makes a context for a list of buffers, in their order.
func (wg *wgDevice) newSend(list ...*wgNet) *wgSend {
	wg.contexts.Add(1)
	for i := 1; i < len(list); i++ {
		list[i-1].next = list[i]
		list[i-1].node.Next = &list[i].node
	}
	return &wgSend{device: wg, first: list[0]}
}

// wgSent frees everything that the send had. Nothing else does.
func wgSent(_ *wsk.IRP, context any) wsk.NTSTATUS {
	ctx := context.(*wgSend)
	if ctx.freed {
		ctx.device.t.Error("a send context is freed twice")
	}
	ctx.freed = true
	for nb := ctx.first; nb != nil; {
		next := nb.next
		for _, piece := range nb.memory {
			scribble(piece)
		}
		*nb = wgNet{}
		nb = next
	}
	ctx.irp = wsk.IRP{}
	ctx.device.contextsFreed.Add(1)
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// sendToPeer sends a list under the peer's lock and in an RCU read section, so the call must not block. A failure that
// it returns is counted and not cleaned up.
func (wg *wgDevice) sendToPeer(peer *wgPeer, list ...*wgNet) wsk.NTSTATUS {
	ctx := wg.newSend(list...)
	return wg.send(peer, ctx, "WskSendMessages", func(s *wsk.Socket, e *wgEndpoint) wsk.NTSTATUS {
		return s.SendMessages(&ctx.first.node, 0, e.address[:], e.control[:e.length], &ctx.irp)
	})
}

// sendBuffer sends one message of the client's own: a chain of MDLs without an offset.
func (wg *wgDevice) sendBuffer(peer *wgPeer, message []byte) wsk.NTSTATUS {
	half := len(message) / 2
	first, second := slices.Clone(message[:half]), slices.Clone(message[half:])
	nb := &wgNet{memory: [][]byte{first, second}}
	nb.node.Buffer = wsk.Buf{Mdl: wsk.AllocateMDL(first), Length: uintptr(len(message))}
	nb.node.Buffer.Mdl.Next = wsk.AllocateMDL(second)
	ctx := wg.newSend(nb)
	return wg.send(peer, ctx, "WskSendTo", func(s *wsk.Socket, e *wgEndpoint) wsk.NTSTATUS {
		return s.SendTo(&nb.node.Buffer, 0, e.address[:], e.control[:e.length], &ctx.irp)
	})
}

func (wg *wgDevice) send(peer *wgPeer, ctx *wgSend, what string, f func(*wsk.Socket, *wgEndpoint) wsk.NTSTATUS) wsk.NTSTATUS {
	peer.lock.RLock()
	wg.rcu.RLock()
	socket := wg.sock4
	if wsk.SOCKADDR(peer.endpoint.address[:]).Family() == wsk.AF_INET6 {
		socket = wg.sock6
	}
	c := wg.audit.arm(&ctx.irp, what, wgSent, ctx)
	status := c.returns(f(socket.sock.Load(), &peer.endpoint))
	wg.rcu.RUnlock()
	peer.lock.RUnlock()
	peer.disturb()
	return status
}
