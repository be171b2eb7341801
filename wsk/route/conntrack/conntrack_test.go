// SPDX-License-Identifier: Apache-2.0

//go:build linux

package conntrack

import (
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/firewall"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func track(t *testing.T, ns *testenv.Namespace) *Tracker {
	t.Helper()
	var tr *Tracker
	must(t, ns.Do(func() error {
		tr = Open(slog.New(slog.DiscardHandler))
		return nil
	}))
	t.Cleanup(tr.Close)
	return tr
}

// fresh asks without what was found out before.
func (t *Tracker) fresh(local netip.Addr) bool {
	t.state.Store(new([2]look))
	return t.InUse(local)
}

// TestInUse: that connections are tracked shows although there are none, in each family by itself, whether lo is up or not, which
// it is in every second case, and as soon as a rule wants it.
func TestInUse(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	for i, tc := range []struct {
		name   string
		family nftables.TableFamily
		chain  firewall.Chain
		v4, v6 bool
	}{
		{"no rule", nftables.TableFamilyINet, firewall.Chain{Hook: nftables.ChainHookInput}, false, false},
		{"rules of ports", nftables.TableFamilyINet, firewall.Chain{Hook: nftables.ChainHookInput,
			Rules: []firewall.Rule{firewall.AcceptPort(9)}}, false, false},
		{"IPv4", nftables.TableFamilyIPv4, firewall.Stateful(), true, false},
		{"IPv6", nftables.TableFamilyIPv6, firewall.Stateful(), false, true},
		{"both", nftables.TableFamilyINet, firewall.Stateful(), true, true},
		{"NAT", nftables.TableFamilyIPv4, firewall.Chain{Hook: nftables.ChainHookPostrouting, NAT: true,
			Rules: []firewall.Rule{firewall.SourceNAT(9, netip.MustParseAddr("10.77.0.77"))}}, true, false},
		{"nothing may leave", nftables.TableFamilyINet, firewall.Chain{Hook: nftables.ChainHookOutput, Drop: true,
			Rules: []firewall.Rule{firewall.Established()}}, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host := testenv.NewLabT(t, testenv.Topology{}).A
			ns, v4, v6 := host.NS, host.IPv4(), host.IPv6()
			tr := track(t, ns)
			if tr.fresh(v4) || tr.fresh(v6) {
				t.Fatal("in use before there is a rule")
			}
			if i%2 == 1 {
				must(t, ns.Do(func() error {
					lo, err := netlink.LinkByName("lo")
					if err != nil {
						return err
					}
					return netlink.LinkSetDown(lo)
				}))
			}
			must(t, firewall.Apply(ns, tc.family, tc.chain))
			// What one family has put into the table shows in the other: that costs a datagram and no correctness.
			if got := tr.fresh(v4); got != tc.v4 {
				t.Errorf("IPv4: %v", got)
			}
			if got := tr.fresh(v6); got != tc.v6 && !tc.v4 {
				t.Errorf("IPv6: %v", got)
			}
			if got := tr.fresh(v4); got != (tc.v4 || tc.v6) {
				t.Errorf("IPv4 the second time: %v", got)
			}
		})
	}
}

// TestTranslates compares with what the kernel does to the flow.
func TestTranslates(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	other := netip.MustParseAddr("10.77.0.77")
	must(t, firewall.Apply(lab.A.NS, nftables.TableFamilyIPv4,
		firewall.Chain{Hook: nftables.ChainHookPostrouting, NAT: true, Rules: []firewall.Rule{firewall.SourceNAT(1001, other)}},
		firewall.Chain{Hook: nftables.ChainHookOutput, NAT: true, Rules: []firewall.Rule{firewall.DestinationNAT(1002, other)}}))
	tr := track(t, lab.A.NS)
	src := netip.AddrPortFrom(lab.A.IPv4(), 4567)
	fd, err := lab.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Port: int(src.Port()), Addr: src.Addr().As4()}))
	for port, want := range map[uint16]bool{1000: false, 1001: true, 1002: true} {
		dst := netip.AddrPortFrom(lab.B.IPv4(), port)
		if got, err := tr.Translates(src, dst); got || err != nil {
			t.Errorf("port %d before the first datagram: %v, %v", port, got, err)
		}
		must(t, unix.Sendto(fd, []byte("x"), 0, sockaddr(dst)))
		if got, err := tr.Translates(src, dst); got != want || err != nil {
			t.Errorf("port %d: %v, %v, want %v", port, got, err, want)
		}
	}
	if got := tr.Timeout(); got != 30*time.Second {
		t.Errorf("timeout %v", got)
	}
}

// TestClosed: nothing is in use, and nothing hangs.
func TestClosed(t *testing.T) {
	tr := Open(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	tr.Close()
	tr.Close()
	if tr.fresh(netip.MustParseAddr("127.0.0.1")) {
		t.Error("in use")
	}
	a := netip.MustParseAddrPort("127.0.0.1:1")
	if _, err := tr.Translates(a, a); err == nil {
		t.Error("known")
	}
}

// TestClosedMeanwhile closes while somebody reads the timeouts: a descriptor that is used then may be another file's. The
// race detector tells.
func TestClosedMeanwhile(t *testing.T) {
	for range 20 {
		tr := Open(slog.New(slog.DiscardHandler))
		begun, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for i := range 100 {
				if got := tr.Timeout(); got < leastTimeout {
					t.Errorf("timeout %v", got)
				}
				if i == 0 {
					close(begun)
				}
			}
		}()
		<-begun
		tr.Close()
		<-ended
	}
}

// FuzzStatusOf: whatever the kernel answers, nothing is read beyond it.
func FuzzStatusOf(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 8, 0, 3, 0, 0, 0, 1, 0x8a})
	f.Add([]byte{2, 0, 0, 0, 5, 0, 1, 0, 9})
	f.Fuzz(func(_ *testing.T, b []byte) { statusOf(b) })
}
