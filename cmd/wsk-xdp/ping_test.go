// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/echo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// patient is for tests that are not about what is late: a busy machine may take its time.
const patient = "--timeout=1m"

// startEcho runs an echo until stop is called, which returns what it left.
func startEcho(t *testing.T, args ...string) (stop func() result) {
	t.Helper()
	ctx, cancel := context.WithCancel(timeout(t))
	done := background(t, ctx, "kernel ", append([]string{"echo", "-q", "--json"}, args...)...)
	return func() result {
		cancel()
		return <-done
	}
}

// Every ping is answered and measured, in each engine of either end, over both versions of IP, and both ends say the same.
func TestPing(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	echoes := [][]string{nil}
	if testenv.Check(testenv.XDPProgram) == nil {
		echoes = append(echoes, []string{"--engine", "wsk", "-i", "wsk1"})
	}
	for _, engine := range echoes {
		stop := startEcho(t, append([]string{netnsB(l), ":9000"}, engine...)...)
		pings := uint64(0)
		for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
			to := netip.AddrPortFrom(host, testPort).String()
			for _, c := range []struct {
				n    uint64
				args []string
			}{
				{200, nil}, {200, []string{"--engine", "udp"}},
				{20, []string{"--payload-size", "3000", "--ttl", "9"}}, {20, []string{"--engine", "udp", "--payload-size", "3000", "--tos", "184"}},
			} {
				args := append([]string{"ping", netns, to, patient, "-r", "2k", "-c", fmt.Sprint(c.n), "-q", "--json"}, c.args...)
				r := cli(timeout(t), args...)
				r.want(t, 0, "measured from when each ping is due")
				pings += c.n
				checkPing(t, decode[ping.Report](t, r), c.n, fmt.Sprintf("%v, echo %v, %v", to, engine, c.args))
			}
		}
		r := stop()
		r.want(t, 0)
		doc := decode[echo.Report](t, r)
		if n := doc.Totals; n.Answered != pings || n.Packets != pings || n.Refused+n.Failed != 0 || !doc.Verdict.OK || !doc.Interrupted {
			t.Errorf("echo %v: %+v", engine, doc)
		}
		if attached := strings.Contains(strings.Join(doc.Warnings, ";"), "XDP program is on wsk1"); attached != (engine != nil) {
			t.Errorf("echo %v: warnings %q", engine, doc.Warnings)
		}
	}
}

// checkPing holds the report to n pings that were all answered.
func checkPing(t *testing.T, doc ping.Report, n uint64, what string) {
	t.Helper()
	c := doc.Totals
	if c.Due != n || c.Sent != n || c.Answered != n || c.Late+c.Lost+c.Failed+c.Unsent+c.Duplicate+c.Corrupt+c.Foreign != 0 {
		t.Errorf("%s: %+v", what, c)
		return
	}
	inBuckets := uint64(0)
	for _, b := range doc.Buckets {
		inBuckets += b.Pings
	}
	want := int64(n)
	if inBuckets != n || doc.HDR.RoundTrip == "" || doc.RoundTrip.Count != want || doc.FromSend.Count != want || doc.Departure.Count != want ||
		doc.RoundTrip.Max < doc.FromSend.Min {
		t.Errorf("%s: %+v, %+v", what, doc.RoundTrip, doc.Buckets)
	}
	if udp := doc.Config.Engine == "udp"; (doc.Path.Device == "") != udp {
		t.Errorf("%s: %+v, %+v", what, doc.Config, doc.Path)
	}
}

// The answer comes from the address that was asked, whichever of a host's it is, and the table says how it went.
func TestEchoAnswersFromTheAddressAsked(t *testing.T) {
	other := netip.MustParsePrefix("10.77.0.3/24")
	end := testenv.End{Addrs: []netip.Prefix{netip.MustParsePrefix("10.77.0.2/24"), other, netip.MustParsePrefix("fd77::2/64"), netip.MustParsePrefix("fd77::3/64")}}
	l, netns := lab(t, testenv.Topology{B: end})
	engines := [][]string{nil}
	if testenv.Check(testenv.XDPProgram) == nil {
		engines = append(engines, []string{"--engine", "wsk", "-i", "wsk1"})
	}
	for _, engine := range engines {
		stop := startEcho(t, append([]string{netnsB(l), ":9000"}, engine...)...)
		for _, to := range []string{"10.77.0.2:9000", "10.77.0.3:9000", "[fd77::2]:9000", "[fd77::3]:9000"} {
			for _, mine := range []string{"wsk", "udp"} {
				cli(timeout(t), "ping", netns, to, patient, "-c", "5", "-r", "1k", "-q", "--engine", mine).want(t, 0, "round trip", "p99.9", "since sent", "sent late")
			}
		}
		stop().want(t, 0)
	}
}

// lineByLine is standard error of a process, and lets wait for what it says.
type lineByLine struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lineByLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lineByLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start starts the program in a namespace.
func start(t *testing.T, ns *testenv.Namespace, program string, args ...string) (cmd *exec.Cmd, stdout *strings.Builder, stderr *lineByLine) {
	t.Helper()
	cmd, stdout, stderr = exec.CommandContext(timeout(t), program, args...), &strings.Builder{}, &lineByLine{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout, stderr
}

// intervals waits until a ping has told about so many more seconds.
func (l *lineByLine) intervals(t *testing.T, more int) {
	t.Helper()
	count := func() int { return strings.Count(l.String(), "s] sent ") }
	want := count() + more
	testenv.Eventually(t, time.Minute, "the next second of ping", func() bool { return count() >= want })
}

// pause stops a process for 150 ms. They begin when all its threads stand still, which takes its time beside other work.
func pause(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	must(t, cmd.Process.Signal(syscall.SIGSTOP))
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WSTOPPED, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
	time.Sleep(150 * time.Millisecond) // is what is measured
	must(t, cmd.Process.Signal(syscall.SIGCONT))
}

// A stop of either end, first of the echo, then of the ping itself, is in the times of all pings that were due meanwhile, and not
// of one. Each is 150 ms, so that at 1000 a second a hundred pings wait for 50 ms and longer.
func TestPingShowsStops(t *testing.T) {
	l, _ := lab(t, testenv.Topology{})
	program := binary(t)
	for _, engine := range []string{"wsk", "udp"} {
		t.Run(engine, func(t *testing.T) {
			answering, _, up := start(t, l.B.NS, program, "echo", ":9000")
			testenv.Eventually(t, time.Minute, "echo", func() bool { return strings.Contains(up.String(), "kernel ") })
			asking, stdout, stderr := start(t, l.A.NS, program, "ping", "10.77.0.2:9000", patient, "-r", "1k", "-d", "0", "--json", "--engine", engine)
			stderr.intervals(t, 1)
			pause(t, answering)
			stderr.intervals(t, 1)
			pause(t, asking)
			stderr.intervals(t, 1)
			for _, cmd := range []*exec.Cmd{asking, answering} {
				must(t, cmd.Process.Signal(syscall.SIGINT))
				if err := cmd.Wait(); err != nil {
					t.Fatalf("%v: %s%s", err, stderr, up)
				}
			}
			doc := decode[ping.Report](t, result{0, stdout.String(), stderr.String()})
			waited := uint64(0)
			for _, b := range doc.Buckets {
				if b.To > 50*time.Millisecond.Nanoseconds() {
					waited += b.Pings
				}
			}
			if waited < 2*99 || doc.RoundTrip.Max < 140*time.Millisecond.Nanoseconds() || !doc.Interrupted {
				t.Errorf("%d pings waited: %+v, %+v", waited, doc.RoundTrip, doc.Totals)
			}
			// What was sent waited for the echo, and not for the ping.
			if doc.FromSend.Max < 140*time.Millisecond.Nanoseconds() {
				t.Errorf("answered after %+v", doc.FromSend)
			}
			// Whether that limits the run depends on how long the answers took besides, which a busy machine decides.
			if doc.Departure.Max < 140*time.Millisecond.Nanoseconds() || doc.Totals.Stalled < 99 {
				t.Errorf("%d stalled: %+v, %s", doc.Totals.Stalled, doc.Departure, doc.Verdict.Text)
			}
		})
	}
}

// Where nobody answers, that is the error, with what is known about why.
func TestNobodyAnswers(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
		to := netip.AddrPortFrom(host, 9).String()
		for _, engine := range []string{"wsk", "udp"} {
			r := cli(timeout(t), "ping", netns, to, "-c", "5", "-r", "100", "--timeout", "2s", "-q", "--engine", engine, "--json")
			r.want(t, 1, "the port is closed", "none of 5 pings was answered")
			if doc := decode[ping.Report](t, r); doc.Totals.Lost != 5 || doc.Totals.Answered != 0 || doc.Verdict.ID != "port_closed" || doc.RoundTrip != nil {
				t.Errorf("%s: %+v", to, doc.Totals)
			}
		}
	}
	testenv.NewUDPReceiverT(t, l.B.NS, netip.AddrPortFrom(l.B.IPv4(), testPort), testenv.UDPReceiverOptions{})
	cli(timeout(t), "ping", netns, "10.77.0.2:9000", "-c", "5", "-r", "100", "--timeout", "300ms", "-q").want(t, 1, "is wsk-xdp echo there?")
	cli(timeout(t), "ping", netns, "10.77.0.99:9000", "-c", "5", "-r", "100", "--timeout", "20s", "-q").want(t, 1, "5 not sent because of an error", "nobody answers for the next hop")
	cli(timeout(t), "ping", netns, "10.77.0.255:9000", "-c", "5", "-q").want(t, 2, "is a group")
}

// Both ends work for a user without any privilege, by the kernel's sockets; a WSK socket falls back to them aloud.
func TestPingAsOrdinaryUser(t *testing.T) {
	testenv.Require(t, testenv.Root)
	l, _ := lab(t, testenv.Topology{})
	program := binary(t)
	as := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(timeout(t), program, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: testenv.OrdinaryUser(), Gid: testenv.OrdinaryUser()}}
		return cmd
	}
	answering := as("echo", ":9000")
	up := &lineByLine{}
	answering.Stderr = up
	if err := l.B.NS.Do(answering.Start); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, time.Minute, "echo", func() bool { return strings.Contains(up.String(), "kernel ") })
	for engine, part := range map[string]string{"udp": "engine udp", "wsk": "SLOW PATH"} {
		for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
			cmd := as("ping", netip.AddrPortFrom(host, testPort).String(), patient, "-c", "100", "-q", "--engine", engine, "--json")
			r := outcome(t, cmd, func(cmd *exec.Cmd) error { return l.A.NS.Do(cmd.Run) })
			r.want(t, 0, part)
			if doc := decode[ping.Report](t, r); doc.Totals.Answered != 100 || (doc.SlowPath.Sent > 0) != (engine == "wsk") {
				t.Errorf("%s, %v: %+v, %+v", engine, host, doc.Totals, doc.SlowPath)
			}
		}
	}
	if err := answering.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := answering.Wait(); err != nil {
		t.Error(err)
	}
	cmd := as("echo", ":9000", "--engine", "wsk", "-i", l.B.If.Name())
	outcome(t, cmd, func(cmd *exec.Cmd) error { return l.B.NS.Do(cmd.Run) }).want(t, 3, "engine wsk on port 9000")
}

// An echo says nothing to what it must not answer, and tells why.
func TestEchoLeavesAlone(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	engines := [][]string{nil}
	if testenv.Check(testenv.XDPProgram) == nil {
		engines = append(engines, []string{"--engine", "wsk", "-i", "wsk1"})
	}
	for _, engine := range engines {
		t.Run(strings.Join(append([]string{"udp"}, engine...), " "), func(t *testing.T) { testLeavesAlone(t, l, netns, engine) })
	}
}

func testLeavesAlone(t *testing.T, l *testenv.Lab, netns string, engine []string) {
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	answering, stdout, stderr := start(t, l.B.NS, binary(t), append([]string{"echo", ":9000", "--json"}, engine...)...)
	testenv.Eventually(t, time.Minute, "echo", func() bool { return strings.Contains(stderr.String(), "kernel ") })
	asked, answered := make([]byte, 18), make([]byte, 18)
	copy(asked, "\xd7\xa6")
	copy(answered, "\xd7\xa7")
	send := func(from uint16, to netip.AddrPort, payload []byte) {
		t.Helper()
		s, err := testenv.NewUDPSender(l.A.NS, testenv.UDPSenderOptions{Source: netip.AddrPortFrom(l.A.IPv4(), from)})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Send(to, payload), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	send(0, to, []byte("no ping"))
	send(0, to, answered)
	send(0, netip.MustParseAddrPort("10.77.0.255:9000"), asked)
	send(9000, to, asked)
	cli(timeout(t), "ping", netns, to.String(), patient, "-c", "1", "--engine", "udp", "-q").want(t, 0)
	testenv.Eventually(t, time.Minute, "every datagram to be judged", func() bool {
		return strings.Contains(stderr.String(), "answered 1  refused: 1 an answer, 1 from own port, 1 not a ping, 1 sent to group")
	})
	if err := errors.Join(answering.Process.Signal(syscall.SIGINT), answering.Wait()); err != nil {
		t.Fatal(err)
	}
	doc := decode[echo.Report](t, result{0, stdout.String(), stderr.String()})
	want := map[echo.Cause]uint64{echo.NotAPing: 1, echo.AnAnswer: 1, echo.ToGroup: 1, echo.OwnPort: 1}
	if !maps.Equal(doc.Totals.ByCause, want) || doc.Totals.Answered != 1 || doc.Totals.Packets != 5 || doc.Verdict.ID != "refused" {
		t.Errorf("%+v: %s", doc.Totals, doc.Verdict.Text)
	}
}

// A source that is the broadcast address of a network, which is forged, gets no answer: every host would.
func TestEchoAnswersNoBroadcast(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	for _, name := range []string{"all", "wsk1"} {
		if err := l.B.NS.Sysctl("ipv4/conf/"+name+"/rp_filter", "0"); err != nil { // the kernel lets it in then
			t.Fatal(err)
		}
	}
	engines := [][]string{nil}
	if testenv.Check(testenv.XDPProgram) == nil {
		engines = append(engines, []string{"--engine", "wsk", "-i", "wsk1"})
	}
	for _, engine := range engines {
		stop := startEcho(t, append([]string{netnsB(l), ":9000", "--any"}, engine...)...)
		cli(timeout(t), "blast", netns, "10.77.0.2:9000", "--engine", "frames", "--src", "10.77.0.255", "--src-port", "5000", "-n", "5", "-q").want(t, 0)
		cli(timeout(t), "ping", netns, "10.77.0.2:9000", patient, "-c", "1", "-q").want(t, 0)
		doc := decode[echo.Report](t, stop())
		if n := doc.Totals; n.Packets != 6 || n.Answered != 1 || n.Failed+n.Refused != 5 {
			t.Errorf("echo %v: %+v", engine, n)
		}
	}
}

// An echo is a way that is longer and loses: no answer comes before its time, and exactly the pings are lost that it says,
// in each engine.
func TestEchoDelaysAndDrops(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	const n, delay = 400, 30 * time.Millisecond
	path := echo.Path{Drop: units.PerCent(5), Seed: 3}
	dropped := uint64(0)
	for number := range uint64(n) {
		if path.Drops(number) {
			dropped++
		}
	}
	engines := [][]string{nil}
	if testenv.Check(testenv.XDPProgram) == nil {
		engines = append(engines, []string{"--engine", "wsk", "-i", "wsk1"})
	}
	for _, engine := range engines {
		stop := startEcho(t, append([]string{netnsB(l), ":9000", "--delay", "30ms", "--drop", "5%", "--seed", "3"}, engine...)...)
		r := cli(timeout(t), "ping", netns, "10.77.0.2:9000", "--timeout", "5s", "-r", "1k", "-c", fmt.Sprint(n), "-q", "--json")
		r.want(t, 0)
		doc := decode[ping.Report](t, r)
		if c := doc.Totals; c.Sent != n || c.Lost != dropped || c.Answered+c.Late != n-dropped || c.Reordered+c.Duplicate != 0 {
			t.Errorf("echo %v: %+v, %d were to be dropped", engine, c, dropped)
		}
		if doc.FromSend.Min < delay.Nanoseconds() {
			t.Errorf("echo %v: answered after %+v", engine, doc.FromSend)
		}
		r = stop()
		r.want(t, 0, "after 30ms", "5% of the pings dropped (seed 3)", "dropped, as was asked for")
		said := decode[echo.Report](t, r)
		if c := said.Totals; c.Packets != n || c.Dropped != dropped || c.Answered != n-dropped || c.Refused+c.Failed != 0 || !said.Verdict.OK {
			t.Errorf("echo %v: %+v, %+v", engine, c, said.Verdict)
		}
	}
	cli(timeout(t), "echo", netns, ":9000", "--delay", "2m").want(t, 2, "--delay 2m0s is more than 1m0s")
	cli(timeout(t), "echo", netns, ":9000", "--drop", "5").want(t, 2, "write 5% or 0.5%")
}

// Under a load each ping is measured as without, and both ends tell the load by itself, in each engine of either end.
func TestPingUnderLoad(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	engines := [][]string{nil}
	if testenv.Check(testenv.XDPProgram) == nil {
		engines = append(engines, []string{"--engine", "wsk", "-i", "wsk1"})
	}
	for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
		to := netip.AddrPortFrom(host, testPort).String()
		for _, engine := range engines {
			for _, mine := range []string{"wsk", "udp"} {
				stop := startEcho(t, append([]string{netnsB(l), ":9000"}, engine...)...)
				r := cli(timeout(t), "ping", netns, to, patient, "-r", "1k", "-c", "300", "--under-load", "5k", "-q", "--json", "--engine", mine)
				r.want(t, 0, "under a load of 5.000 kpps")
				doc := decode[ping.Report](t, r)
				checkPing(t, doc, 300, to+" "+mine)
				load := doc.Load
				if load == nil || load.Submitted == 0 || load.Completed != load.Submitted || load.Failed != 0 || load.Run == doc.Config.Run || load.Sending == 0 {
					t.Fatalf("%s: %+v", mine, load)
				}
				said := decode[echo.Report](t, stop())
				dropped := uint64(0)
				for _, n := range said.Drops {
					dropped += n
				}
				if c := said.Totals; c.Answered != 300 || c.Load+dropped != load.Completed || c.Refused != 0 {
					t.Errorf("%s: %+v, %v, sent %+v", mine, c, said.Drops, load)
				}
			}
		}
	}
	cli(timeout(t), "ping", netns, "10.77.0.2:9000", "--under-load", "1Gbit").want(t, 2, "give so many packets a second")
	cli(timeout(t), "ping", netns, "10.77.0.2:9000", "--under-load", "1k", "--source", "10.77.0.1:4000").want(t, 2, "without a port")
}
