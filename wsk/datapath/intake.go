// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// intake is the XDP program on an interface of Options.Receive: it leads the frames of the ports in it to the interface's
// queues, and all else to the kernel.
type intake struct {
	dp       *Datapath
	ifindex  int
	name     string
	queues   int // receive queues with an AF_XDP socket
	maxFrame int
	// prog is set before the intake is adopted and the device's queues can be opened.
	prog redirector

	refreshing sync.Mutex // held while arrivals and what the program knows of addresses are made anew
	arrivals   atomic.Pointer[arrivals]

	// refs counts the port entries by key. Guarded by Datapath.portsMu.
	refs map[bpf.Key]int

	closing sync.Once
	// lifeMu guards what load leaves on the interface against a device that is deleted meanwhile, whose close comes first then.
	lifeMu   sync.Mutex
	closed   bool
	spreads  []spread
	hasher   flowHasher
	attached *bpf.Attachment // nil in tests without a kernel

	guarding atomic.Bool // the program is being put back
	retryAt  time.Time   // the janitor's
}

// redirector is what an intake needs of bpf.Program.
type redirector interface {
	AddPort(bpf.Key, bpf.Flags) error
	RemovePort(bpf.Key) error
	SetSocket(queue, fd int) error
	ClearSocket(queue int) error
	SetLocalAddresses(addrs []netip.Addr) error
	SetBroadcastAddresses(addrs []netip.Addr) error
	SetVLANs(ids []uint16) error
	Counters() (bpf.Counters, error)
	Close() error
}

// defaultRxChunks holds what arrives in a few milliseconds at full speed, while the receiver's goroutine is being woken.
const defaultRxChunks = 2048

// openIntake attaches the program to an interface and opens a socket on each of its receive queues.
func (dp *Datapath) openIntake(name string) error {
	rd, ok := dp.routes.DeviceByName(name)
	if !ok {
		return fmt.Errorf("receive on %s: no such interface in this network namespace", name)
	}
	var facts nic.Interface
	err := dp.ns.Do(func() (err error) {
		facts, err = nic.Inspect(name)
		return err
	})
	if err != nil {
		return fmt.Errorf("receive on %s: %w", name, err)
	}
	in := &intake{dp: dp, ifindex: rd.Index, name: name, refs: make(map[bpf.Key]int), hasher: kernelHasher{}}
	// A queue without a TX side can't have a socket of ours; its frames pass to the kernel.
	in.queues = max(min(facts.RxQueues.N, facts.TxQueues.N), 1)
	d, err := dp.newReceivingDevice(rd, in)
	if err != nil {
		return fmt.Errorf("receive on %s: %w", name, err)
	}
	// The program first: some drivers give zero-copy only then. Whoever wants to send meanwhile waits for it too.
	if err = in.begin(d, facts.RxQueues.N); err != nil {
		d.retire()
	}
	d.opening.Unlock()
	if err != nil {
		return fmt.Errorf("receive on %s: %w", name, err)
	}
	in.warnOfBareQueues()
	for slot := range in.queues {
		if _, err := d.open(slot); err != nil {
			return fmt.Errorf("receive on %s: %w", name, err)
		}
	}
	return nil
}

// begin makes the intake one that the queues of its device can be opened on. The device's opening is held.
func (in *intake) begin(d *device, queues int) error {
	if err := in.load(d, queues); err != nil {
		return err
	}
	in.refresh()
	if !in.dp.adoptIntake(in) {
		return errDeviceGone
	}
	in.refresh() // an address may have come before it was known
	return nil
}

// load puts the program into the kernel and on the interface.
func (in *intake) load(d *device, queues int) error {
	o := d.socketOptions(0)
	chunk := int(o.ChunkSize)
	if chunk == 0 {
		chunk = int(xdp.DefaultOptions(in.name, 0).ChunkSize)
	}
	in.maxFrame = chunk - kernelHeadroom - int(o.Headroom)
	before := d.linkNow()
	return in.dp.ns.Do(func() error {
		p, err := bpf.Load(bpf.Options{Queues: max(queues, in.queues), MaxFrame: in.maxFrame})
		if err != nil {
			return err
		}
		a, err := p.Attach(in.ifindex, in.dp.opts.ReceiveMode)
		if err != nil {
			return errors.Join(err, p.Close())
		}
		if !in.hold(p, a) {
			return errors.Join(errDeviceGone, p.Close())
		}
		if why := a.Fallback(); why != nil {
			in.dp.log.Info("the XDP program runs in generic mode", "interface", in.name, "why", why)
		}
		if a.Mode() == bpf.Native {
			d.awaitCarrier(in.dp.ctx, before, "attaching the XDP program")
		}
		if in.dp.opts.SpreadReceive && in.queues > 1 {
			in.spreadFlows()
		}
		return nil
	})
}

// hold keeps what was attached for close, or reports that there has been one already.
func (in *intake) hold(p redirector, a *bpf.Attachment) bool {
	in.lifeMu.Lock()
	defer in.lifeMu.Unlock()
	if !in.closed {
		in.prog, in.attached = p, a
	}
	return !in.closed
}

func (in *intake) isClosed() bool {
	in.lifeMu.Lock()
	defer in.lifeMu.Unlock()
	return in.closed
}

// warnOfBareQueues tells of receive queues that have no AF_XDP socket for want of a transmit queue. What comes in there
// passes to the kernel and the companion sockets. They are counted with the program attached, for which virtio-net adds some.
func (in *intake) warnOfBareQueues() {
	var facts nic.Interface
	err := in.dp.ns.Do(func() (err error) {
		facts, err = nic.Inspect(in.name)
		return err
	})
	if err == nil && facts.RxQueues.N > in.queues {
		in.dp.log.Warn("receive queues without a transmit queue have no AF_XDP socket; their frames go through the kernel's stack",
			"interface", in.name, "receive", facts.RxQueues.String(), "transmit", facts.TxQueues.String())
	}
}

// kernelHeadroom is XDP_PACKET_HEADROOM, which the kernel leaves in front of each received frame.
const kernelHeadroom = 256

func (in *intake) setSocket(queue int, sock xdp.Queue) error {
	fd := -1
	if split, ok := sock.(splitSocket); ok {
		fd = split.RXFD()
	}
	return in.prog.SetSocket(queue, fd)
}

func (in *intake) clearSocket(queue int) {
	if err := in.prog.ClearSocket(queue); err != nil && !errors.Is(err, bpf.ErrClosed) {
		in.dp.log.Warn("take a socket out of the XDP program", "interface", in.name, "queue", queue, "err", err)
	}
}

func (in *intake) close() {
	in.closing.Do(func() {
		in.lifeMu.Lock()
		in.closed = true
		prog := in.prog
		in.lifeMu.Unlock()
		in.dp.portsMu.Lock()
		in.dp.intakes = removeIntake(in.dp.intakes, in)
		in.dp.portsMu.Unlock()
		in.restoreFlows()
		if prog == nil {
			return
		}
		if err := prog.Close(); err != nil {
			in.dp.log.Debug("close XDP program", "interface", in.name, "err", err)
		}
	})
}

func (in *intake) info() ProgramInfo {
	out := ProgramInfo{Interface: in.name, MaxFrame: in.maxFrame}
	if a := in.attachment(); a != nil {
		out.Mode, out.Fallback = a.Mode(), a.Fallback()
	}
	in.dp.portsMu.Lock()
	out.Ports = len(in.refs)
	in.dp.portsMu.Unlock()
	out.Counters, _ = in.prog.Counters()
	return out
}

func removeIntake(list []*intake, in *intake) []*intake {
	var rest []*intake
	for _, other := range list {
		if other != in {
			rest = append(rest, other)
		}
	}
	return rest
}

func (dp *Datapath) intakeList() []*intake {
	dp.portsMu.Lock()
	defer dp.portsMu.Unlock()
	return append([]*intake(nil), dp.intakes...)
}

// refreshIntakes follows a change of addresses or devices.
func (dp *Datapath) refreshIntakes() {
	for _, in := range dp.intakeList() {
		in.refresh()
	}
}

// concerns reports whether an event may change what the intakes know.
func concerns(kind route.EventKind) bool {
	switch kind {
	case route.LinkAdded, route.LinkUp, route.LinkDown, route.LinkDeleted, route.LinkChanged, route.AddressesChanged,
		route.Resynced:
		return true
	}
	return false
}
