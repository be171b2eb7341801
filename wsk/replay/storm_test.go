// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// stormTime is how long each mode of TestStormAll goes on; the variable STORM overrides it.
const stormTime = time.Second

// storm is what all of its clients share.
type storm struct {
	t       *testing.T
	rig     *rig
	seed    uint64
	sinks   []*stormSink
	nobody  []netip.AddrPort // where nothing listens
	sent    [outcomes]atomic.Int64
	got     [outcomes]atomic.Int64
	callbs  [outcomes]atomic.Int64
	turns   atomic.Int64 // of callbacks, over all sockets, so that each outcome comes in every 16 of them
	options atomic.Int64
	closes  atomic.Int64
	clients atomic.Int64
}

// Indexes of the counters: what became of sends and of receives, and what callbacks answered.
const (
	outcomeSuccess = iota
	outcomeCancelled
	outcomeClosed
	outcomeFailed
	outcomes
)

// stormPorts are the fixed ports of the storm's sockets, which compete for them, and to which the kernel's peer sends.
var stormPorts = [...]uint16{7700, 7701, 7702, 7703}

var stormGroup = [4]byte{239, 253, 7, 7}

// TestStormAll lets several registrations at once make sockets, send, receive, be called back, keep indications,
// cancel, change options, close and deregister, each at random, while a kernel peer sends to them. Every IRP completes
// exactly once, each datagram is one that somebody has sent, a Deregister that returns leaves no IRP behind, and in the
// end nothing is left: no chunk, no port, no descriptor, no goroutine.
//
// Checklist items 13, 70, 73 and 74.
func TestStormAll(t *testing.T) {
	limit := stormTime
	if v := os.Getenv("STORM"); v != "" {
		var err error
		if limit, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	o := rigOptions{top: testenv.Topology{Neighbours: testenv.Static, A: testenv.End{TX: 2}},
		datapath: datapath.Options{Queues: 2, Socket: xdp.Options{TxChunks: 64, TxRing: 64}}}
	eachMode(t, o, func(t *testing.T, r *rig) {
		s := &storm{t: t, rig: r, seed: testenv.Seed(t)}
		for _, limit := range []string{"ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"} { // see refused
			if err := r.lab.A.NS.Sysctl(limit, "0"); err != nil {
				t.Fatal(err)
			}
		}
		for _, six := range []bool{false, true} {
			s.sinks = append(s.sinks, newStormSink(t, r.lab.B.NS, netip.AddrPortFrom(r.b(six), 7777)))
			s.nobody = append(s.nobody, netip.AddrPortFrom(r.b(six), 9))
		}
		var stop atomic.Bool
		var all sync.WaitGroup
		s.runClient(0, 300*time.Millisecond) // so that what is opened on demand is open
		descriptors, goroutines := s.resources()
		for _, sink := range s.sinks {
			all.Go(func() { s.flood(sink, &stop) })
		}
		for i := range 3 {
			all.Go(func() {
				random := rand.New(rand.NewPCG(s.seed, uint64(i)))
				for n := uint64(1); !stop.Load(); n++ {
					s.runClient(n*3+uint64(i), time.Duration(100+random.IntN(500))*time.Millisecond)
				}
			})
		}
		<-time.After(limit)
		// The rarest outcomes need a moment more on a slow machine.
		for end := time.Now().Add(testenv.Patience(waitLimit)); len(s.unseen()) != 0 && time.Now().Before(end); {
			<-time.After(50 * time.Millisecond)
		}
		stop.Store(true)
		all.Wait()
		s.settle(descriptors, goroutines)
		s.report()
	})
}

// resources counts what the storm may leave behind.
func (s *storm) resources() (descriptors, goroutines int) {
	s.t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		s.t.Fatal(err)
	}
	return len(entries), runtime.NumGoroutine()
}

func (s *storm) settle(descriptors, goroutines int) {
	t := s.t
	t.Helper()
	testenv.Eventually(t, waitLimit, "descriptors and goroutines to go", func() bool {
		d, g := s.resources()
		return d <= descriptors && g <= goroutines
	})
	for _, six := range []bool{false, true} {
		for _, port := range stormPorts {
			if err := s.refused(netip.AddrPortFrom(s.rig.a(six), port)); err != nil {
				t.Errorf("%s port %d is not free after the last close: %v", version(six), port, err)
			}
		}
	}
}

// refused returns nil if the kernel in A answers that nobody listens: then the XDP program lets the port's frames
// through, and no companion socket has the port.
func (s *storm) refused(to netip.AddrPort) error {
	var conn *net.UDPConn
	err := s.rig.lab.B.NS.Do(func() (err error) {
		conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	for end := time.Now().Add(waitLimit); time.Now().Before(end); { // the kernel limits its ICMP errors
		if _, err = conn.Write([]byte("anybody?")); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			return err
		}
		if _, err = conn.Read(make([]byte, 1)); errors.Is(err, unix.ECONNREFUSED) {
			return nil
		}
	}
	return fmt.Errorf("read: %w", err)
}

// unseen are the outcomes that have not come yet.
func (s *storm) unseen() (list []int) {
	for i := range outcomes {
		if s.sent[i].Load() == 0 || s.got[i].Load() == 0 || s.callbs[i].Load() == 0 {
			list = append(list, i)
		}
	}
	return list
}

// report logs what has happened, and fails if some outcome never came.
func (s *storm) report() {
	t := s.t
	t.Helper()
	load := func(c *[outcomes]atomic.Int64) (n [outcomes]int64) {
		for i := range c {
			n[i] = c[i].Load()
		}
		return n
	}
	sent, got, callbacks := load(&s.sent), load(&s.got), load(&s.callbs)
	var arrived uint64
	for _, sink := range s.sinks {
		arrived += sink.count.Load()
	}
	t.Logf("%d clients, %d closes, %d option changes, %d IRPs", s.clients.Load(), s.closes.Load(), s.options.Load(), s.rig.begun.Load())
	t.Logf("sends: %d succeeded, %d cancelled, %d refused by a close, %d failed; %d datagrams reached the sinks", sent[0], sent[1],
		sent[2], sent[3], arrived)
	t.Logf("receives: %d succeeded, %d cancelled, %d refused by a close, %d overflowed", got[0], got[1], got[2], got[3])
	t.Logf("callbacks: %d accepted, %d retained, %d not accepted, %d refused", callbacks[0], callbacks[1], callbacks[2], callbacks[3])
	for _, i := range s.unseen() {
		t.Errorf("outcome %d has not been seen", i)
	}
	if arrived == 0 || s.clients.Load() < 3 {
		t.Error("the storm was no storm")
	}
}

// uniform reports whether a payload is what the storm sends: the same byte everywhere. It shows when memory was used
// again before its datagram had left, or was given back while it was kept.
// allUniform reports whether what was received is datagrams of size, the last perhaps shorter, each of which is uniform; size 0: one.
func allUniform(b []byte, size int) bool {
	for size != 0 && len(b) > size {
		if !uniform(b[:size]) {
			return false
		}
		b = b[size:]
	}
	return uniform(b)
}

func uniform(b []byte) bool {
	for _, c := range b {
		if c != b[0] {
			return false
		}
	}
	return true
}

// stormSink is a kernel socket that looks at what it gets.
type stormSink struct {
	conn  *net.UDPConn
	addr  netip.AddrPort
	count atomic.Uint64
}

func newStormSink(t *testing.T, ns *testenv.Namespace, addr netip.AddrPort) *stormSink {
	t.Helper()
	s := &stormSink{addr: addr}
	err := ns.Do(func() (err error) {
		s.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		s.conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 65535)
		for {
			n, _, err := s.conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if !uniform(buf[:n]) {
				t.Errorf("%v received a datagram of %d bytes that nobody sent", addr, n)
			}
			s.count.Add(1)
		}
	}()
	return s
}

// flood sends datagrams of every size to the storm's sockets, with a pause now and then.
func (s *storm) flood(sink *stormSink, stop *atomic.Bool) {
	random := rand.New(rand.NewPCG(s.seed, uint64(sink.addr.Port())))
	six := sink.addr.Addr().Is6()
	payload := make([]byte, 4000)
	for n := 0; !stop.Load(); n++ {
		size := random.IntN(1400)
		if random.IntN(50) == 0 {
			size = random.IntN(len(payload))
		}
		for i := range payload[:size] {
			payload[i] = byte(n)
		}
		to := netip.AddrPortFrom(s.rig.a(six), stormPorts[random.IntN(len(stormPorts))])
		if !six && random.IntN(8) == 0 {
			to = netip.AddrPortFrom(netip.AddrFrom4(stormGroup), to.Port())
		}
		_, _ = sink.conn.WriteToUDPAddrPort(payload[:size], to)
		if n%16 == 0 {
			<-time.After(time.Millisecond)
		}
	}
}

// outcome is the counter of a status of a send or a receive. It fails the test on a status that has no reason to come.
func (s *storm) outcome(what string, status wsk.NTSTATUS) int {
	switch status {
	case wsk.STATUS_SUCCESS:
		return outcomeSuccess
	case wsk.STATUS_CANCELLED:
		return outcomeCancelled
	case wsk.STATUS_FILE_CLOSED:
		return outcomeClosed
	case wsk.STATUS_INVALID_DEVICE_STATE, wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_INVALID_ADDRESS_COMPONENT,
		wsk.STATUS_BUFFER_OVERFLOW, wsk.STATUS_INVALID_BUFFER_SIZE, wsk.STATUS_ACCESS_DENIED:
		return outcomeFailed
	}
	s.t.Errorf("%s: %v", what, status)
	return outcomeFailed
}
