// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// fakeProgram remembers what it was told.
type fakeProgram struct {
	mu                sync.Mutex
	ports             map[bpf.Key]bpf.Flags
	local, broadcasts []netip.Addr
	vlans             []uint16
	cleared           func(queue int) // if set, hears of ClearSocket
}

func (f *fakeProgram) AddPort(k bpf.Key, flags bpf.Flags) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ports[k] = flags
	return nil
}

func (f *fakeProgram) RemovePort(k bpf.Key) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ports, k)
	return nil
}

func (f *fakeProgram) ClearSocket(queue int) error {
	if f.cleared != nil {
		f.cleared(queue)
	}
	return nil
}
func (f *fakeProgram) SetSocket(int, int) error                   { return nil }
func (f *fakeProgram) SetLocalAddresses(a []netip.Addr) error     { f.local = a; return nil }
func (f *fakeProgram) SetBroadcastAddresses(a []netip.Addr) error { f.broadcasts = a; return nil }
func (f *fakeProgram) SetVLANs(ids []uint16) error                { f.vlans = ids; return nil }
func (f *fakeProgram) Counters() (c bpf.Counters, err error)      { return c, nil }
func (f *fakeProgram) Close() error                               { return nil }

// fakeRX is a socket whose RX ring the test writes, and whose fill ring it reads.
type fakeRX struct {
	*xdptest.Kernel
	rx          *xdp.RxRing
	words       xdp.Words
	descs       []xdp.Desc
	wake        chan struct{}
	interrupted chan struct{}
	gone        chan struct{}
	once        sync.Once
}

func newFakeRX(tb testing.TB, config xdptest.Config) *fakeRX {
	k, err := xdptest.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	f := &fakeRX{Kernel: k, descs: make([]xdp.Desc, 64), wake: make(chan struct{}, 1), interrupted: make(chan struct{}, 1), gone: make(chan struct{}),
		words: xdp.Words{Producer: new(atomic.Uint32), Consumer: new(atomic.Uint32), Flags: new(atomic.Uint32)}}
	f.rx = xdp.NewRxRing(f.words, f.descs)
	return f
}

func (f *fakeRX) RX() *xdp.RxRing { return f.rx }

// post puts a descriptor into the RX ring, whatever it says.
func (f *fakeRX) post(d xdp.Desc) {
	p := f.words.Producer.Load()
	f.descs[p%uint32(len(f.descs))] = d
	f.words.Producer.Store(p + 1)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// drained reports whether everything posted has been looked at.
func (f *fakeRX) drained() bool { return f.words.Consumer.Load() == f.words.Producer.Load() }

// Wait and close make it its own waiter.
func (f *fakeRX) Wait(ready func() bool) bool {
	for !ready() {
		select {
		case <-f.wake:
		case <-f.interrupted:
			return true
		case <-f.gone:
			return false
		}
	}
	return true
}

func (f *fakeRX) Interrupt() {
	select {
	case f.interrupted <- struct{}{}:
	default:
	}
}

func (f *fakeRX) End() { f.once.Do(func() { close(f.gone) }) }

// fakeHost is the interface that fakes receive on, and its host.
var fakeHost = fakeRoutes{devices: []route.Device{{Index: 1, Name: "fake0", MAC: [6]byte{2, 0, 0, 0, 0, 1}, Up: true}}}

// fakeRoutes is a host with given devices and addresses.
type fakeRoutes struct {
	devices   []route.Device
	addresses []route.Address
}

func (r fakeRoutes) Devices() []route.Device       { return r.devices }
func (r fakeRoutes) Addresses(int) []route.Address { return r.addresses }

// waiting is a fake socket that is its own waiter.
type waiting interface {
	xdp.Queue
	Waiter
}

// newHub is a hub over fake sockets. When the test ends it waits for its goroutines, which end with their sockets.
func newHub(tb testing.TB, routes Routes) *Hub {
	var work sync.WaitGroup
	tb.Cleanup(work.Wait)
	return &Hub{Log: slog.New(slog.DiscardHandler), GoRun: work.Go, Routes: routes, Processors: 2,
		NewWaiter: func(sock xdp.Queue, _ time.Duration) (Waiter, error) { return sock.(Waiter), nil }}
}

// addIntake makes the hub receive on the fake interface.
func addIntake(tb testing.TB, hub *Hub) (*Intake, *fakeProgram) {
	tb.Helper()
	program := &fakeProgram{ports: make(map[bpf.Key]bpf.Flags)}
	in := NewIntake(hub, 1, "fake0")
	in.Prog = program
	in.Refresh()
	if !hub.Add(in, func() bool { return false }) {
		tb.Fatal("the intake was refused")
	}
	return in, program
}

// start begins to receive on a socket until the test ends.
func start(tb testing.TB, q *Queue, sock waiting) {
	tb.Helper()
	if err := q.Start(sock); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { q.Close(sock) })
}

// newFakeQueue is a hub with one receiving queue over plain memory.
func newFakeQueue(tb testing.TB, rxChunks uint32) (*Queue, *fakeRX, *fakeProgram) {
	tb.Helper()
	rx := newFakeRX(tb, xdptest.Config{RxChunks: rxChunks, TxChunks: 8, TxRing: 8})
	in, program := addIntake(tb, newHub(tb, fakeHost))
	q := NewQueue(in, 0)
	start(tb, q, rx)
	return q, rx, program
}

// receiverFunc is a receiver that is a function.
type receiverFunc func(list *wsk.Datagram)

func (f receiverFunc) Receive(list *wsk.Datagram) { f(list) }

// bind registers an open sink, which is taken out again when the test ends.
func bind(tb testing.TB, hub *Hub, local string, dual bool, receive receiverFunc) *Sink {
	s := hub.NewSink(receive)
	s.SetLocal(netip.MustParseAddrPort(local), dual)
	s.Open()
	hub.Register(s)
	tb.Cleanup(func() { hub.Unregister(s) })
	return s
}

// releaseAll is a receiver that gives everything back.
func releaseAll(list *wsk.Datagram) {
	for list != nil {
		next := list.Next
		list.Release()
		list = next
	}
}

// hoard keeps everything that it receives.
type hoard struct {
	mu   sync.Mutex
	kept []*wsk.Datagram
	tell bool                     // says so to the lender
	hook func(list *wsk.Datagram) // if set, gets the next list instead
}

func (h *hoard) take(list *wsk.Datagram) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hook := h.hook; hook != nil {
		h.hook = nil
		h.mu.Unlock()
		defer h.mu.Lock()
		hook(list)
		return
	}
	for list != nil {
		next := list.Next
		list.Next = nil
		if h.tell {
			list.Lender.Keep(list)
		}
		h.kept = append(h.kept, list)
		list = next
	}
}

func (h *hoard) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.kept)
}

func (h *hoard) release() {
	h.mu.Lock()
	kept := h.kept
	h.kept = nil
	h.mu.Unlock()
	for i := range kept {
		kept[len(kept)-1-i].Release() // any order
	}
}

// next makes a function that gets the next list.
func (h *hoard) next(hook func(list *wsk.Datagram)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = hook
}

// blockNext keeps the receiver in its next delivery, which is given back then. inside is closed when it is there.
func (h *hoard) blockNext() (inside, leave chan struct{}) {
	inside, leave = make(chan struct{}), make(chan struct{})
	h.next(func(list *wsk.Datagram) {
		close(inside)
		<-leave
		releaseAll(list)
	})
	return inside, leave
}

// numbered is a payload that tells its number.
func numbered(i int) []byte {
	b := make([]byte, 100)
	binary.BigEndian.PutUint32(b, uint32(i))
	b[99] = byte(i)
	return b
}

// waitLimit keeps a test that is broken from hanging.
const waitLimit = time.Minute

func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	testenv.Eventually(tb, waitLimit, what, cond)
}

func TestMain(m *testing.M) { testenv.Main(m) }

// fakeFrame is a frame for a wildcard socket on the fake interface.
func fakeFrame(tb testing.TB, port uint16, payload []byte) []byte {
	tb.Helper()
	tpl, err := frame.NewTemplate(frame.Flow{SrcMAC: frame.MAC{2, 9, 9, 9, 9, 9}, DstMAC: frame.MAC{2, 0, 0, 0, 0, 1},
		Src: netip.MustParseAddrPort("10.0.0.2:7"), Dst: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port)})
	if err != nil {
		tb.Fatal(err)
	}
	b := make([]byte, tpl.HeaderLen()+len(payload))
	var sum frame.Sum
	sum.CopyAdd(b[tpl.HeaderLen():], payload)
	tpl.PutHeaders(b, len(payload), 1, sum)
	return b
}
