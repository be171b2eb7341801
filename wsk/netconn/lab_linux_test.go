// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/servicetest"
)

// afxdp opens a datapath at one end of a lab. It sends through AF_XDP and, with receive, receives through AF_XDP too;
// otherwise what comes is read from the kernel's sockets.
func afxdp(t testing.TB, end *testenv.Host, receive bool) (*datapath.Datapath, *wsk.ProviderNPI) {
	t.Helper()
	opts := datapath.Options{
		NetNS:      end.NS.FD(),
		Interfaces: []string{end.If.Name()},
		Logger:     slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if receive {
		opts.Receive = opts.Interfaces
	}
	dp, err := datapath.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
	})
	return dp, capture(t, dp)
}

// addresses are those of a lab's ends, by version of IP.
func addresses(lab *testenv.Lab) [][2]netip.Addr {
	return [][2]netip.Addr{{lab.A.IPv4(), lab.B.IPv4()}, {lab.A.IPv6(), lab.B.IPv6()}}
}

// TestLab is the suite over AF_XDP, with the kernel at the other end, and with AF_XDP there too.
func TestLab(t *testing.T) {
	for _, tc := range []struct {
		name             string
		needs            testenv.Capability
		receive, kernelB bool
		daemon           bool // between the connections and the datapath
	}{
		{"kernel peer", testenv.NetNS | testenv.AFXDP | testenv.XDPProgram, true, true, false},
		{"AF_XDP peer", testenv.NetNS | testenv.AFXDP | testenv.XDPProgram, true, false, false},
		{"kernel peer, sending only", testenv.NetNS | testenv.AFXDP, false, true, false},
		{"kernel peer, through a daemon", testenv.NetNS | testenv.AFXDP | testenv.XDPProgram, true, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			testenv.Require(t, tc.needs)
			lab := testenv.NewLabT(t, testenv.Topology{})
			dp, npi := afxdp(t, lab.A, tc.receive)
			if tc.daemon {
				name := func(index uint32) string {
					if int(index) == lab.A.If.Index() {
						return lab.A.If.Name()
					}
					return ""
				}
				npi = capture(t, servicetest.Over(t, dp, lab.A.If.Name(), name, dp.Recheck))
			}
			var npiB *wsk.ProviderNPI
			if !tc.kernelB {
				_, npiB = afxdp(t, lab.B, true)
			}
			all := addresses(lab)
			if tc.daemon { // one is enough: what differs between them is tested without it
				all = all[1:]
			}
			for _, addrs := range all {
				t.Run(addrs[0].String(), func(t *testing.T) {
					hosts := pctest.Hosts{A: host(addrs[0], npi), B: pctest.Kernel(addrs[1], lab.B.NS.Do), Refuses: true}
					if !tc.kernelB {
						hosts.B = host(addrs[1], npiB)
					}
					before := dp.Info()
					pctest.Run(t, hosts)
					judge(t, before, dp.Info(), tc.receive)
				})
			}
		})
	}
}

// judge checks that the datagrams went the way that the test is about: in each direction the suite exchanges some 5000
// that AF_XDP can carry, half as many where its storms, which go on for a time, find a slow machine, and fewer than a thousand that it
// leaves to the kernel (fragments, the host's own addresses).
func judge(t *testing.T, before, after datapath.Info, receive bool) {
	t.Helper()
	const many = 1000
	b, a := before.Queues[0], after.Queues[0]
	if sent := a.Submitted - b.Submitted; sent < many || a.Completed != a.Submitted || a.InFlight != 0 || a.Waiting != 0 {
		t.Errorf("AF_XDP sent %d frames: %+v", sent, a)
	}
	companion := after.CompanionReceived - before.CompanionReceived
	if !receive {
		if companion < many {
			t.Errorf("%d datagrams came through the companion sockets", companion)
		}
		return
	}
	got := after.Programs[0].Counters[bpf.ReasonRedirected] - before.Programs[0].Counters[bpf.ReasonRedirected]
	if got < many || companion > got/2 { // how many fragments there are differs with the moment
		t.Errorf("%d datagrams came through AF_XDP and %d through the companion sockets", got, companion)
	}
}
