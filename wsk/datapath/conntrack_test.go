// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/firewall"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// echoes answers every datagram to some ports of a host, and returns the ports.
func echoes(t *testing.T, h *testenv.Host, a netip.Addr, n int) (ports []netip.AddrPort) {
	t.Helper()
	for range n {
		var conn *net.UDPConn
		err := h.NS.Do(func() (err error) {
			conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		ports = append(ports, netip.AddrPortFrom(local.Addr().Unmap(), local.Port()))
		go func() {
			buf := make([]byte, 2048)
			for {
				n, from, err := conn.ReadFromUDPAddrPort(buf)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
			}
		}()
	}
	return ports
}

func applyRules(t *testing.T, ns *testenv.Namespace, chains ...firewall.Chain) {
	t.Helper()
	if err := firewall.Apply(ns, nftables.TableFamilyINet, chains...); err != nil {
		t.Fatal(err)
	}
}

// TestAnswersThroughFirewall: under a firewall that lets in only what belongs to a connection every datagram is answered, from the
// first one on, with AF_XDP or the kernel's stack receiving and in both families; of each flow the kernel sends the first alone.
//
// I13.
func TestAnswersThroughFirewall(t *testing.T) {
	for _, tc := range []struct {
		name     string
		v6       bool
		xdp, off bool
	}{
		{name: "IPv4"}, {name: "IPv6", v6: true}, {name: "received by AF_XDP", xdp: true}, {name: "IPv6 received by AF_XDP", v6: true, xdp: true},
		{name: "left alone", off: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			need, opts := testenv.NetNS|testenv.AFXDP, Options{NoConntrack: tc.off}
			if tc.xdp {
				need, opts.Receive = need|testenv.XDPProgram, []string{"wsk0"}
			}
			testenv.Require(t, need)
			lab := testenv.NewLabT(t, testenv.Topology{})
			applyRules(t, lab.A.NS, firewall.Stateful())
			opts.NetNS, opts.Logger = lab.A.NS.FD(), testLogger(t)
			dp, err := Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			x := &tap{Datapath: dp, t: t}
			c := newClientOver(t, dp, x)
			local, peer := "0.0.0.0:0", lab.B.IPv4()
			if tc.v6 {
				local, peer = "[::]:0", lab.B.IPv6()
			}
			const flows, each = 6, 5
			sent := 0
			for _, to := range echoes(t, lab.B, peer, flows) {
				// A socket of its own for each: what is bound has to be answered at once.
				s := c.socket(local)
				for i := range each {
					status := sendOne(t, s, whole(fmt.Appendf(nil, "%v %d", to, i)), wsk.NewSockaddr(to), nil)
					mustSucceed(t, "send", status)
					sent++
					if !tc.off {
						x.last().wait(1)
					}
				}
			}
			want := uint64(flows)
			if tc.xdp || tc.off {
				want = 0
			}
			info := dp.Info()
			if info.Opened != want || info.SlowSent != want || frames(info) != uint64(sent)-want {
				t.Errorf("opened %d, slow %d, frames %d of %d, want %d by the kernel", info.Opened, info.SlowSent, frames(info), sent, want)
			}
			if !tc.off {
				return
			}
			// The last answer has come when that of the kernel's own, which the firewall lets in, has.
			if err := kernelAsks(lab.A.NS, echoes(t, lab.B, peer, 1)[0]); err != nil {
				t.Fatal(err)
			}
			if n := x.last().count(); n != 0 {
				t.Errorf("%d answers without the kernel knowing of a question", n)
			}
		})
	}
}

// frames is how many frames AF_XDP has sent.
func frames(info Info) (n uint64) {
	for _, q := range info.Queues {
		n += q.Completed
	}
	return n
}

// kernelAsks sends a datagram by a socket of the kernel and waits for the answer.
func kernelAsks(ns *testenv.Namespace, to netip.AddrPort) error {
	return ns.Do(func() error {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(testenv.Patience(waitLimit))); err != nil {
			return err
		}
		if _, err := conn.Write([]byte("kernel")); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 100))
		return err
	})
}

// TestFirewallLaterOn: when a firewall comes up under a flow that is in use, its answers come in again within seconds.
func TestFirewallLaterOn(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	dp, err := Open(Options{NetNS: lab.A.NS.FD(), Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	x := &tap{Datapath: dp, t: t}
	c := newClientOver(t, dp, x)
	to := echoes(t, lab.B, lab.B.IPv4(), 1)[0]
	s := c.socket("0.0.0.0:0")
	ask := func() {
		mustSucceed(t, "send", sendOne(t, s, whole([]byte("ask")), wsk.NewSockaddr(to), nil))
	}
	ask()
	x.last().wait(1)
	if n := dp.Info().Opened; n != 0 {
		t.Fatalf("%d datagrams by the kernel without a firewall", n)
	}
	applyRules(t, lab.A.NS, firewall.Stateful())
	eventually(t, "an answer", func() bool {
		ask()
		return len(x.last().take()) > 0
	})
	eventually(t, "the count of it", func() bool { return dp.Info().Opened > 0 })
	if n := dp.Info().Opened; n != 1 {
		t.Errorf("%d datagrams by the kernel", n)
	}
}

// TestFirewallRefuses: what the rules for output forbid ends as the kernel's own socket would have it, and the rest is sent.
func TestFirewallRefuses(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{NoIPv6: true}, Options{})
	ports := echoes(t, lab.B, lab.B.IPv4(), 2)
	applyRules(t, lab.A.NS, firewall.Stateful(),
		firewall.Chain{Hook: nftables.ChainHookOutput, Rules: []firewall.Rule{firewall.DropPort(ports[0].Port())}})
	if err := kernelAsks(lab.A.NS, ports[0]); !errors.Is(err, unix.EPERM) {
		t.Fatalf("the kernel's socket: %v", err)
	}
	s := c.socket("0.0.0.0:0")
	for range 3 {
		if status := sendOne(t, s, whole([]byte("x")), wsk.NewSockaddr(ports[0]), nil); status != wsk.STATUS_ACCESS_DENIED {
			t.Errorf("to the port that is forbidden: %v", status)
		}
		mustSucceed(t, "to the other", sendOne(t, s, whole([]byte("x")), wsk.NewSockaddr(ports[1]), nil))
	}
	if info := c.dp.Info(); info.Opened != 1 || info.SlowFailed != 3 || frames(info) != 2 {
		t.Errorf("%+v", info)
	}
}

// TestTranslatedStaysWithTheKernel: every datagram of a flow that the kernel translates arrives where, and as, its own do.
func TestTranslatedStaysWithTheKernel(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{NoIPv6: true}, Options{})
	const snat, dnat, plain = 1001, 1002, 1003
	second := netip.MustParseAddr("10.77.0.22")
	if err := lab.A.If.AddAddr(netip.MustParsePrefix("10.77.0.11/24")); err != nil {
		t.Fatal(err)
	}
	if err := lab.B.If.AddAddr(netip.PrefixFrom(second, 24)); err != nil {
		t.Fatal(err)
	}
	err := firewall.Apply(lab.A.NS, nftables.TableFamilyIPv4,
		firewall.Chain{Hook: nftables.ChainHookPostrouting, NAT: true, Rules: []firewall.Rule{firewall.SourceNAT(snat, netip.MustParseAddr("10.77.0.11"))}},
		firewall.Chain{Hook: nftables.ChainHookOutput, NAT: true, Rules: []firewall.Rule{firewall.DestinationNAT(dnat, second)}})
	if err != nil {
		t.Fatal(err)
	}
	s := c.socket("0.0.0.0:0")
	const each = 4
	for _, port := range []uint16{snat, dnat, plain} {
		at, from := lab.B.IPv4(), lab.A.IPv4()
		switch port {
		case snat:
			from = netip.MustParseAddr("10.77.0.11")
		case dnat:
			at = second
		}
		r := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(at, port), testenv.UDPReceiverOptions{})
		for i := range each {
			mustSucceed(t, "send", sendOne(t, s, whole([]byte{byte(i)}), sockaddr(lab.B.IPv4(), port), nil))
		}
		got, err := r.Wait(t.Context(), each)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range got {
			if d.Source.Addr() != from || d.Payload[0] != byte(i) {
				t.Errorf("port %d: datagram %d from %v, want %v", port, d.Payload[0], d.Source, from)
			}
		}
	}
	if info := c.dp.Info(); info.SlowReasons["nat"] == 0 || frames(info) != each-1 || info.SlowSent != 2*each+1 {
		t.Errorf("slow %v, frames %d, %d by the kernel", info.SlowReasons, frames(info), info.SlowSent)
	}
}

// shortLived tracks connections that expire quickly.
type shortLived struct{ timeout time.Duration }

func (shortLived) InUse(netip.Addr) bool                                   { return true }
func (s shortLived) Timeout() time.Duration                                { return s.timeout }
func (shortLived) Translates(netip.AddrPort, netip.AddrPort) (bool, error) { return false, nil }

// TestOpeningKeepsOrder: while the kernel sends one datagram every few milliseconds, among those of AF_XDP at full rate, a flow
// arrives in the order of its calls, and nothing is lost.
func TestOpeningKeepsOrder(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{NoIPv6: true}, Options{})
	c.dp.senders.Tracking = shortLived{6 * time.Millisecond}
	r := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 9000), testenv.UDPReceiverOptions{})
	s := c.socket("0.0.0.0:0")
	to := sockaddr(lab.B.IPv4(), 9000)
	var failed atomic.Int64
	window := make(chan struct{}, 1000)
	sent := uint32(0)
	for ; c.dp.Info().Opened < 20; sent++ {
		if sent%1000 == 0 { // no more on its way than the receiver's buffer holds
			if _, err := r.Wait(t.Context(), int(max(sent, 2000)-2000)); err != nil {
				t.Fatal(err)
			}
		}
		window <- struct{}{}
		irp := wsk.AllocateIRP()
		irp.SetCompletionRoutine(func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
			if irp.IoStatus.Status != wsk.STATUS_SUCCESS {
				failed.Add(1)
			}
			<-window
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}, nil, true, true, true)
		s.SendTo(whole(binary.BigEndian.AppendUint32(nil, sent)), 0, to, nil, irp)
		for _, ep := range c.dp.endpoints.list() {
			ep.source.Tend(time.Now()) // as the janitor does every second
		}
	}
	got, err := r.Wait(t.Context(), int(sent))
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range got {
		if n := binary.BigEndian.Uint32(d.Payload); n != uint32(i) {
			t.Fatalf("datagram %d arrived as the %dth of %d", n, i, sent)
		}
	}
	if info := c.dp.Info(); failed.Load() != 0 || frames(info) == 0 {
		t.Errorf("%d failed, %d frames by AF_XDP", failed.Load(), frames(info))
	}
	t.Logf("%d datagrams, %d of them by the kernel", sent, c.dp.Info().Opened)
}
