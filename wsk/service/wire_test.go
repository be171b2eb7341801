// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// wire is a server over AF_XDP on one end of a veth pair.
type wire struct {
	*bench
	lab *testenv.Lab
	dp  *datapath.Datapath
}

func newWire(t testing.TB, grant string, options ...func(*datapath.Options)) *wire {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	o := datapath.Options{NetNS: lab.A.NS.FD()}
	for _, f := range options {
		f(&o)
	}
	dp, err := datapath.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{lab: lab, dp: dp}
	w.bench = &bench{t: t, policy: policy.NewCurrent(parsePolicy(t, policyHead+grant))}
	w.server, err = service.New(service.Config{
		Transport: dp, Policy: w.policy, Recheck: dp.Recheck, Version: "test",
		Interface: func(index uint32) string {
			if int(index) == lab.A.If.Index() {
				return "eth0"
			}
			return ""
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.listen("default")
	t.Cleanup(func() {
		w.stop()
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// stop ends the server and looks at what is left of its grants.
func (w *wire) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.server.Shutdown(ctx)
	w.serving.Wait()
	for _, g := range w.server.Statistics().Grants {
		if u := g.Usage; u.Sessions != 0 || u.Sockets != 0 || u.Inflight != 0 || u.Destinations != 0 || u.Memory != 0 {
			w.t.Errorf("left of grant %s: %+v", g.Name, u)
		}
	}
}

// TestWire: datagrams leave as the entry says and come back, in both families.
func TestWire(t *testing.T) {
	w := newWire(t, generous)
	c := w.hello()
	for i, ends := range [][2]netip.Addr{{w.lab.A.IPv4(), w.lab.B.IPv4()}, {w.lab.A.IPv6(), w.lab.B.IPv6()}} {
		socket := uint32(i + 1)
		there := testenv.NewUDPReceiverT(t, w.lab.B.NS, netip.AddrPortFrom(ends[1], 7000), testenv.UDPReceiverOptions{})
		local := c.open(socket, netip.AddrPortFrom(ends[0], 0).String())
		e := entry(1, there.Local().String())
		e.TTL, e.TOS = 33, 0x28
		if got := c.send(socket, "out", e)[1]; got.Status != 0 {
			t.Fatalf("%v: %v %v", ends[1], wsk.NTSTATUS(got.Status), got.Reason)
		}
		list, err := there.Wait(testenv.Context(t, patience), 1)
		if err != nil || string(list[0].Payload) != "out" || list[0].Source != local {
			t.Fatalf("%v, %+v", err, list)
		}
		c.credit(socket, 1)
		back := testenv.NewUDPSenderT(t, w.lab.B.NS, testenv.UDPSenderOptions{Source: netip.AddrPortFrom(ends[1], 7001)})
		if err := back.Send(local, []byte("back")); err != nil {
			t.Fatal(err)
		}
		if got := c.recv(socket, 1)[0]; string(got.Payload) != "back" || got.Port != 7001 || got.IfIndex != uint32(w.lab.A.If.Index()) {
			t.Errorf("%+v", got)
		}
	}
}

// TestPolicyOnTheWire: what the policy refuses does not leave, and asks no neighbour; what a reload refuses leaves no
// more.
func TestPolicyOnTheWire(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	w := newWire(t, "destination = [\"10.77.0.2:7000\"]\n")
	there := testenv.NewUDPReceiverT(t, w.lab.B.NS, netip.AddrPortFrom(w.lab.B.IPv4(), 7000), testenv.UDPReceiverOptions{})
	c := w.hello()
	c.open(1, netip.AddrPortFrom(w.lab.A.IPv4(), 0).String())
	status := func(to string) (wsk.NTSTATUS, ipc.Reason) {
		t.Helper()
		got := c.send(1, "x", entry(1, to))[1]
		return wsk.NTSTATUS(got.Status), got.Reason
	}
	for _, tt := range []struct {
		to     string
		reason ipc.Reason
	}{
		{there.Local().String(), 0},
		{netip.AddrPortFrom(w.lab.B.IPv4(), 7001).String(), ipc.ReasonDestination},
		{"10.77.0.99:7000", ipc.ReasonDestination}, // would be asked for by ARP
		{"127.0.0.1:7000", ipc.ReasonLocal},
		{netip.AddrPortFrom(w.lab.A.IPv4(), 7000).String(), ipc.ReasonLocal},
		{"239.1.2.3:7000", ipc.ReasonMulticast},
	} {
		if s, r := status(tt.to); r != tt.reason || (s == wsk.STATUS_SUCCESS) != (r == 0) {
			t.Errorf("%s: %v, %v, want %v", tt.to, s, r, tt.reason)
		}
	}
	w.reload("destination = [\"10.77.0.2:7001\"]\n")
	if s, r := status(there.Local().String()); s != wsk.STATUS_ACCESS_DENIED || r != ipc.ReasonDestination {
		t.Errorf("after the reload: %v, %v", s, r)
	}
	if err := there.WaitCount(testenv.Context(t, patience), 1); err != nil || there.Count() != 1 {
		t.Errorf("%d datagrams have come, %v", there.Count(), err)
	}
}

// TestOwners: sockets of one client share an address where they ask for it.
func TestOwners(t *testing.T) {
	w := newWire(t, generous)
	c := w.hello()
	at := netip.AddrPortFrom(w.lab.A.IPv4(), 7000).String()
	shared := openRequest(at)
	shared.Flags = ipc.OpenReuse
	c.must(c.ask(ipc.TypeOpen, 1, shared), nil)
	c.must(c.ask(ipc.TypeOpen, 2, shared), nil)
	// The same user through another listener is another owner.
	w.listen("other")
	other := w.hello()
	other.refused(other.ask(ipc.TypeOpen, 1, shared), wsk.STATUS_ADDRESS_ALREADY_EXISTS, ipc.ReasonPortInUse)
	c.must(c.ask(ipc.TypeClose, 1, nil), nil)
	c.must(c.ask(ipc.TypeClose, 2, nil), nil)
	other.must(other.ask(ipc.TypeOpen, 1, shared), nil)
}

// victimEnv makes the test binary a client that sends until it is killed.
const victimEnv = "WSK_SERVICE_TEST_VICTIM"

func init() {
	path, to := os.Getenv(victimEnv), os.Getenv(victimEnv+"_TO")
	if path == "" {
		return
	}
	victim(path, to)
	os.Exit(1)
}

// victim opens the port and keeps SENDs under way, to a destination that answers and to one that does not.
func victim(path, to string) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := &client{conn: conn, buf: make([]byte, ipc.MaxMessage)}
	write := func(b []byte) { _, _ = conn.Write(b) }
	write((&ipc.Hello{Features: allFeatures, MaxMessage: ipc.MaxMessage}).Append(ipc.Header{Type: ipc.TypeHello, Seq: 1}.Append(nil)))
	write(openRequest(os.Getenv(victimEnv + "_AT")).Append(ipc.Header{Type: ipc.TypeOpen, Seq: 2, Socket: 1}.Append(nil)))
	for opened := false; !opened; {
		n, err := conn.Read(c.buf)
		if err != nil || n == 0 {
			return
		}
		h, _, err := ipc.ParseAnswer(c.buf[:n])
		opened = err == nil && h.Type == ipc.TypeOpen.Reply()
	}
	c.seq = 10
	silent := netip.MustParseAddr("10.77.0.99")
	for under := 0; ; {
		for ; under < 8; under++ {
			entries := make([]ipc.Entry, 32)
			for i := range entries {
				entries[i] = entry(uint32(i), to)
			}
			entries[31] = entry(31, netip.AddrPortFrom(silent, 9).String())
			write(c.sendRequest(1, "to be killed", entries...))
		}
		n, err := conn.Read(c.buf)
		if err != nil || n == 0 {
			return
		}
		h, body, err := ipc.ParseAnswer(c.buf[:n])
		var d ipc.Done
		if err == nil && h.Type == ipc.TypeSend.Reply() && d.Decode(body) == nil && d.Left == 0 {
			under--
		}
	}
}

// TestKilledClient: a client that is killed with sends under way leaves nothing behind, and its port is free.
func TestKilledClient(t *testing.T) {
	w := newWire(t, generous)
	there := testenv.NewUDPReceiverT(t, w.lab.B.NS, netip.AddrPortFrom(w.lab.B.IPv4(), 7000), testenv.UDPReceiverOptions{})
	at := netip.AddrPortFrom(w.lab.A.IPv4(), 7070).String()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+w.path, victimEnv+"_TO="+there.Local().String(), victimEnv+"_AT="+at)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	if err := there.WaitCount(testenv.Context(t, patience), 100); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	testenv.Eventually(t, patience, "the session to end", func() bool { return w.server.Statistics().Sessions == 0 })
	t.Logf("all is back %v after the kill", time.Since(killed))
	for _, q := range w.dp.Info().Queues {
		if q.Submitted == 0 || q.InFlight != 0 || q.Waiting != 0 {
			t.Errorf("%d frames submitted; with the kernel still %d, and %d operations wait", q.Submitted, q.InFlight, q.Waiting)
		}
	}
	if u := w.server.Statistics().Grants[0].Usage; u.Inflight != 0 || u.Sockets != 0 || u.Memory != 0 || u.Destinations != 0 {
		t.Errorf("%+v", u)
	}
	c := w.hello()
	if got := c.open(1, at); got.String() != at {
		t.Errorf("bound to %v", got)
	}
}
