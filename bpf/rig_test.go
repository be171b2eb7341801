// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Verdicts of include/uapi/linux/bpf.h.
const (
	xdpPass     = 2
	xdpRedirect = 4
)

// variants are the programs of the object that see no tags beside frames.
var variants = []struct {
	name string
	opts Options
}{
	{"plain", Options{NoFrags: true}},
	{"frags", Options{}},
	{"strict", Options{strict: true}},
}

func loadT(t testing.TB, opts Options) *Program {
	t.Helper()
	testenv.Require(t, testenv.XDPProgram)
	if opts.strict && !kernelHasFrags() {
		testenv.Skipf(t, "the strict variant came with Linux 5.18")
	}
	p, err := Load(opts)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { must(t, p.Close()) })
	want := kernelHasFrags() && !opts.NoFrags && (!opts.strict || opts.MultiBuffer)
	if frags, err := p.Frags(); frags != want {
		t.Fatalf("frags = %v with NoFrags = %v: %v", frags, opts.NoFrags, err)
	}
	return p
}

// kernelHasFrags: before Linux 5.18 the frags variant must fail to load and the plain one take its place, so that every test
// runs there too, with the plain one twice.
func kernelHasFrags() bool { return testenv.KernelAtLeast(5, 18) }

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func key(s string) Key {
	ap := netip.MustParseAddrPort(s)
	return Key{ap.Addr(), ap.Port()}
}

// socketT returns an AF_XDP socket. Unbound it will do for BPF_PROG_TEST_RUN, which asks only whether the slot is taken.
func socketT(t testing.TB) int {
	t.Helper()
	fd := bareSocket(t)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// bareSocket is not bound, and the test's to close.
func bareSocket(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	// The newest kernels (seen on 7.3) take no socket into the map that can't receive.
	must(t, unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_RX_RING, 2))
	return fd
}

// configure enters what the tests of verdicts assume: see ownership in model_test.go for the same as data.
func configure(t testing.TB, p *Program) {
	t.Helper()
	must(t, p.SetSocket(0, socketT(t)))
	for k, flags := range ownership.ports {
		must(t, p.AddPort(k, flags))
	}
	must(t, p.SetLocalAddresses(ownership.local), p.SetBroadcastAddresses(ownership.broadcast), p.SetVLANs(ownership.vlans))
}

// xdpContext is struct xdp_md as BPF_PROG_TEST_RUN takes it.
type xdpContext struct {
	Data, DataEnd, DataMeta, IngressIfindex, RxQueueIndex, EgressIfindex uint32
}

// run lets the program judge a frame and checks what holds for every frame: no byte is changed, one counter moves, by one, and
// it belongs to the verdict. It returns that counter.
func run(t testing.TB, p *Program, frame []byte, ctx *xdpContext) Reason {
	t.Helper()
	before, err := p.Counters()
	must(t, err)
	in := bytes.Clone(frame)
	opts := ebpf.RunOptions{Data: in, DataOut: bytes.Repeat([]byte{0xa5}, len(in)+64)}
	if ctx != nil {
		ctx.DataEnd = uint32(len(in))
		opts.Context = ctx
	}
	var verdict uint32
	must(t, memlock.Lift(func() (err error) { // the library tries for itself whether a program can be run
		verdict, err = p.prog.Run(&opts)
		return err
	}))
	after, err := p.Counters()
	must(t, err)
	if !bytes.Equal(opts.DataOut, frame) {
		t.Errorf("frame was changed:\n got %x\nwant %x", opts.DataOut, frame)
	}
	moved := after.Sub(before)
	reason := NumReasons
	for r, n := range moved {
		if n > 0 {
			reason = Reason(r)
		}
	}
	if moved.Total() != 1 {
		t.Fatalf("counters moved by %v: want exactly one, by 1", moved)
	}
	want := uint32(xdpPass)
	if reason == ReasonRedirected {
		want = xdpRedirect
	}
	if verdict != want {
		t.Errorf("verdict %d with reason %v: want %d", verdict, reason, want)
	}
	return reason
}
