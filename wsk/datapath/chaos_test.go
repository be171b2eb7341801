// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// chaosTime is how long each mode of TestStormChaos goes on; the variable STORM overrides it.
const chaosTime = 350 * time.Millisecond

// chaosLimit is how long an operation may take. Every trouble ends within milliseconds; a link that comes back unannounced is
// found within downPoll.
const chaosLimit = 30 * time.Second

const chaosSenders = 4

// chaosPeer is where a datagram goes to nowhere also through the kernel's own stack, which sends while the interface goes.
var chaosPeer = netip.MustParseAddr("127.77.0.2")

// chaosMode is a kernel: what its sockets may be, one of them by chance.
type chaosMode struct {
	name    string
	sockets []xdptest.Config
	ordered bool // the kernel tells what it has consumed, so that a rebuild sends nothing twice
	quiet   bool // see nag
}

var (
	chaosCopy     = xdptest.Config{TxChunks: 32, TxRing: 64, Budget: 7, Start: 0xffff_ff80}
	chaosLazy     = xdptest.Config{TxChunks: 32, TxRing: 64, Budget: 7, LazyConsumer: true, MaxHeld: 20}
	chaosZeroCopy = xdptest.Config{TxChunks: 32, TxRing: 64, ZeroCopy: true}
	chaosOffload  = xdptest.Config{TxChunks: 32, TxRing: 64, ZeroCopy: true, Offload: xdp.OffloadDriver}
)

// chaos is the state of the test.
type chaos struct {
	t     *testing.T
	mode  chaosMode
	seed  uint64
	world *world
	dp    *Datapath
	npi   wsk.ProviderNPI

	stop     atomic.Bool // no more troubles, nothing new is sent
	over     atomic.Bool // the interrupts end, too
	hopeless chan struct{}
	failOnce sync.Once
	failure  string

	lastID   atomic.Uint64
	ended    atomic.Uint64 // operations
	outcomes outcomeCount

	wireMu sync.Mutex
	seen   map[uint64]map[uint16]bool // the datagrams of each pending operation that were sent
	last   map[chaosWay]uint64

	mu   sync.Mutex
	irps []*chaosIRP
}

// TestStormChaos sends from several goroutines while everything that can happen to a queue happens at random: links and
// devices go and come, sockets break and are not to be had, kernels drop, lose, hold back and repeat, IRPs are cancelled and
// sockets closed. Every operation completes once, soon, and with success only if it was sent; what is sent of a flow is in
// order; in the end every chunk is in its pool, datagrams get through, and nothing is left behind.
//
// Invariants I1, I4.
func TestStormChaos(t *testing.T) {
	limit := chaosTime
	if v := os.Getenv("STORM"); v != "" {
		var err error
		if limit, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []chaosMode{
		{"copy", []xdptest.Config{chaosCopy}, true, false},
		{"lazy", []xdptest.Config{chaosLazy}, false, false},
		{"zero-copy", []xdptest.Config{chaosZeroCopy, chaosOffload}, false, false},
		{"mixed", []xdptest.Config{chaosCopy, chaosLazy, chaosZeroCopy, chaosOffload}, false, false},
		{"quiet", []xdptest.Config{chaosCopy}, true, true},
		{"quiet-high", []xdptest.Config{chaosCopy}, true, true},
	} {
		t.Run(mode.name, func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			rig := &chaos{t: t, mode: mode, seed: testenv.Seed(t), hopeless: make(chan struct{}), seen: make(map[uint64]map[uint16]bool),
				last: make(map[chaosWay]uint64), outcomes: outcomeCount{n: make(map[wsk.NTSTATUS]int)}}
			rig.run(limit)
			testenv.Eventually(t, waitLimit, "every goroutine to end", func() bool { return runtime.NumGoroutine() <= goroutines })
		})
	}
}

// run is the storm, and the calm behind it. Nothing is cleaned up after a failure: that would wait for what does not end.
func (rig *chaos) run(limit time.Duration) {
	t := rig.t
	rig.world = newWorld(rig, rig.seed)
	var err error
	opts := Options{Queues: 2, StallTimeout: testenv.Patience(30 * time.Millisecond)}
	troubles, senders := []func(*rand.Rand){rig.world.links, rig.world.troubles, rig.world.troubles}, chaosSenders
	if rig.mode.quiet {
		opts.Queues, opts.LowGear, senders = 1, rig.mode.name == "quiet", 1
		troubles = []func(*rand.Rand){rig.world.nag}
	}
	rig.dp, err = openFake(opts, rig.world, rig.world.open)
	if err != nil {
		t.Fatal(err)
	}
	rig.world.appear(1)
	var ss wsk.Subsystem
	mustSucceed(t, "attach", ss.Attach(rig.dp, wsk.ProviderOptions{}))
	reg := new(wsk.Registration)
	mustSucceed(t, "register", ss.Register(&wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}, reg))
	mustSucceed(t, "capture", wsk.CaptureProviderNPI(reg, wsk.WSK_NO_WAIT, &rig.npi))

	var work, interrupts sync.WaitGroup
	interrupts.Go(rig.world.interrupts)
	for i, f := range troubles {
		work.Go(func() { f(rand.New(rand.NewPCG(rig.seed, uint64(10+i)))) })
	}
	for i := range senders {
		work.Go(func() { rig.sendLoop(i, rand.New(rand.NewPCG(rig.seed, uint64(20+i)))) })
	}
	time.AfterFunc(limit, func() { rig.stop.Store(true) })
	rig.await("the end of the senders", limit, work.Wait)
	rig.await("a plain send", 0, rig.plainSends)
	rig.await("the end", 0, func() {
		wsk.ReleaseProviderNPI(reg)
		wsk.Deregister(reg)
		ss.Detach()
	})
	audit(t, rig.dp)
	rig.await("the end of the datapath", 0, func() {
		if err := rig.dp.Close(); err != nil {
			rig.fail("close: %v", err)
		}
	})
	rig.over.Store(true)
	interrupts.Wait()
	rig.world.each(func(*xdptest.Kernel) { t.Error("an AF_XDP socket is left open") })
	t.Logf("%d operations over %d sockets: %v", rig.lastID.Load(), rig.world.closed, &rig.outcomes)
}

// await runs f, and fails the test when it or an operation takes too long.
func (rig *chaos) await(what string, more time.Duration, f func()) {
	rig.t.Helper()
	limit := testenv.Patience(chaosLimit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	deadline := time.After(more + 2*limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			select {
			case <-rig.hopeless:
			default:
				return
			}
		case <-deadline:
			rig.fail("%s does not come", what)
		case now := <-tick.C:
			rig.overdue(now.Add(-limit))
		case <-rig.hopeless:
			rig.over.Store(true)
			rig.stop.Store(true)
			rig.t.Fatalf("%s\n%s", rig.failure, rig.dump())
		}
	}
}

// overdue fails the test for an operation that began before a time and is pending.
func (rig *chaos) overdue(before time.Time) {
	rig.mu.Lock()
	defer rig.mu.Unlock()
	for _, c := range rig.irps {
		if began := c.began.Load(); began != 0 && began < before.UnixNano() {
			rig.fail("operation %d is pending since %v", c.id, time.Unix(0, began))
		}
	}
}

// fail notes the first failure. Any goroutine may call it, with any lock held.
func (rig *chaos) fail(format string, args ...any) {
	rig.failOnce.Do(func() {
		rig.failure = fmt.Sprintf(format, args...)
		close(rig.hopeless)
	})
}

// pause lets others run for some time up to limit.
func (rig *chaos) pause(r *rand.Rand, limit time.Duration) {
	select {
	case <-time.After(time.Duration(r.Int64N(int64(limit)))):
	case <-rig.hopeless:
	}
}

// wait waits for an IRP, unless all hope is gone.
func (rig *chaos) wait(what string, irp *wsk.IRP) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		irp.Wait(rig.t.Context())
	}()
	select {
	case <-done:
		return true
	case <-time.After(testenv.Patience(chaosLimit)):
		rig.fail("%s does not complete", what)
	case <-rig.hopeless:
	}
	return false
}

func (rig *chaos) openSocket() *wsk.Socket {
	irp := wsk.AllocateIRP()
	rig.npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	if !rig.wait("WskSocket", irp) {
		return nil
	}
	s := irp.IoStatus.Socket
	irp = wsk.AllocateIRP()
	s.Bind(wsk.NewSockaddr(netip.MustParseAddrPort("0.0.0.0:0")), 0, irp)
	if !rig.wait("WskBind", irp) {
		return nil
	}
	if status := irp.IoStatus.Status; status != wsk.STATUS_SUCCESS {
		rig.fail("WskBind: %v", status)
	}
	return s
}

func (rig *chaos) closeSocket(s *wsk.Socket) {
	irp := wsk.AllocateIRP()
	s.Close(irp)
	if rig.wait("WskCloseSocket", irp) && irp.IoStatus.Status != wsk.STATUS_SUCCESS {
		rig.fail("WskCloseSocket: %v", irp.IoStatus.Status)
	}
}

// plainSends: every queue is as good as new. What was planned for a frame may still hit one.
func (rig *chaos) plainSends() {
	for range rig.dp.devices.Opts.Queues {
		s := rig.openSocket()
		for tries := 0; s != nil; tries++ {
			irp := wsk.AllocateIRP()
			s.SendTo(whole([]byte("plain")), 0, sockaddr(chaosPeer, 9), nil, irp)
			if !rig.wait("a plain send", irp) {
				return
			}
			status := irp.IoStatus.Status
			if status == wsk.STATUS_SUCCESS {
				break
			}
			if tries == 50 {
				rig.fail("plain sends end with %v", status)
				return
			}
		}
		if s != nil {
			rig.closeSocket(s)
		}
	}
}
