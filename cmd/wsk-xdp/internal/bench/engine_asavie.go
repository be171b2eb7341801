// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// asavieLane is the sending example of github.com/asavie/xdp, with its defaults: rings of 64, frames built beforehand,
// Transmit what there is room for, Poll until some is complete.
type asavieLane struct {
	socket *xdp.Socket
	frames [][]byte
	rotor  rotor
	calls  uint64
}

// asavieBind bounds the wait for a queue that the kernel has not released yet after its last user. On a busy machine its work
// queues take their time.
const asavieBind = 20 * time.Second

func openAsavie(ctx context.Context, j *job) (*rig, error) {
	r := &rig{}
	var sockets []*xdp.Socket
	r.close = func() error {
		var errs []error
		for _, s := range sockets {
			errs = append(errs, s.Close())
		}
		return errors.Join(errs...)
	}
	r.granted = func() any { return asavieModes(sockets) }
	for i := range j.Queues {
		s, err := asavieSocket(ctx, j.IfIndex, i)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		sockets = append(sockets, s)
		l := &asavieLane{socket: s, rotor: j.rotor()}
		if l.frames, err = j.frames(i); err != nil {
			return nil, errors.Join(err, r.close())
		}
		all := s.GetDescs(xdp.DefaultSocketOptions.NumFrames)
		if len(l.frames[0]) > xdp.DefaultSocketOptions.FrameSize {
			return nil, errors.Join(fmt.Errorf("a frame of %d bytes does not fit one of %d", len(l.frames[0]),
				xdp.DefaultSocketOptions.FrameSize), r.close())
		}
		for _, d := range all {
			copy(s.GetFrame(d), l.frames[0])
		}
		r.lanes = append(r.lanes, l)
	}
	return r, nil
}

// asavieSocket tries again while the queue is busy. What a failed attempt leaks, which is what it mapped, goes with the
// process.
func asavieSocket(ctx context.Context, ifIndex, queue int) (*xdp.Socket, error) {
	deadline := time.Now().Add(asavieBind)
	for {
		s, err := xdp.NewSocket(ifIndex, queue, nil)
		if err == nil {
			return s, nil
		}
		// The library flattens the errno into text.
		if !strings.Contains(err.Error(), unix.EBUSY.Error()) || time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *asavieLane) burst() (int, error) {
	descs := l.socket.GetDescs(l.socket.NumFreeTxSlots())
	for i := range descs {
		f := l.frames[0]
		if len(l.frames) > 1 {
			f = l.frames[l.rotor.next()]
			copy(l.socket.GetFrame(descs[i]), f)
		}
		descs[i].Len = uint32(len(f))
	}
	l.calls++
	n := l.socket.Transmit(descs)
	if l.socket.NumTransmitted() > 0 {
		l.calls++ // Poll makes its call only then
	}
	_, _, err := l.socket.Poll(-1)
	return n, err
}

func (l *asavieLane) syscalls() uint64 { return l.calls }

// asavieGranted is what the kernel gave: the library asks for no mode, so the kernel chooses.
type asavieGranted struct {
	Queue int    `json:"queue"`
	Mode  string `json:"mode"`
}

func asavieModes(sockets []*xdp.Socket) []asavieGranted {
	out := []asavieGranted{}
	for i, s := range sockets {
		g := asavieGranted{Queue: i, Mode: "copy"}
		if v, err := unix.GetsockoptInt(s.FD(), unix.SOL_XDP, unix.XDP_OPTIONS); err != nil {
			g.Mode = "unknown"
		} else if v&unix.XDP_OPTIONS_ZEROCOPY != 0 {
			g.Mode = "zerocopy"
		}
		out = append(out, g)
	}
	return out
}
