// SPDX-License-Identifier: Apache-2.0

package sockets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/flows"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// receiver is a socket on loopback that waits no longer than a test may.
func receiver(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// laneTo is a lane of an engine to one port of loopback, with so many flows, a socket each.
func laneTo(t *testing.T, way string, port int, flowCount, batch int, sizes ...int) (*Lane, frames.Plan, error) {
	t.Helper()
	clock, err := stamp.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	p := frames.Plan{
		Space: flows.Space{Sources: uint64(flowCount)}, Flows: uint64(flowCount), Payload: slices.Repeat([]byte{'x'}, slices.Max(sizes)), Sizes: sizes,
		Stamp: blast.StampWSK, Run: 7, Clock: clock,
	}
	for _, err := range []error{p.Space.Addresses.Set("127.0.0.1"), p.Space.Ports.Set(fmt.Sprint(port))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Way: way, Batch: batch, TTL: 9, Bound: slices.Repeat([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, flowCount)}
	l, err := Open(nil, p, o)
	if err == nil {
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return l, p, err
}

// Every way sends flow after flow, each number once, with its size, from the socket of its flow, and counts what the kernel took; another run
// over the same sockets begins from the first number and flow again.
func TestLane(t *testing.T) {
	for _, one := range []struct {
		way          string
		batch, calls int // how many datagrams of a flow are in a row
		sizes        []int
	}{
		{blast.EngineUDP, 1, 1, []int{20, 40, 60}}, {blast.EngineSendmmsg, 4, 4, []int{20, 40, 60}}, {blast.EngineGSO, 4, 4, []int{50}},
	} {
		c := receiver(t)
		l, p, err := laneTo(t, one.way, c.LocalAddr().(*net.UDPAddr).Port, 2, one.batch, one.sizes...)
		if err != nil {
			t.Fatal(err)
		}
		for round := range 2 {
			if round > 0 {
				l.Begin(p)
			}
			var sum blast.Outcome
			for sum.Submitted < 24 {
				out, err := l.Send(uint64(min(4, 24-sum.Submitted)), time.Now())
				if err != nil || out.Failed > 0 || !out.Timed || out.Full {
					t.Fatalf("%s: %+v, %v", one.way, out, err)
				}
				sum.Submitted, sum.Completed, sum.Payload = sum.Submitted+out.Submitted, sum.Completed+out.Completed, sum.Payload+out.Payload
			}
			next, bytes := map[uint16]uint64{}, uint64(0)
			for n := range 24 {
				b := make([]byte, 100)
				if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				length, from, err := c.ReadFromUDPAddrPort(b)
				if err != nil {
					t.Fatal(err)
				}
				bytes += uint64(length)
				s, ok := stamp.Parse(b[:length])
				flow := uint16(n / one.calls % 2)
				if !ok || s.Run != 7 || s.Stream != flow || s.Sequence != next[flow] || length != one.sizes[n%len(one.sizes)] || from != l.Locals()[flow] {
					t.Fatalf("%s: datagram %d of round %d: %+v, %d bytes from %v", one.way, n, round, s, length, from)
				}
				next[flow]++
			}
			if sum.Submitted != 24 || sum.Completed != 24 || sum.Payload != bytes || !slices.Equal(l.Sent(), []uint64{12, 12}) || l.InFlight() != 0 {
				t.Errorf("%s: %+v, %v of %d bytes", one.way, sum.Counts, l.Sent(), bytes)
			}
		}
	}
}

// What fails has a status, keeps its number, since it may be missed, and does not stop the run; a closed port is heard of and costs no datagram.
func TestLaneFails(t *testing.T) {
	c := receiver(t)
	port := c.LocalAddr().(*net.UDPAddr).Port
	l, _, err := laneTo(t, blast.EngineUDP, port, 1, 1, 65_508) // more than a datagram holds
	if err != nil {
		t.Fatal(err)
	}
	out, err := l.Send(3, time.Now())
	if err != nil || out.Submitted != 3 || out.Failed != 3 || out.Completed != 0 || out.Status != wsk.STATUS_INVALID_BUFFER_SIZE || l.Sent()[0] != 3 {
		t.Errorf("%+v, %v, numbers %v", out, err, l.Sent())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if l, _, err = laneTo(t, blast.EngineUDP, port, 1, 1, 20); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if out, err := l.Send(1, time.Now()); err != nil || out.Completed != 1 {
			t.Errorf("%+v, %v", out, err)
		}
	}
	if e := l.ICMPErrors(t.Context()); len(e) != 1 || !e[0].PortClosed() {
		t.Errorf("%+v", e)
	}
}

// An ICMP error is of what the datagram was that it quotes: one about what warmed up, which is heard in the run, is none of the run's, and the
// answer to the run is waited for all the same.
func TestErrorsOfTheWarmup(t *testing.T) {
	c := receiver(t)
	port := c.LocalAddr().(*net.UDPAddr).Port
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{blast.EngineUDP, blast.EngineSendmmsg, blast.EngineGSO} {
		l, p, err := laneTo(t, way, port, 2, 4, 40)
		if err != nil {
			t.Fatal(err)
		}
		send := func(p frames.Plan, n int) (sent uint64) {
			l.Begin(p)
			for range n {
				out, err := l.Send(4, time.Now())
				if err != nil || out.Failed > 0 {
					t.Fatalf("%s: %+v, %v", way, out, err)
				}
				sent += out.Submitted
			}
			return sent
		}
		warm := p
		warm.Stamp, warm.Payload = blast.StampNone, slices.Clone(p.Payload)
		stamp.PutWarmup(warm.Payload, p.Run)
		before := send(warm, 10)
		l.icmp.Begin() // what has come by now is at the sockets, and not read
		sent := send(p, 1)
		errs, early := l.ICMPErrors(t.Context()), l.EarlyICMPErrors()
		if len(errs) != 1 || !errs[0].PortClosed() || errs[0].Messages == 0 || errs[0].Messages > sent {
			t.Errorf("%s: %d datagrams of the run came back with %+v", way, sent, errs)
		}
		if len(early) != 1 || !early[0].PortClosed() || early[0].Messages <= sent || early[0].Messages > before {
			t.Fatalf("%s: %d datagrams before it came back with %+v", way, before, early)
		}
		// What quotes no stamp is of the time when it came.
		bare := p
		bare.Stamp = blast.StampNone
		send(bare, 3)
		l.Warmed(t.Context())
		if errs, now := l.ICMPErrors(t.Context()), l.EarlyICMPErrors(); len(errs) != 0 || len(now) != 1 || now[0].Messages <= early[0].Messages {
			t.Errorf("%s: %+v, before %+v", way, errs, now)
		}
	}
}

// A port that another socket has is told by number, and nothing of what was opened stays.
func TestOpenRefuses(t *testing.T) {
	c := receiver(t)
	taken := c.LocalAddr().(*net.UDPAddr).AddrPort()
	p := frames.Plan{Space: flows.Space{Sources: 2}, Flows: 2, Payload: []byte{1}, Sizes: []int{1}, Stamp: blast.StampNone}
	for _, err := range []error{p.Space.Addresses.Set("127.0.0.1"), p.Space.Ports.Set("9")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Way: blast.EngineUDP, Batch: 1, TTL: 9, Bound: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), taken}}
	before := descriptors(t)
	if _, err := Open(nil, p, o); !errors.Is(err, ErrTaken) {
		t.Error(err)
	}
	o.Way = "pigeon"
	if _, err := Open(nil, p, o); err == nil {
		t.Error("a way that there is not")
	}
	if now := descriptors(t); now != before {
		t.Errorf("%d descriptors more than before", now-before)
	}
}

// descriptors is the lowest number that is free.
func descriptors(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	return fd
}

// Each errno that a send can end in has the status that a WSK socket would have.
func TestStatusOf(t *testing.T) {
	for errno, want := range map[error]wsk.NTSTATUS{
		unix.EMSGSIZE: wsk.STATUS_INVALID_BUFFER_SIZE, unix.ENETUNREACH: wsk.STATUS_NETWORK_UNREACHABLE, unix.EHOSTUNREACH: wsk.STATUS_HOST_UNREACHABLE,
		unix.ECONNREFUSED: wsk.STATUS_PORT_UNREACHABLE, unix.EPERM: wsk.STATUS_ACCESS_DENIED, unix.ENOBUFS: wsk.STATUS_INSUFFICIENT_RESOURCES,
		unix.EIO: wsk.STATUS_NOT_SUPPORTED, unix.EINVAL: wsk.STATUS_INVALID_PARAMETER,
	} {
		if got := statusOf(fmt.Errorf("send: %w", errno)); got != want {
			t.Errorf("%v is %v, want %v", errno, got, want)
		}
	}
}
