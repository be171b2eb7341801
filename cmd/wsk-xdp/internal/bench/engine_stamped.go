// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

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
