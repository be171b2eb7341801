// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// The tests TestNIC… need two real NICs back to back, as the guests of make test-vm have: WSKXDP_NIC_A and WSKXDP_NIC_B
// name them. Nothing is said of speed there, and little of time: a guest is slow, and may be stopped for half a minute.

// nicPatience is how long a guest may take for what takes a NIC some seconds.
const nicPatience = 100 * time.Second

// nicLab is two NICs, each in a namespace of its own.
type nicLab struct {
	t    *testing.T
	A, B *testenv.Host
}

// nicNames are the NICs, or the end of the test.
func nicNames(t *testing.T) (a, b string) {
	t.Helper()
	a, b = os.Getenv("WSKXDP_NIC_A"), os.Getenv("WSKXDP_NIC_B")
	if a == "" || b == "" {
		t.Skipf("%s needs two NICs back to back, named by WSKXDP_NIC_A and WSKXDP_NIC_B: make test-vm runs it in a guest", t.Name())
	}
	return a, b
}

func newNICLab(t *testing.T) *nicLab {
	t.Helper()
	nameA, nameB := nicNames(t)
	l := &nicLab{t: t}
	l.A = l.host(nameA, "10.77.0.1/24", "fd77::1/64")
	l.B = l.host(nameB, "10.77.0.2/24", "fd77::2/64")
	l.waitCarrier()
	return l
}

// host moves a NIC into a new namespace, with which it goes back to the first one.
func (l *nicLab) host(name string, addrs ...string) *testenv.Host {
	l.t.Helper()
	h := &testenv.Host{NS: testenv.NewNamespaceT(l.t)}
	// The one before it may have ended a moment ago.
	testenv.Eventually(l.t, nicPatience, name+" to be back", func() bool { return moveLink(name, h.NS.FD()) == nil })
	var err error
	if h.If, err = testenv.FindIface(h.NS, name); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { moveLinkBack(l.t, h) })
	for _, a := range addrs {
		p := netip.MustParsePrefix(a)
		if err := h.If.AddAddr(p); err != nil {
			l.t.Fatal(err)
		}
		h.Addrs = append(h.Addrs, p)
	}
	if err := h.If.SetUp(); err != nil {
		l.t.Fatal(err)
	}
	return h
}

func moveLink(name string, ns int) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetNsFd(link, ns)
}

// moveLinkBack does at once what the end of the namespace does some time.
func moveLinkBack(t *testing.T, h *testenv.Host) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	first, err := unix.Open("/proc/1/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer unix.Close(first)
	_ = h.NS.Do(func() error {
		link, err := netlink.LinkByName(h.If.Name())
		if err != nil {
			return nil // it was unbound from its driver
		}
		return netlink.LinkSetNsFd(link, first)
	})
}

func (l *nicLab) waitCarrier() {
	l.t.Helper()
	for _, h := range []*testenv.Host{l.A, l.B} {
		testenv.Eventually(l.t, nicPatience, "carrier of "+h.If.Name(), func() bool { return carrierOf(h) })
	}
}

func carrierOf(h *testenv.Host) bool {
	a, err := h.If.Attrs()
	return err == nil && a.RawFlags&unix.IFF_LOWER_UP != 0
}

// driver is the name of a NIC's driver.
func (l *nicLab) driver(h *testenv.Host) string { return l.inspect(h).Driver }

// queues is how many of n queues can be sent through.
func (l *nicLab) queues(n int) int { return min(n, l.inspect(l.A).TxQueues.N) }

func (l *nicLab) inspect(h *testenv.Host) (facts nic.Interface) {
	l.t.Helper()
	err := h.NS.Do(func() (err error) {
		facts, err = nic.Inspect(h.If.Name())
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return facts
}

// open opens a datapath in a namespace. It is closed at the end of the test.
func (l *nicLab) open(h *testenv.Host, opts Options) *Datapath {
	l.t.Helper()
	opts.NetNS = h.NS.FD()
	opts.Logger = slog.New(slog.NewTextHandler(l.t.Output(), nil)) // a line per datagram would be too much here
	if opts.NeighbourTimeout == 0 {
		opts.NeighbourTimeout = nicPatience
	}
	dp, err := Open(opts)
	if err != nil {
		l.t.Fatal(err)
	}
	return dp
}

// skipWhereDownDeadlocks leaves out what would stop the guest's kernel: set down with a zero-copy socket on it, virtio-net of Linux
// 6.16 and 6.17 waits for its own refill worker with the networking lock held, and nothing of the network answers any more. That
// is the kernel's, whatever we do.
func (l *nicLab) skipWhereDownDeadlocks() {
	l.t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		l.t.Fatal(err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	if l.driver(l.A) == "virtio_net" && (strings.HasPrefix(release, "6.16.") || strings.HasPrefix(release, "6.17.")) {
		l.t.Skipf("%s: virtio-net of Linux %s deadlocks when it is set down with a zero-copy socket", l.t.Name(), release)
	}
}

// wantZeroCopy checks that each queue was granted zero-copy, and that there are n.
func wantZeroCopy(t *testing.T, dp *Datapath, n int) {
	t.Helper()
	info := dp.Info()
	if len(info.Queues) != n {
		t.Errorf("%d queues are open, want %d", len(info.Queues), n)
	}
	for _, q := range info.Queues {
		if q.Granted.Mode != xdp.ModeZeroCopy {
			t.Errorf("%s queue %d: %v because of %v", q.Interface, q.Queue, q.Granted.Mode, q.Granted.FallbackReason)
		}
	}
}

// describeQueues is a table of the queues for the log, from which docs/kernels.md is made.
func describeQueues(dp *Datapath) string {
	out := ""
	for _, d := range dp.Info().Devices {
		out += fmt.Sprintf("\n  %s: pass program %v, link went down %d times for %v", d.Interface, d.PassProgram, d.LinkDrops,
			d.LinkWait.Round(time.Millisecond))
	}
	for _, p := range dp.Info().Programs {
		out += fmt.Sprintf("\n  %s: program %v", p.Interface, p.Mode)
	}
	for _, q := range dp.Info().Queues {
		g := q.Granted
		out += fmt.Sprintf("\n  %s queue %d: %v, %s, rings TX %d C %d F %d RX %d, submitted %d completed %d dropped %d foreign %d rebuilds %d, "+
			"kicks %d saved %d, in flight %d waiting %d", q.Interface, q.Queue, g.Mode, q.State, g.TxRing, g.CompletionRing, g.FillRing,
			g.RxRing, q.Submitted, q.Completed, q.Dropped, q.Foreign, q.Rebuilds, q.Counters.Kicks, q.Counters.KicksSaved, q.InFlight,
			q.Waiting)
		if r := q.Receive; r != nil {
			out += fmt.Sprintf("; received %d delivered %d foreign %d, kernel %+v, wake-ups %d", r.Frames, r.Delivered, r.Foreign, r.Kernel,
				q.Counters.RxWakeups)
		}
	}
	return out
}

// ledger counts how IRPs ended.
type ledger struct {
	t      *testing.T
	free   chan *wsk.IRP
	counts chan map[wsk.NTSTATUS]int
	done   chan wsk.NTSTATUS
}

// newLedger allows window operations under way at once: the pace.
func newLedger(t *testing.T, window int) *ledger {
	l := &ledger{t: t, free: make(chan *wsk.IRP, window), counts: make(chan map[wsk.NTSTATUS]int, 1), done: make(chan wsk.NTSTATUS, 4*window)}
	for range window {
		l.free <- wsk.AllocateIRP()
	}
	go func() {
		counts := make(map[wsk.NTSTATUS]int)
		for status := range l.done {
			counts[status]++
		}
		l.counts <- counts
	}()
	return l
}

func (l *ledger) routine(irp *wsk.IRP, _ any) wsk.NTSTATUS {
	l.done <- irp.IoStatus.Status
	l.free <- irp
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// send sends one datagram when there is room for it.
func (l *ledger) send(s *wsk.Socket, buf *wsk.Buf, to wsk.SOCKADDR) {
	select {
	case irp := <-l.free:
		irp.Reuse(wsk.STATUS_SUCCESS)
		irp.SetCompletionRoutine(l.routine, nil, true, true, true)
		s.SendTo(buf, 0, to, nil, irp)
	case <-time.After(nicPatience):
		l.t.Fatalf("no IRP has completed for %v, %d are under way", nicPatience, cap(l.free)-len(l.free))
	}
}

// end waits for what is under way and returns how many ended in which status.
func (l *ledger) end() map[wsk.NTSTATUS]int {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), nicPatience)
	defer cancel()
	for n := range cap(l.free) {
		select {
		case <-l.free:
		case <-ctx.Done():
			l.t.Fatalf("%d IRPs never completed", cap(l.free)-n)
		}
	}
	close(l.done)
	return <-l.counts
}

func total(counts map[wsk.NTSTATUS]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
