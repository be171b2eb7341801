// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// chaosTag is in front of each datagram: a magic number, the flow, the operation and the number of the datagram in it.
const (
	chaosTag   = 4 + 4 + 8 + 2
	chaosMagic = 0xc4a05c4a
	chaosFrame = 14 + 20 + 8 // the headers of an IPv4 frame
)

// chaosIRP is one of a sender's IRPs.
type chaosIRP struct {
	mu      sync.Mutex // between a canceller and the reuse
	irp     *wsk.IRP
	rig     *chaos
	free    chan *chaosIRP
	dead    *atomic.Bool // the socket is of no use
	id      uint64
	want    int // datagrams
	slow    uint64
	began   atomic.Int64 // in ns; 0 while it is not pending
	pending atomic.Bool
}

// complete is the completion routine.
func (c *chaosIRP) complete(irp *wsk.IRP, _ any) wsk.NTSTATUS {
	if !c.pending.CompareAndSwap(true, false) {
		c.rig.fail("operation %d completed twice, now with %v", c.id, irp.IoStatus.Status)
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	c.began.Store(0)
	c.rig.ended.Add(1)
	c.rig.judge(c, irp.IoStatus)
	if irp.IoStatus.Status == wsk.STATUS_FILE_FORCED_CLOSED {
		c.dead.Store(true)
	}
	c.free <- c
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// sendLoop sends through a socket of its own, which it closes and opens again now and then.
func (rig *chaos) sendLoop(number int, r *rand.Rand) {
	window := 24
	if rig.mode.quiet {
		window = 1
	}
	free := make(chan *chaosIRP, window)
	var dead atomic.Bool
	irps := make([]*chaosIRP, window)
	for i := range irps {
		irps[i] = &chaosIRP{rig: rig, irp: wsk.AllocateIRP(), free: free, dead: &dead}
		free <- irps[i]
	}
	rig.mu.Lock()
	rig.irps = append(rig.irps, irps...)
	rig.mu.Unlock()
	var cancelling sync.WaitGroup
	cancelling.Go(func() {
		if rig.mode.quiet {
			return
		}
		r := rand.New(rand.NewPCG(rig.seed, uint64(100+number)))
		for !rig.stop.Load() {
			rig.pause(r, time.Millisecond)
			c := irps[r.IntN(window)]
			c.mu.Lock()
			c.irp.Cancel()
			c.mu.Unlock()
		}
	})
	for generation := uint32(number); !rig.stop.Load(); generation += chaosSenders {
		s := rig.openSocket()
		if s == nil {
			return
		}
		dead.Store(false)
		for n := 200 + r.IntN(2000); n > 0 && !rig.stop.Load() && !dead.Load(); n-- {
			rig.sendOne(s, generation, r, free)
		}
		rig.closeSocket(s)
	}
	cancelling.Wait()
	for range irps {
		select {
		case <-free:
		case <-rig.hopeless:
			return
		}
	}
}

// sendOne sends one operation of some form as soon as an IRP is free.
func (rig *chaos) sendOne(s *wsk.Socket, flow uint32, r *rand.Rand, free chan *chaosIRP) {
	var c *chaosIRP
	select {
	case c = <-free:
	case <-rig.hopeless:
		return
	}
	if r.IntN(64) == 0 {
		rig.pause(r, time.Millisecond) // so that the queue comes to rest
	}
	flow = flow<<1 | uint32(r.IntN(2))
	to := wsk.NewSockaddr(netip.AddrPortFrom(chaosPeer, 9+uint16(flow&1)))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.irp.Reuse(wsk.STATUS_SUCCESS)
	c.irp.SetCompletionRoutine(c.complete, nil, true, true, true)
	c.id, c.want, c.slow = rig.lastID.Add(1), 1, rig.dp.companions.Stats.SlowSent.Load()
	rig.expect(c.id)
	var list *wsk.BufList
	var control []byte
	buf := chaosPayload(flow, c.id, 0, chaosTag)
	switch r.IntN(16) {
	case 0, 1:
		c.want = 1 + r.IntN(60)
		for i := c.want - 1; i >= 0; i-- {
			list = &wsk.BufList{Next: list, Buffer: *whole(chaosPayload(flow, c.id, i, chaosTag))}
		}
	case 2:
		buf = chaosPayload(flow, c.id, 0, 1500+r.IntN(6000))
	case 3:
		const size = 64
		c.want = 1 + r.IntN(40)
		buf, control = nil, wsk.AppendSendMsgSize(nil, size)
		for i := range c.want {
			buf = append(buf, chaosPayload(flow, c.id, i, size)...)
		}
	}
	c.pending.Store(true)
	c.began.Store(time.Now().UnixNano())
	if list != nil {
		s.SendMessages(list, 0, to, nil, c.irp)
		return
	}
	s.SendTo(whole(buf), 0, to, control, c.irp)
}

func chaosPayload(flow uint32, id uint64, index, size int) []byte {
	b := binary.BigEndian.AppendUint32(nil, chaosMagic)
	b = binary.BigEndian.AppendUint32(b, flow)
	b = binary.BigEndian.AppendUint64(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(index))
	return append(b, make([]byte, size-chaosTag)...)
}

// expect makes room for what is seen of an operation.
func (rig *chaos) expect(id uint64) {
	rig.wireMu.Lock()
	rig.seen[id] = make(map[uint16]bool)
	rig.wireMu.Unlock()
}

// onWire sees every frame that was sent through the interface with this index.
func (rig *chaos) onWire(index int, frame []byte) {
	if len(frame) < chaosFrame+chaosTag || binary.BigEndian.Uint16(frame[20:])&0x1fff != 0 {
		return // a later fragment
	}
	p := frame[chaosFrame:]
	if binary.BigEndian.Uint32(p) != chaosMagic {
		return
	}
	flow, id, n := binary.BigEndian.Uint32(p[4:]), binary.BigEndian.Uint64(p[8:]), binary.BigEndian.Uint16(p[16:])
	rig.wireMu.Lock()
	defer rig.wireMu.Unlock()
	if seen := rig.seen[id]; seen != nil {
		seen[n] = true
	}
	way := chaosWay{flow, index}
	// What waited for the interface in its last life starts again from its flow, and others have overtaken it.
	if last := rig.last[way]; id < last && id > rig.world.born.Load() && rig.mode.ordered {
		go rig.fail("flow %d: operation %d left after %d", flow, id, last)
	}
	rig.last[way] = max(rig.last[way], id)
}

// chaosWay is a flow on one incarnation of the interface.
type chaosWay struct {
	flow  uint32
	index int
}

// judge looks whether an operation may have ended as it did.
func (rig *chaos) judge(c *chaosIRP, end wsk.IOStatusBlock) {
	rig.wireMu.Lock()
	seen := len(rig.seen[c.id])
	delete(rig.seen, c.id)
	rig.wireMu.Unlock()
	rig.outcomes.add(end.Status)
	switch end.Status {
	case wsk.STATUS_SUCCESS:
		if seen != c.want && rig.dp.companions.Stats.SlowSent.Load() == c.slow {
			rig.fail("operation %d succeeded with %d of %d datagrams sent", c.id, seen, c.want)
		}
	case wsk.STATUS_CANCELLED, wsk.STATUS_IO_TIMEOUT, wsk.STATUS_NETWORK_BUSY, wsk.STATUS_NETWORK_UNREACHABLE, wsk.STATUS_INTERNAL_ERROR,
		wsk.STATUS_FILE_FORCED_CLOSED, wsk.STATUS_FILE_CLOSED, wsk.STATUS_PORT_UNREACHABLE:
	default:
		rig.fail("operation %d ended with %v", c.id, end.Status)
	}
	if (end.Information != 0) != end.Status.Success() {
		rig.fail("operation %d: Information %d with %v", c.id, end.Information, end.Status)
	}
}
