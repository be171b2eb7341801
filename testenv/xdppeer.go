// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
)

// XDPPeerOptions says what the peer does. The zero value records every UDP frame of every queue.
type XDPPeerOptions struct {
	// Reflect sends each UDP datagram back with MAC addresses, IP addresses and ports exchanged.
	Reflect bool
	// CountOnly counts without keeping frames.
	CountOnly bool
	// Everything hands every frame to the peer with asavie's own program, so that the namespace answers no ARP and no
	// neighbour solicitation any more. Otherwise what is not UDP passes to the stack.
	Everything bool
	// Generic attaches the program in generic mode.
	Generic bool
}

// XDPPeerStats counts what a peer did since it started.
type XDPPeerStats struct {
	Received, Bytes uint64
	// Reflected frames were handed to the transmit ring; Unreflected ones could not be: not UDP, or no room.
	Reflected, Unreflected uint64
	// KernelDropped frames came while the receive ring was full or no frame was filled.
	KernelDropped uint64
}

// XDPPeer is an AF_XDP receiver and reflector on github.com/asavie/xdp, the other end that shares no code with
// package xdp. Its methods may be called concurrently.
//
// What is wrong with that library is contained here: each socket is driven by one goroutine (its rings are not
// synchronised), frames are copied out before they are filled again (it marks them free on receive), its panics on an
// unexpected errno end the peer with an error, and Close unmaps the rings, which the library leaves mapped, keeping
// queue and namespace alive for as long as the process.
type XDPPeer struct {
	iface *Iface
	opts  XDPPeerOptions
	log   *record[Frame]

	received, bytes, reflected, unreflected atomic.Uint64

	workers sync.WaitGroup
	stop    int // eventfd that wakes the workers

	mu      sync.Mutex // guards what follows, for Close
	closed  bool
	program *xdp.Program
	filter  *ebpf.Program
	link    link.Link
	sockets []*xdp.Socket
}

// peerOptions: rings that hold a burst of a whole test, and frames for both directions.
var peerOptions = xdp.SocketOptions{
	NumFrames: 4096, FrameSize: 4096,
	FillRingNumDescs: 2048, CompletionRingNumDescs: 2048, RxRingNumDescs: 2048, TxRingNumDescs: 2048,
}

// NewXDPPeer opens a socket on every receive queue of the interface and attaches the program. When it returns, frames
// are being received. It needs CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW outside user namespaces.
func NewXDPPeer(i *Iface, opts XDPPeerOptions) (p *XDPPeer, err error) {
	p = &XDPPeer{iface: i, opts: opts, log: newRecord[Frame](), stop: -1}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start AF_XDP peer at %s: %w", i.name, err), p.Close())
			p = nil
		}
	}()
	attrs, err := i.Attrs()
	if err != nil {
		return p, err
	}
	_, queues, err := i.Queues()
	if err != nil {
		return p, err
	}
	if p.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return p, fmt.Errorf("create eventfd: %w", err)
	}
	if err = memlock.Lift(func() (err error) {
		p.program, err = xdp.NewProgram(queues)
		if err != nil && strings.Contains(err.Error(), unix.EPERM.Error()) { // the library keeps the text only
			err = fmt.Errorf("%v: %w", err, unix.EPERM)
		}
		return err
	}); err != nil {
		return p, fmt.Errorf("%w%s", err, bpfHint(err))
	}
	prog := p.program.Program
	if !opts.Everything {
		var generic bool
		if p.filter, generic, err = loadXDP("wsk_peer", attrs.MTU, redirectProgram(p.program.Sockets)); err != nil {
			return p, err
		}
		prog, opts.Generic = p.filter, opts.Generic || generic
	}
	for q := range queues {
		s, err := openPeerSocket(i, q, peerOptions)
		if err != nil {
			return p, err
		}
		p.sockets = append(p.sockets, s)
		if err := p.program.Register(q, s.FD()); err != nil {
			return p, err
		}
		// Before the program is attached, so that no frame finds an empty fill ring.
		s.Fill(s.GetDescs(s.NumFreeFillSlots()))
	}
	if p.link, err = attachXDP(i, prog, opts.Generic); err != nil {
		return p, err
	}
	for _, s := range p.sockets {
		p.workers.Add(1)
		go func() {
			defer p.workers.Done()
			p.log.end(p.serve(s))
		}()
	}
	return p, nil
}

func redirectProgram(sockets *ebpf.Map) asm.Instructions {
	return append(matchUDP(0),
		asm.LoadMapPtr(asm.R1, sockets.FD()).WithSymbol("match"),
		asm.LoadMem(asm.R2, asm.R6, ctxQueue, asm.Word),
		asm.Mov.Imm(asm.R3, xdpPass),
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("other"),
		asm.Return(),
	)
}

// serve is the only goroutine that touches s. It ends when the peer is closed or the library gives up.
func (p *XDPPeer) serve(s *xdp.Socket) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("AF_XDP peer at %s: %v", p.iface.name, r)
		}
	}()
	for {
		if stopped, err := p.await(s); err != nil || stopped {
			return err
		}
		if n := s.NumCompleted(); n > 0 {
			s.Complete(n)
		}
		if n := s.NumReceived(); n > 0 {
			p.take(s, s.Receive(n))
		} else if s.NumTransmitted() > 0 {
			s.Transmit(nil) // a kick: the last one stopped at the kernel's budget
		}
		s.Fill(s.GetDescs(s.NumFreeFillSlots()))
	}
}

// await blocks until frames came or the peer is to stop. While the kernel still has frames to send it looks again
// after a millisecond, because nothing announces completions.
func (p *XDPPeer) await(s *xdp.Socket) (stopped bool, err error) {
	timeout := -1
	if s.NumTransmitted() > 0 {
		timeout = 1
	}
	fds := []unix.PollFd{{Fd: int32(s.FD()), Events: unix.POLLIN}, {Fd: int32(p.stop), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, timeout); err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("poll AF_XDP peer at %s: %w", p.iface.name, err)
	}
	if fds[1].Revents != 0 {
		return true, ErrClosed
	}
	return false, nil
}

// take counts, records and reflects received frames. The descriptors are filtered in place.
func (p *XDPPeer) take(s *xdp.Socket, descs []xdp.Desc) {
	now := time.Now()
	var frames []Frame
	back := descs[:0]
	var bytes uint64
	for _, d := range descs {
		frame := s.GetFrame(d)
		bytes += uint64(len(frame))
		if !p.opts.CountOnly {
			frames = append(frames, Frame{Data: slices.Clone(frame), Time: now})
		}
		if p.opts.Reflect {
			if reflectFrame(frame) {
				back = append(back, d)
			} else {
				p.unreflected.Add(1)
			}
		}
	}
	received := uint64(len(descs))
	if len(back) > 0 {
		sent := s.Transmit(back)
		p.reflected.Add(uint64(sent))
		p.unreflected.Add(uint64(len(back) - sent))
	}
	p.bytes.Add(bytes)
	p.received.Add(received)
	p.log.add(frames...)
}

// Count returns the number of frames received.
func (p *XDPPeer) Count() uint64 { return p.received.Load() }

// Frames returns the frames received so far. Their order is that of one queue; between queues it is that of arrival
// here.
func (p *XDPPeer) Frames() []Frame { return p.log.all() }

// Wait blocks until n frames have been recorded since the start or the last Reset and returns all of them.
func (p *XDPPeer) Wait(ctx context.Context, n int) ([]Frame, error) {
	return p.log.wait(ctx, "frames at AF_XDP peer "+p.iface.name, n)
}

// WaitCount blocks until at least n frames have been received, recorded or not.
func (p *XDPPeer) WaitCount(ctx context.Context, n uint64) error {
	return Poll(ctx, fmt.Sprintf("%d frames at AF_XDP peer %s", n, p.iface.name), func() (bool, error) {
		return p.received.Load() >= n, nil
	})
}

// Reset forgets the recorded frames.
func (p *XDPPeer) Reset() { p.log.reset() }

// Stats returns the counters.
func (p *XDPPeer) Stats() (XDPPeerStats, error) {
	out := XDPPeerStats{Received: p.received.Load(), Bytes: p.bytes.Load(),
		Reflected: p.reflected.Load(), Unreflected: p.unreflected.Load()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return out, ErrClosed
	}
	for _, s := range p.sockets {
		st, err := s.Stats()
		if err != nil {
			return out, fmt.Errorf("read statistics of AF_XDP peer at %s: %w", p.iface.name, err)
		}
		out.KernelDropped += st.KernelStats.Rx_dropped + st.KernelStats.Rx_ring_full
	}
	return out, nil
}

// Close detaches the program, ends the workers, unmaps the rings and closes the sockets. What was recorded stays. A
// second Close does nothing.
func (p *XDPPeer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	var errs []error
	if p.link != nil {
		errs = append(errs, p.link.Close())
	}
	if p.stop >= 0 {
		if _, err := unix.Write(p.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
			errs = append(errs, fmt.Errorf("stop AF_XDP peer: %w", err))
		}
	}
	p.workers.Wait()
	for _, s := range p.sockets {
		errs = append(errs, closePeerSocket(s))
	}
	p.sockets = nil // the library's ring pointers dangle from here on
	if p.filter != nil {
		errs = append(errs, p.filter.Close())
	}
	if p.program != nil {
		errs = append(errs, p.program.Close())
	}
	if p.stop >= 0 {
		errs = append(errs, unix.Close(p.stop))
	}
	return errors.Join(errs...)
}
