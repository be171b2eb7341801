// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
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
	rx    *xdp.RxRing
	words xdp.Words
	descs []xdp.Desc
	wake  chan struct{}
	gone  chan struct{}
	once  sync.Once
}

func newFakeRX(tb testing.TB, config xdptest.Config) *fakeRX {
	k, err := xdptest.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	f := &fakeRX{Kernel: k, descs: make([]xdp.Desc, 64), wake: make(chan struct{}, 1), gone: make(chan struct{}),
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
		case <-f.gone:
			return false
		}
	}
	return true
}

func (f *fakeRX) End() { f.once.Do(func() { close(f.gone) }) }

// newFakeIntake is a datapath with one receiving queue over plain memory.
func newFakeIntake(tb testing.TB, rxChunks uint32) (*Datapath, *fakeRX, *fakeProgram) {
	tb.Helper()
	var rx *fakeRX
	dp, err := openFake(Options{}, fakeRoutes{}, func(*device.Device, int) (xdp.Queue, error) {
		rx = newFakeRX(tb, xdptest.Config{RxChunks: rxChunks, TxChunks: 8, TxRing: 8})
		return rx, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	dp.hub.NewWaiter = func(xdp.Queue) (receive.Waiter, error) { return rx, nil }
	program := fakeIntake(tb, dp)
	tb.Cleanup(func() { dp.Close() })
	return dp, rx, program
}

// fakeIntake makes a datapath receive on one queue.
func fakeIntake(tb testing.TB, dp *Datapath) *fakeProgram {
	tb.Helper()
	program := &fakeProgram{ports: make(map[bpf.Key]bpf.Flags)}
	p := dp.devices.NewProgram(fakeDevice.Index, fakeDevice.Name)
	p.Queues, p.Prog = 1, program
	d, err := dp.devices.NewReceivingDevice(fakeDevice, p)
	if err != nil {
		tb.Fatal(err)
	}
	p.Refresh()
	dp.hub.Adopt(p.Intake, p.IsClosed)
	d.Opening.Unlock()
	if _, err := d.Open(0); err != nil {
		tb.Fatal(err)
	}
	return program
}

// fakeReceiver is the same, and its receiving half.
func fakeReceiver(tb testing.TB, dp *Datapath) *receive.Socket {
	tb.Helper()
	fakeIntake(tb, dp)
	return onlyHalf(dp).Current()
}

// fakeFrame is a frame for a wildcard socket of a fake intake.
func fakeFrame(tb testing.TB, port uint16, payload []byte) []byte {
	tb.Helper()
	tpl, err := frame.NewTemplate(frame.Flow{SrcMAC: frame.MAC{2, 9, 9, 9, 9, 9}, DstMAC: frame.MAC(fakeDevice.MAC),
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

// TestForeignDescriptors: descriptors that name no chunk of the kernel's are counted and believed by nobody, and what they
// name is neither delivered nor given to the kernel again.
//
// I10.
func TestForeignDescriptors(t *testing.T) {
	dp, rx, _ := newFakeIntake(t, 16)
	p := bind(t, dp, "0.0.0.0:0")
	h := new(hoard)
	p.setHook(h.take)
	u := rx.UMEM()
	place := func(chunk int) xdp.Desc {
		d := xdp.Desc{Addr: u.Addr(chunk) + 256}
		d.Len = uint32(copy(u.Chunk(d.Addr), fakeFrame(t, p.addr().Port(), numbered(0))))
		return d
	}
	good := place(8)
	rx.post(good)
	eventually(t, "a datagram", func() bool { return h.count() == 1 })
	for _, d := range []xdp.Desc{
		good,     // it is lent
		place(3), // a chunk for sending
		{Addr: 1 << 40, Len: 100},
		{Addr: ^uint64(0), Len: 1},
		{Addr: good.Addr, Len: 4096}, // lent, and beyond its chunk
	} {
		rx.post(d)
	}
	rx.post(xdp.Desc{Addr: u.Addr(9) + 256, Len: 2048}) // the kernel's, but beyond its chunk
	eventually(t, "the ring to be empty", rx.drained)
	eventually(t, "the count", func() bool { return received(t, dp).Foreign == 6 })
	if r := received(t, dp); h.count() != 1 || r.Lent != 1 || r.Free != 15 {
		t.Errorf("%d delivered, %d lent, %d free", h.count(), r.Lent, r.Free)
	}
	h.release()
	if r := received(t, dp); r.Lent != 0 || r.Free != 16 {
		t.Errorf("after the release: %d lent, %d free", r.Lent, r.Free)
	}
}

// TestPortEntries: what the program is told of sockets, shared keys included.
func TestPortEntries(t *testing.T) {
	dp, _, program := newFakeIntake(t, 16)
	has := func(want map[string]bpf.Flags) {
		t.Helper()
		program.mu.Lock()
		defer program.mu.Unlock()
		for s, flags := range want {
			ap := netip.MustParseAddrPort(s)
			if got, ok := program.ports[bpf.Key{Addr: ap.Addr(), Port: ap.Port()}]; !ok || got != flags {
				t.Errorf("%s: %v %v", s, got, ok)
			}
		}
		if len(program.ports) != len(want) {
			t.Errorf("the program has %v, want %v", program.ports, want)
		}
	}
	none := map[string]bpf.Flags{}
	a, status := tryBind(t, dp, wsk.BindRequest{Local: netip.MustParseAddrPort("[::]:7970"), DualStack: true, ReuseAddress: true})
	mustSucceed(t, "dual", status)
	has(map[string]bpf.Flags{"0.0.0.0:7970": bpf.MatchBroadcast, "[::]:7970": 0})
	b, status := tryBind(t, dp, wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:7970"), ReuseAddress: true})
	mustSucceed(t, "v4", status)
	a.close()
	has(map[string]bpf.Flags{"0.0.0.0:7970": bpf.MatchBroadcast})
	b.close()
	has(none)
	c := bind(t, dp, "127.0.0.1:7971")
	has(none)
	c.close()
}

// FuzzReceivedFrame: whatever arrives, it is delivered or counted, and its chunk comes back.
func FuzzReceivedFrame(f *testing.F) {
	f.Add(fakeFrame(f, 7972, []byte("payload")))
	f.Add(fakeFrame(f, 7972, nil)[:40])
	f.Add([]byte{})
	dp, rx, _ := newFakeIntake(f, 16)
	s := &catcher{change: make(chan struct{}, 1)}
	s.hook = func(list *wsk.Datagram) {
		for list != nil {
			next := list.Next
			_ = append([]byte(nil), list.Payload...)
			list.Release()
			list = next
		}
	}
	open, _ := dp.OpenEndpoint(wsk.AF_INET6, s)
	done := make(chan wsk.NTSTATUS, 1)
	open.Bind(wsk.BindRequest{Local: netip.MustParseAddrPort("[::]:0"), DualStack: true}, func(_ netip.AddrPort, st wsk.NTSTATUS) { done <- st })
	if st := <-done; st != wsk.STATUS_SUCCESS {
		f.Fatal(st)
	}
	ep := open.(*endpoint)
	dp.hub.PortsMu.Lock() // the port of the seeds too, whichever was free
	dp.hub.Demux.Update(7972, func(p *receive.PortTable) { p.Insert(receive.Binding{Sink: &ep.sink, Any4: true, Any6: true}) })
	dp.hub.PortsMu.Unlock()
	u := rx.UMEM()
	chunk := 0
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1700 {
			return
		}
		before := received(t, dp)
		d := xdp.Desc{Addr: u.Addr(8+chunk) + 256, Len: uint32(len(b))}
		chunk = (chunk + 1) % 16
		copy(u.Chunk(d.Addr), b)
		rx.post(d)
		for {
			if r := received(t, dp); r.Frames == before.Frames+1 && r.Lent == 0 {
				dropped := r.OtherHost + r.Unowned + r.NotJoined + r.Foreign - before.OtherHost - before.Unowned - before.NotJoined - before.Foreign
				for i := range r.Malformed {
					dropped += r.Malformed[i] - before.Malformed[i]
				}
				if r.Delivered-before.Delivered+dropped != 1 || r.Foreign != 0 {
					t.Fatalf("before %+v, after %+v", before, r)
				}
				return
			}
		}
	})
}
