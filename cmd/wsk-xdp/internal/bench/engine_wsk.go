// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/irps"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// drainTime bounds the wait for the last IRPs. Closing the socket cancels those that have not begun.
const drainTime = 2 * time.Second

// window is how many datagrams a client lets be under way at once.
const window = 1024

// messagesUnderWay is how many messages, each a list of 64, a client lets be under way over the lane of a daemon. With 16,
// as many datagrams as over queues of its own, each side is woken for several messages: on a machine busy with other things
// that took a quarter of the CPU time off, against four (November 2026). Four are enough, and the least, where the payloads
// would leave the caches: of 1518 bytes a throw-away daemon sent 9 % more with 256 datagrams than with 1024.
func messagesUnderWay(payload int) int {
	const least, most, bytes = 4, window / burst, 256 << 10
	return min(max(bytes/(burst*max(payload, 1)), least), most)
}

func openWsk(ctx context.Context, j *job) (*rig, error) { return openSingles(ctx, j, false) }

func openWskKick(ctx context.Context, j *job) (*rig, error) { return openSingles(ctx, j, true) }

func openSingles(ctx context.Context, j *job, lowGear bool) (*rig, error) {
	return openSession(ctx, j, ofOurOwn(j, lowGear), func(s *wsk.Socket, failed *atomic.Uint64) lane {
		return &sendToLane{socket: s, remotes: j.remotes(), rotor: j.rotor(), buf: j.buf(), irps: irps.New(window, 1, failed)}
	})
}

func openWskBatch(ctx context.Context, j *job) (*rig, error) {
	return openSession(ctx, j, ofOurOwn(j, false), func(s *wsk.Socket, failed *atomic.Uint64) lane {
		return newListLane(j, s, window, failed)
	})
}

// openDaemonLane sends lists through a daemon of its own, over the message lane: to one destination each list is one
// message, of 64 datagrams.
func openDaemonLane(ctx context.Context, j *job) (*rig, error) {
	d, err := startServant(ctx, j)
	if err != nil {
		return nil, err
	}
	o := session.Options{Destination: j.Targets[0].To, Require: session.RequireAFXDP, Sockets: j.Queues, Via: d.path(servantSocket)}
	r, err := openSession(ctx, j, o, func(s *wsk.Socket, failed *atomic.Uint64) lane {
		return newListLane(j, s, messagesUnderWay(j.Payload)*burst, failed)
	})
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	r.uncounted = true
	r.granted = func() any { return grantedByDaemon(ctx, d) }
	end := r.close
	r.close = func() error { return errors.Join(end(), d.stop()) }
	return r, nil
}

// grantedQueue is what a daemon says of a queue.
type grantedQueue struct {
	Interface string `json:"interface"`
	Queue     int    `json:"queue"`
	Mode      string `json:"mode"`
}

func grantedByDaemon(ctx context.Context, d *servant) []grantedQueue {
	status, err := d.status(ctx)
	if err != nil {
		return nil
	}
	var out []grantedQueue
	for _, q := range status.Queues {
		out = append(out, grantedQueue{q.Interface, q.Queue, q.Mode})
	}
	return out
}

// ofOurOwn are the options of a session with queues of this process.
func ofOurOwn(j *job, lowGear bool) session.Options {
	return session.Options{
		Destination: j.Targets[0].To, Require: session.RequireAFXDP, Sockets: j.Queues, Queues: j.Queues, LowGear: lowGear,
	}
}

// newListLane makes a lane that sends lists, with so many datagrams under way.
func newListLane(j *job, s *wsk.Socket, underWay int, failed *atomic.Uint64) *listLane {
	n := j.runLength()
	l := &listLane{socket: s, remotes: j.remotes(), rotor: j.rotor(), irps: irps.New(underWay/n, n, failed)}
	l.list = make([]wsk.BufList, n)
	for i := range l.list {
		l.list[i].Buffer = *j.buf()
		if i > 0 {
			l.list[i-1].Next = &l.list[i]
		}
	}
	return l
}

// openSession opens a socket for every queue.
func openSession(ctx context.Context, j *job, o session.Options, newLane func(*wsk.Socket, *atomic.Uint64) lane) (*rig, error) {
	s, err := session.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if name := s.Way.DeviceName(); name != j.Interface {
		return nil, errors.Join(fmt.Errorf("the route leads through %s, not %s", name, j.Interface), s.Close(ctx))
	}
	failed := new(atomic.Uint64)
	r := &rig{
		failed:  failed.Load,
		granted: func() any { return session.GrantedQueues(s.Info()) },
	}
	var ours []*irps.Set
	for i, socket := range s.Sockets {
		l := newLane(socket, failed)
		switch l := l.(type) {
		case *sendToLane:
			l.kicks = kicksOf(s, i)
			ours = append(ours, l.irps)
		case *listLane:
			l.kicks = kicksOf(s, i)
			ours = append(ours, l.irps)
		case *stampedLane:
			l.kicks = kicksOf(s, i)
			ours = append(ours, l.irps)
		}
		r.lanes = append(r.lanes, l)
	}
	r.drain = func() {
		deadline := time.Now().Add(drainTime)
		for _, p := range ours {
			p.Drain(deadline)
		}
	}
	r.close = func() error {
		err := s.Close(ctx) // completes every IRP
		for _, p := range ours {
			err = errors.Join(err, p.Check())
		}
		return err
	}
	return r, nil
}

// kicksOf counts a datapath's system calls once, with the first lane.
func kicksOf(s *session.Session, lane int) func() uint64 {
	return func() (n uint64) {
		if lane > 0 {
			return 0
		}
		for _, q := range s.Info().Queues {
			n += q.Counters.Kicks + q.Counters.RxWakeups
		}
		return n
	}
}

func (j *job) remotes() []wsk.SOCKADDR {
	out := make([]wsk.SOCKADDR, len(j.Targets))
	for i, t := range j.Targets {
		out[i] = wsk.NewSockaddr(t.To)
	}
	return out
}

func (j *job) buf() *wsk.Buf {
	return &wsk.Buf{Mdl: wsk.AllocateMDL(j.payload()), Length: uintptr(j.Payload)}
}

// sendToLane is a plain loop: one goroutine, one WskSendTo after the other.
type sendToLane struct {
	socket  *wsk.Socket
	remotes []wsk.SOCKADDR
	rotor   rotor
	buf     *wsk.Buf
	irps    *irps.Set
	kicks   func() uint64
}

func (l *sendToLane) burst() (int, error) {
	l.irps.Collect()
	for range burst {
		l.socket.SendTo(l.buf, 0, l.remotes[l.rotor.next()], nil, l.irps.Take())
	}
	return burst, l.irps.Dead()
}

func (l *sendToLane) syscalls() uint64 { return l.kicks() }

// listLane sends lists.
type listLane struct {
	socket  *wsk.Socket
	remotes []wsk.SOCKADDR
	rotor   rotor
	list    []wsk.BufList // read during the call only, so one does for all
	irps    *irps.Set
	kicks   func() uint64
}

func (l *listLane) burst() (int, error) {
	l.irps.Collect()
	l.socket.SendMessages(&l.list[0], 0, l.remotes[l.rotor.nextRun()], nil, l.irps.Take())
	return len(l.list), l.irps.Dead()
}

func (l *listLane) syscalls() uint64 { return l.kicks() }

// openWskStamped is wsk-batch with stamps: what measuring loss and one-way times costs a sender at full rate.
func openWskStamped(ctx context.Context, j *job) (*rig, error) {
	clock, err := stamp.NewClock()
	if err != nil {
		return nil, err
	}
	return openSession(ctx, j, ofOurOwn(j, false), func(s *wsk.Socket, failed *atomic.Uint64) lane {
		return newStampedLane(newListLane(j, s, window, failed), j, clock)
	})
}

// stampedLane is a listLane whose datagrams begin with stamps. They stay where they are until the IRP of their list completes,
// so that each has its own.
type stampedLane struct {
	*listLane
	clock  stamp.Clock
	next   stamp.Stamp
	stamps []byte    // by the place of the IRP, and in its list
	mdls   []wsk.MDL // of these, in front of the rest of the payload
}

func newStampedLane(l *listLane, j *job, clock stamp.Clock) *stampedLane {
	n := l.irps.Len() * len(l.list)
	s := &stampedLane{listLane: l, clock: clock, stamps: make([]byte, n*stamp.Size), mdls: make([]wsk.MDL, n)}
	var rest *wsk.MDL
	if j.Payload > stamp.Size {
		rest = wsk.AllocateMDL(j.payload()[stamp.Size:])
	}
	for i := range s.mdls {
		s.mdls[i].Init(s.stamps[i*stamp.Size : (i+1)*stamp.Size])
		s.mdls[i].Next = rest
	}
	return s
}

func (l *stampedLane) burst() (int, error) {
	l.irps.Collect()
	irp, place := l.irps.TakeOne()
	first := place * len(l.list)
	l.next.Time = l.clock.At(time.Now())
	for i := range l.list {
		l.next.Put(l.stamps[(first+i)*stamp.Size:])
		l.next.Sequence = (l.next.Sequence + 1) & stamp.Mask
		l.list[i].Buffer.Mdl = &l.mdls[first+i]
	}
	l.socket.SendMessages(&l.list[0], 0, l.remotes[l.rotor.nextRun()], nil, irp)
	return len(l.list), l.irps.Dead()
}
