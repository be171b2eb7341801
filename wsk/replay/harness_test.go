// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/servicetest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// waitLimit is how long a test waits for what should take milliseconds.
const waitLimit = time.Minute

// rig is a laboratory with a datapath in A, under a subsystem of its own.
type rig struct {
	t   *testing.T
	lab *testenv.Lab
	dp  *datapath.Datapath
	ss  wsk.Subsystem
	audit
	xdp bool
}

// rigOptions are what differs from the default.
type rigOptions struct {
	top      testenv.Topology
	datapath datapath.Options
	provider wsk.ProviderOptions
	daemon   bool // between the sockets and the datapath
}

// secondSource is another address of A, so that the choice of a source address shows.
var secondSource = struct{ v4, v6 netip.Prefix }{
	netip.MustParsePrefix("10.77.0.101/24"), netip.MustParsePrefix("fd77::101/64"),
}

// eachMode runs a test with both of the ways by which datagrams come in, and through a daemon.
func eachMode(t *testing.T, o rigOptions, run func(t *testing.T, r *rig)) {
	t.Run("companion", func(t *testing.T) { run(t, newRig(t, o, false)) })
	t.Run("xdp", func(t *testing.T) { run(t, newRig(t, o, true)) })
	t.Run("daemon", func(t *testing.T) {
		o.daemon = true
		run(t, newRig(t, o, true))
	})
}

func newRig(t *testing.T, o rigOptions, withXDP bool) *rig {
	t.Helper()
	needs := testenv.NetNS | testenv.AFXDP
	if withXDP {
		needs |= testenv.XDPProgram
	}
	testenv.Require(t, needs)
	r := &rig{t: t, lab: testenv.NewLabT(t, o.top), xdp: withXDP}
	r.audit.t = t
	for _, p := range []netip.Prefix{secondSource.v4, secondSource.v6} {
		if err := r.lab.A.If.AddAddr(p); err != nil {
			t.Fatal(err)
		}
	}
	opts := o.datapath
	opts.NetNS = r.lab.A.NS.FD()
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	if withXDP {
		opts.Receive = []string{r.lab.A.If.Name()}
	}
	dp, err := datapath.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.dp = dp
	t.Cleanup(func() {
		if !o.daemon {
			r.settle()
			r.ss.Detach()
		}
		r.auditChunks()
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
	})
	var transport wsk.Transport = dp
	if o.daemon {
		transport = servicetest.Over(t, dp, r.lab.A.If.Name(), r.interfaceName, dp.Recheck)
		t.Cleanup(func() { // the client's end comes behind that of the sockets
			r.settle()
			r.ss.Detach()
		})
	}
	if status := r.ss.Attach(transport, o.provider); status != wsk.STATUS_SUCCESS {
		t.Fatalf("attach: %v", status)
	}
	return r
}

// interfaceName is the name of an interface of A.
func (r *rig) interfaceName(index uint32) string {
	if int(index) == r.lab.A.If.Index() {
		return r.lab.A.If.Name()
	}
	return ""
}

// auditChunks checks that every chunk is back when no IRP is pending and no indication is kept, and that no completion
// came for a chunk that was not out.
func (r *rig) auditChunks() {
	r.t.Helper()
	settled := func() bool {
		for _, q := range r.dp.Info().Queues {
			if q.InFlight != 0 || q.Waiting != 0 || q.Receive != nil && q.Receive.Lent != 0 {
				return false
			}
		}
		return true
	}
	testenv.Eventually(r.t, waitLimit, "the chunks to come back", settled)
	for _, q := range r.dp.Info().Queues {
		if want := min(int(q.Granted.TxChunks), int(q.Granted.TxRing)-1); q.Free != want || q.Foreign != 0 || q.Unpinned != 0 {
			r.t.Errorf("%s queue %d: %d of %d chunks in the pool, %d foreign completions, %d unplaced drops", q.Interface, q.Queue,
				q.Free, want, q.Foreign, q.Unpinned)
		}
		if q.Receive != nil && q.Receive.Foreign != 0 {
			r.t.Errorf("%s queue %d: %d foreign descriptors", q.Interface, q.Queue, q.Receive.Foreign)
		}
	}
}

// checkArrivals checks that the datagrams came through AF_XDP if there is an XDP program, and otherwise through the
// companion sockets. So a replay can't prove one way by the other.
func (r *rig) checkArrivals() {
	r.t.Helper()
	var byXDP uint64
	info := r.dp.Info()
	for _, q := range info.Queues {
		if q.Receive != nil {
			byXDP += q.Receive.Delivered
		}
	}
	if r.xdp && byXDP == 0 || !r.xdp && (byXDP != 0 || info.CompanionReceived == 0) {
		r.t.Errorf("%d datagrams came through AF_XDP and %d through the companion sockets", byXDP, info.CompanionReceived)
	}
}

// a and b are addresses of the two hosts.
func (r *rig) a(six bool) netip.Addr { return hostAddr(r.lab.A, six) }
func (r *rig) b(six bool) netip.Addr { return hostAddr(r.lab.B, six) }

func hostAddr(h *testenv.Host, six bool) netip.Addr {
	if six {
		return h.IPv6()
	}
	return h.IPv4()
}

func second(six bool) netip.Addr {
	if six {
		return secondSource.v6.Addr()
	}
	return secondSource.v4.Addr()
}

func version(six bool) string {
	if six {
		return "IPv6"
	}
	return "IPv4"
}

// register is WskRegister and an infinite WskCaptureProviderNPI.
func (r *rig) register(registration *wsk.Registration, npi *wsk.ProviderNPI) {
	r.t.Helper()
	client := &wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}
	if status := r.ss.Register(client, registration); status != wsk.STATUS_SUCCESS {
		r.t.Fatalf("WskRegister: %v", status)
	}
	if status := wsk.CaptureProviderNPI(registration, wsk.WSK_INFINITE_WAIT, npi); status != wsk.STATUS_SUCCESS {
		r.t.Fatalf("WskCaptureProviderNPI: %v", status)
	}
}

// mapped is the address in the form that a dual-stack socket needs: an IPv4 one is v4-mapped.
func mapped(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(ap.Addr().As16()), ap.Port())
}

func unmapped(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// pattern is n bytes that show their position and, by the seed, their datagram.
func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + seed*13)
	}
	return b
}
