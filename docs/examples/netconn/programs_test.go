// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/docs/examples/netconn/trial"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// secondary are addresses on the link of the laboratories that nobody has at first.
var secondary = [3]netip.Addr{
	netip.MustParseAddr("10.77.0.201"), netip.MustParseAddr("10.77.0.202"), netip.MustParseAddr("10.77.0.203"),
}

// limit is when a trial has failed that has not ended.
const limit = time.Minute

// kinds are those of the sockets at A and at B.
type kinds [][2]trial.Kind

// both are the sockets of package net at both ends, which is the judge, and those of wsknet at both.
func both(moved trial.Kind) kinds { return kinds{{trial.Net, trial.Net}, {moved, moved}} }

// each has those of wsknet at either end, too, and as the last some that receive through AF_XDP.
func each(moved trial.Kind) kinds {
	return append(both(moved), kinds{{moved, trial.Net}, {trial.Net, moved}, {trial.XDP, trial.XDP}}...)
}

// between runs a trial with sockets of all these kinds.
func between(
	t *testing.T, topology testenv.Topology, all kinds,
	f func(ctx context.Context, t *testing.T, lab *testenv.Lab, a, b *trial.End),
) {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	for _, kinds := range all {
		t.Run(kinds[0].String()+" to "+kinds[1].String(), func(t *testing.T) {
			if kinds[0] == trial.XDP {
				testenv.Require(t, testenv.XDPProgram)
			}
			lab := testenv.NewLabT(t, topology)
			f(testenv.Context(t, limit), t, lab, end(t, lab.A, kinds[0]), end(t, lab.B, kinds[1]))
		})
	}
}

func end(t *testing.T, host *testenv.Host, kind trial.Kind) *trial.End {
	t.Helper()
	e, err := trial.At(host, kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestQUIC: quic-go sends 4 MiB there and back. On the wire there is ECN on nearly everything, DF on everything, datagrams
// that path MTU discovery has made longer, and no fragment.
func TestQUIC(t *testing.T) {
	between(t, testenv.Topology{}, each(trial.Line), func(ctx context.Context, t *testing.T, lab *testenv.Lab, a, b *trial.End) {
		capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
		if err := trial.QUIC(ctx, a, b, 4<<20, nil); err != nil {
			t.Fatal(err)
		}
		if a.Kind == trial.XDP || b.Kind == trial.XDP {
			return // there is no frame at a tap that an XDP program takes
		}
		judge(t, capture)
	})
}

// TestQUICSurvives: a transfer goes on after the client's link has had no carrier, and after the next hop has answered no
// ARP.
func TestQUICSurvives(t *testing.T) {
	for _, o := range []trial.Outage{trial.NoCarrier, trial.Mute} {
		t.Run(o.Name, func(t *testing.T) {
			topology := testenv.Topology{Shape: testenv.Routed, NoIPv6: true}
			between(t, topology, both(trial.Line), func(ctx context.Context, t *testing.T, lab *testenv.Lab, a, b *trial.End) {
				took, err := trial.QUICThrough(ctx, lab, a, b, o)
				t.Logf("ended after %v", took)
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// judge looks at what the QUIC client has sent.
func judge(t *testing.T, capture *testenv.Capture) {
	t.Helper()
	packets, marked, forbidden, longest, fragments := 0, 0, 0, 0, 0
	for _, f := range capture.Frames() {
		p, err := testenv.Decode(f.Data)
		if err != nil || p.Version != 4 || p.Protocol != 17 {
			continue
		}
		if p.Fragment {
			fragments++
		}
		packets++
		if p.TOS&3 != 0 {
			marked++
		}
		if p.DontFragment {
			forbidden++
		}
		longest = max(longest, len(p.IPPayload)-8)
	}
	t.Logf("%d packets, %d with ECN, %d with DF, %d fragments, the longest payload %d", packets, marked, forbidden, fragments, longest)
	if packets == 0 || fragments != 0 || forbidden != packets || marked < packets*9/10 || longest <= 1280 {
		t.Error("see the line before")
	}
}

// TestDNS: miekg/dns serves on a wildcard, and answers at a secondary address from it: the clients' sockets are connected
// and hear from no other.
func TestDNS(t *testing.T) {
	between(t, testenv.Topology{}, each(trial.Stack), func(ctx context.Context, t *testing.T, lab *testenv.Lab, a, b *trial.End) {
		if err := lab.B.If.AddAddr(netip.PrefixFrom(secondary[0], 24)); err != nil {
			t.Fatal(err)
		}
		if err := trial.DNS(ctx, a, b, []netip.Addr{lab.B.IPv4(), secondary[0]}, 4, 50, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestWireGuard: TCP of the kernel, 4 MiB there and back, through a tunnel of wireguard-go.
func TestWireGuard(t *testing.T) {
	testenv.Require(t, testenv.Root) // /dev/net/tun
	between(t, testenv.Topology{}, each(trial.Stack), func(ctx context.Context, t *testing.T, lab *testenv.Lab, a, b *trial.End) {
		tunnel, err := trial.NewTunnel(a, b)
		if err != nil {
			t.Fatal(err)
		}
		defer tunnel.Close()
		if err := tunnel.TCP(ctx, 4<<20); err != nil {
			t.Error(err)
		}
	})
}

// TestFullTunnel: all that one host sends goes through the tunnel but what the tunnel sends itself, whose mark finds the way
// out.
func TestFullTunnel(t *testing.T) {
	testenv.Require(t, testenv.Root) // /dev/net/tun
	topology := testenv.Topology{Shape: testenv.Routed, NoIPv6: true}
	between(t, topology, both(trial.Stack), func(ctx context.Context, t *testing.T, lab *testenv.Lab, a, b *trial.End) {
		tunnel, err := trial.NewFullTunnel(a, b)
		if err != nil {
			t.Fatal(err)
		}
		defer tunnel.Close()
		if err := tunnel.TCP(ctx, 1<<20); err != nil {
			t.Error(err)
		}
	})
}

// TestICE: pion/ice finds the way to the other end though it is told of three candidates that do not exist and prefers
// them, and pion/dtls talks over it.
func TestICE(t *testing.T) {
	between(t, testenv.Topology{}, each(trial.Line), func(ctx context.Context, t *testing.T, lab *testenv.Lab, a, b *trial.End) {
		took, err := trial.ICE(ctx, a, b, secondary[:]...)
		t.Logf("connected after %v", took)
		if err != nil {
			t.Error(err)
		}
	})
}

// TestMemberlist: a node of memberlist notices that two of four have gone.
func TestMemberlist(t *testing.T) {
	between(t, testenv.Topology{}, each(trial.Line), func(ctx context.Context, t *testing.T, lab *testenv.Lab, a, b *trial.End) {
		took, err := trial.Memberlist(ctx, a, b, secondary)
		t.Logf("noticed after %v", took)
		if err != nil {
			t.Error(err)
		}
	})
}
