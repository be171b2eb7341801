// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestPortsComeAndGo(t *testing.T) {
	p := loadT(t, Options{})
	must(t, p.SetSocket(0, socketT(t)), p.SetLocalAddresses(addrs("10.77.0.2")))
	expect := func(dst string, want Reason) {
		t.Helper()
		if got := run(t, p, to(dst).bytes(), nil); got != want {
			t.Errorf("%s: judged %v, want %v", dst, got, want)
		}
	}
	expect("10.77.0.2:4433", ReasonNoPort)
	must(t, p.AddPort(key("0.0.0.0:4433"), 0))
	expect("10.77.0.2:4433", ReasonRedirected)
	expect("224.0.0.1:4433", ReasonGroup)
	must(t, p.AddPort(key("0.0.0.0:4433"), MatchMulticast))
	expect("224.0.0.1:4433", ReasonRedirected)
	must(t, p.AddPort(key("0.0.0.0:4433"), 0))
	expect("224.0.0.1:4433", ReasonGroup)
	// An exact entry stands on its own beside the one for any address.
	must(t, p.AddPort(key("10.77.0.2:4433"), 0), p.RemovePort(key("0.0.0.0:4433")))
	expect("10.77.0.2:4433", ReasonRedirected)
	must(t, p.RemovePort(key("10.77.0.2:4433")))
	expect("10.77.0.2:4433", ReasonNoPort)
	must(t, p.RemovePort(key("10.77.0.2:4433")))
}

func TestPortErrors(t *testing.T) {
	p := loadT(t, Options{MaxPorts: 2})
	must(t, p.AddPort(key("10.0.0.1:1"), 0), p.AddPort(key("10.0.0.1:2"), 0))
	if err := p.AddPort(key("10.0.0.1:3"), 0); !errors.Is(err, ErrFull) {
		t.Errorf("third of two ports: %v, want ErrFull", err)
	}
	must(t, p.AddPort(key("10.0.0.1:2"), MatchBroadcast)) // not a new one
	if err := p.AddPort(key("10.0.0.1:0"), 0); !errors.Is(err, ErrInvalidAddress) {
		t.Errorf("port 0: %v, want ErrInvalidAddress", err)
	}
	if err := p.RemovePort(Key{}); !errors.Is(err, ErrInvalidAddress) {
		t.Errorf("zero key: %v, want ErrInvalidAddress", err)
	}
	if err := p.AddPort(key("10.0.0.1:1"), 4); err == nil {
		t.Error("unknown flag was accepted")
	}
}

// dumpLocal reads wskxdp_local back from the kernel.
func dumpLocal(t *testing.T, p *Program) map[netip.Addr]addressKind {
	t.Helper()
	out := map[netip.Addr]addressKind{}
	var k wskxdpWskxdpKey
	var kind addressKind
	it := p.maps.WskxdpLocal.Iterate()
	for it.Next(&k, &kind) {
		for _, a := range addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.255", "fd77::1", "fe80::1") {
			if e, _ := encodeAddr(a, 0); e == k {
				out[a] = kind
			}
		}
	}
	must(t, it.Err())
	return out
}

func TestAddressesAreReplaced(t *testing.T) {
	p := loadT(t, Options{MaxAddresses: 4})
	a := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	type want = map[netip.Addr]addressKind
	expect := func(w want) {
		t.Helper()
		if diff := cmp.Diff(w, dumpLocal(t, p), cmp.Comparer(func(x, y netip.Addr) bool { return x == y })); diff != "" {
			t.Errorf("addresses in the kernel (-want +got):\n%s", diff)
		}
	}
	must(t, p.SetLocalAddresses(addrs("127.0.0.1", "::1", "10.0.0.1", "fd77::1", "fe80::1%wsk0")))
	first := want{a("10.0.0.1"): kindUnicast, a("fd77::1"): kindUnicast, a("fe80::1"): kindUnicast}
	expect(first)
	must(t, p.SetBroadcastAddresses(addrs("10.0.0.255")))
	first[a("10.0.0.255")] = kindBroadcast
	expect(first)
	// All of a full set can be replaced at once.
	must(t, p.SetLocalAddresses(addrs("10.0.0.2", "10.0.0.3", "fd77::1", "fd77::1")))
	second := want{a("10.0.0.2"): kindUnicast, a("10.0.0.3"): kindUnicast, a("fd77::1"): kindUnicast, a("10.0.0.255"): kindBroadcast}
	expect(second)

	for _, bad := range []string{"0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:10.0.0.1"} {
		if err := p.SetLocalAddresses(addrs("10.0.0.1", bad)); !errors.Is(err, ErrInvalidAddress) {
			t.Errorf("local address %s: %v, want ErrInvalidAddress", bad, err)
		}
	}
	if err := p.SetLocalAddresses([]netip.Addr{{}}); !errors.Is(err, ErrInvalidAddress) {
		t.Errorf("zero address: %v, want ErrInvalidAddress", err)
	}
	if err := p.SetBroadcastAddresses(addrs("fd77::1")); !errors.Is(err, ErrInvalidAddress) {
		t.Errorf("IPv6 broadcast: %v, want ErrInvalidAddress", err)
	}
	if err := p.SetLocalAddresses(addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd77::1")); !errors.Is(err, ErrFull) {
		t.Errorf("fifth of four addresses: %v, want ErrFull", err)
	}
	expect(second)

	// What is a broadcast address and an own one is an own one, and falls back when it is no longer.
	must(t, p.SetLocalAddresses(addrs("10.0.0.255")))
	expect(want{a("10.0.0.255"): kindUnicast})
	must(t, p.SetLocalAddresses(nil))
	expect(want{a("10.0.0.255"): kindBroadcast})
	must(t, p.SetBroadcastAddresses(nil))
	expect(want{})
	// One that went comes back.
	must(t, p.SetLocalAddresses(addrs("10.0.0.2")))
	expect(want{a("10.0.0.2"): kindUnicast})
}

// TestAddressThatStaysIsNeverMissing changes the set around an address as fast as it can while frames to it arrive.
func TestAddressThatStaysIsNeverMissing(t *testing.T) {
	p := loadT(t, Options{})
	must(t, p.SetSocket(0, socketT(t)), p.AddPort(key("0.0.0.0:4433"), 0), p.SetLocalAddresses(addrs("10.77.0.2")))
	stop := make(chan struct{})
	var changer sync.WaitGroup
	changer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := p.SetLocalAddresses(addrs(fmt.Sprintf("10.77.1.%d", i%200+1), "10.77.0.2")); err != nil {
				t.Error(err)
				return
			}
		}
	})
	frame := to("10.77.0.2:4433").bytes()
	for range 2000 {
		if got := run(t, p, frame, nil); got != ReasonRedirected {
			t.Errorf("judged %v", got)
			break
		}
	}
	close(stop)
	changer.Wait()
}

func TestVLANsAreReplaced(t *testing.T) {
	p := loadT(t, Options{})
	must(t, p.SetSocket(0, socketT(t)), p.AddPort(key("10.77.0.2:4433"), 0))
	for _, set := range [][]uint16{nil, {5}, {5, 6, 64, 4094}, {6}, {0}, nil} {
		must(t, p.SetVLANs(set))
		for _, vlan := range []uint16{0, 5, 6, 63, 64, 65, 4094, 4095} {
			want := ReasonVLAN
			for _, v := range append([]uint16{0}, set...) {
				if v == vlan {
					want = ReasonRedirected
				}
			}
			if got := run(t, p, to("10.77.0.2:4433").tagged(vlan).bytes(), nil); got != want {
				t.Errorf("VLAN %d with %v: judged %v, want %v", vlan, set, got, want)
			}
		}
	}
	if err := p.SetVLANs([]uint16{4095}); err == nil {
		t.Error("the reserved VLAN 4095 was accepted")
	}
}

// TestQueues: a frame goes to the socket of the queue that it arrived on, and passes where there is none.
func TestQueues(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	if !testenv.KernelAtLeast(5, 14) {
		t.Skip("BPF_PROG_TEST_RUN takes no queue before Linux 5.14")
	}
	lab := testenv.NewLabT(t, testenv.Topology{B: testenv.End{RX: 4, TX: 4}})
	p := loadT(t, Options{Queues: 3})
	must(t, p.AddPort(key("10.77.0.2:4433"), 0), p.SetSocket(0, socketT(t)), p.SetSocket(2, socketT(t)))
	frame := to("10.77.0.2:4433").bytes()
	expect := func(want ...Reason) {
		t.Helper()
		must(t, lab.B.NS.Do(func() error {
			for q, want := range want {
				ctx := &xdpContext{IngressIfindex: uint32(lab.B.If.Index()), RxQueueIndex: uint32(q)}
				if got := run(t, p, frame, ctx); got != want {
					t.Errorf("queue %d: judged %v, want %v", q, got, want)
				}
			}
			return nil
		}))
	}
	// Queue 3 is beyond the program's map.
	expect(ReasonRedirected, ReasonNoSocket, ReasonRedirected, ReasonNoSocket)
	must(t, p.ClearSocket(0), p.ClearSocket(0), p.SetSocket(1, socketT(t)))
	expect(ReasonNoSocket, ReasonRedirected, ReasonRedirected, ReasonNoSocket)
}

func TestSocketErrors(t *testing.T) {
	p := loadT(t, Options{Queues: 2})
	for _, q := range []int{-1, 2, 1 << 20} {
		if err := p.SetSocket(q, socketT(t)); !errors.Is(err, ErrNoQueue) {
			t.Errorf("set queue %d: %v, want ErrNoQueue", q, err)
		}
		if err := p.ClearSocket(q); !errors.Is(err, ErrNoQueue) {
			t.Errorf("clear queue %d: %v, want ErrNoQueue", q, err)
		}
	}
	udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(udp)
	if err := p.SetSocket(0, udp); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("UDP socket: %v, want EOPNOTSUPP", err)
	}
	if err := p.SetSocket(0, -1); !errors.Is(err, unix.EBADF) {
		t.Errorf("descriptor -1: %v, want EBADF", err)
	}
}

// TestClosedSocketLeavesItsSlot: the kernel empties the slot of a socket that is closed, so that frames pass again.
func TestClosedSocketLeavesItsSlot(t *testing.T) {
	p := loadT(t, Options{})
	fd := bareSocket(t)
	must(t, p.SetSocket(0, fd), p.AddPort(key("10.77.0.2:4433"), 0))
	if got := run(t, p, to("10.77.0.2:4433").bytes(), nil); got != ReasonRedirected {
		t.Errorf("judged %v", got)
	}
	must(t, unix.Close(fd))
	if got := run(t, p, to("10.77.0.2:4433").bytes(), nil); got != ReasonNoSocket {
		t.Errorf("after close judged %v, want %v", got, ReasonNoSocket)
	}
}

func TestAfterClose(t *testing.T) {
	p := loadT(t, Options{})
	must(t, p.Close(), p.Close())
	_, countersErr := p.Counters()
	_, attachErr := p.Attach(1, Auto)
	for name, err := range map[string]error{
		"AddPort":               p.AddPort(key("10.0.0.1:1"), 0),
		"RemovePort":            p.RemovePort(key("10.0.0.1:1")),
		"SetLocalAddresses":     p.SetLocalAddresses(nil),
		"SetBroadcastAddresses": p.SetBroadcastAddresses(nil),
		"SetVLANs":              p.SetVLANs(nil),
		"SetSocket":             p.SetSocket(0, 0),
		"ClearSocket":           p.ClearSocket(0),
		"Counters":              countersErr,
		"Attach":                attachErr,
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}

// TestVerifierErrorIsKept loads a program that reads a register before it wrote it.
func TestVerifierErrorIsKept(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	opts := Options{}.withDefaults()
	spec, err := opts.spec()
	must(t, err)
	spec.Programs[wskxdpProgWskxdp].Instructions = asm.Instructions{asm.Return()}
	err = memlock.Lift(func() error {
		_, err := loadSpec(spec, opts, false)
		return err
	})
	var refused *ebpf.VerifierError
	if !errors.As(err, &refused) || len(refused.Log) == 0 {
		t.Errorf("%v: want an *ebpf.VerifierError with a log", err)
	}
}

// TestFallsBackWithoutFrags: where the kernel refuses the frags variant the plain one is loaded, and the reason is kept.
func TestFallsBackWithoutFrags(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	p, err := loadPreferred(Options{}.withDefaults(), func(spec *ebpf.CollectionSpec, opts Options, frags bool) (*Program, error) {
		if frags {
			return nil, unix.EINVAL
		}
		return loadSpec(spec, opts, frags)
	})
	must(t, err)
	defer p.Close()
	if frags, why := p.Frags(); frags || !errors.Is(why, unix.EINVAL) {
		t.Errorf("frags = %v, %v", frags, why)
	}
	if got := run(t, p, to("10.77.0.2:4433").bytes(), nil); got != ReasonNoPort {
		t.Errorf("judged %v", got)
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range NumReasons {
		if s := r.String(); s == "" || seen[s] || strings.ToLower(s) != s {
			t.Errorf("reason %d: name %q", uint32(r), s)
		} else {
			seen[s] = true
		}
	}
	if got := NumReasons.String(); got != "reason 19" {
		t.Errorf("beyond the last: %q", got)
	}
}
