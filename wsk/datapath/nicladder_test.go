// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// nicState is what this package may change on an interface.
type nicState struct {
	holders  int
	hashes   string
	channels uint32
	taken    int
}

func (l *nicLab) state(h *testenv.Host) (s nicState) {
	l.t.Helper()
	err := h.NS.Do(func() error {
		holders, err := bpf.Holders(h.If.Index())
		s.holders = len(holders)
		return err
	})
	if err != nil {
		l.t.Error(err)
	}
	s.hashes = hashes(l, h)
	c, _ := channels(h)
	s.channels = c.CombinedCount
	for _, q := range l.inspect(h).Queues {
		if q.Taken {
			s.taken++
		}
	}
	return s
}

// TestNICRestore opens and closes datapaths of every kind one behind the other. Each finds its queues free, and the interface is
// in the end as it was.
//
// Invariant I8.
func TestNICRestore(t *testing.T) {
	lab := newNICLab(t)
	before := lab.state(lab.A)
	name := lab.A.If.Name()
	for _, tc := range []struct {
		what string
		opts Options
		zc   bool
	}{
		{"send in zero-copy", sendOptions(lab), true},
		{"send in whatever mode", Options{Queues: 4, Interfaces: []string{name}}, true},
		{"send in copy mode", Options{Queues: 4, Interfaces: []string{name}, Socket: xdp.Options{Mode: xdp.ModeCopy}}, false},
		{"receive", Options{Receive: []string{name}, SpreadReceive: true}, true},
		{"receive in generic mode", Options{Receive: []string{name}, ReceiveMode: bpf.Generic}, false},
	} {
		dp := lab.open(lab.A, tc.opts)
		for _, q := range dp.Info().Queues {
			g := q.Granted
			if zc := g.Mode == xdp.ModeZeroCopy; zc != tc.zc {
				t.Errorf("%s: queue %d: %v because of %v", tc.what, q.Queue, g.Mode, g.FallbackReason)
			}
			if g.Mode == xdp.ModeCopy && tc.opts.Socket.Mode == xdp.ModeAuto && g.FallbackReason == nil {
				t.Errorf("%s: queue %d fell back without a reason", tc.what, q.Queue)
			}
			t.Logf("%s: queue %d: %v, waited %v for the queue; %v", tc.what, q.Queue, g.Mode, g.BindWait, g.FallbackReason)
		}
		lab.waitCarrier()
		c := newClient(t, dp)
		mustSucceed(t, tc.what, sendOne(t, c.socket("10.77.0.1:0"), whole([]byte("x")), sockaddr(lab.B.IPv4(), 9), nil))
		if err := dp.Close(); err != nil {
			t.Errorf("%s: close: %v", tc.what, err)
		}
	}
	testenv.Eventually(t, nicPatience, "the interface to be as before", func() bool { return lab.state(lab.A) == before })
}

// TestNICRefusals: what was asked for by name is refused rather than replaced, and the error says what to do.
func TestNICRefusals(t *testing.T) {
	lab := newNICLab(t)
	before := lab.state(lab.A)
	name := lab.A.If.Name()
	_, err := Open(Options{NetNS: lab.A.NS.FD(), Receive: []string{name}, ReceiveMode: bpf.Generic,
		Socket: xdp.Options{Mode: xdp.ModeZeroCopy}})
	if !errors.Is(err, xdp.ErrNotSupported) || !strings.Contains(err.Error(), "generic") {
		t.Errorf("zero-copy under a generic program: %v", err)
	}
	// A queue that somebody else holds.
	holder := lab.open(lab.A, Options{Interfaces: []string{name}, Socket: xdp.Options{Mode: xdp.ModeCopy}})
	_, err = Open(Options{NetNS: lab.A.NS.FD(), Interfaces: []string{name}, Socket: xdp.Options{Mode: xdp.ModeZeroCopy, BindTimeout: 1}})
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "another AF_XDP socket holds the queue") {
		t.Errorf("zero-copy on a queue that is taken: %v", err)
	}
	t.Logf("refused with: %v", err)
	if err := holder.Close(); err != nil {
		t.Error(err)
	}
	testenv.Eventually(t, nicPatience, "the interface to be as before", func() bool { return lab.state(lab.A) == before })
}

// TestNICHostTraffic: a zero-copy socket takes over the memory that its queue receives into. The host's own traffic, which
// no program redirects, must come through all the same, on every queue.
//
// invariant I12.
func TestNICHostTraffic(t *testing.T) {
	lab := newNICLab(t)
	dp := lab.open(lab.A, sendOptions(lab))
	t.Cleanup(func() { dp.Close() })
	lab.waitCarrier()
	const n = 4000
	var receivers []*testenv.UDPReceiver
	var senders []*testenv.UDPSender
	for i := range 8 {
		receivers = append(receivers, testenv.NewUDPReceiverT(t, lab.A.NS, netip.AddrPortFrom(lab.A.IPv4(), uint16(7700+i)),
			testenv.UDPReceiverOptions{CountOnly: true}))
		senders = append(senders, testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{}))
	}
	arrived := func() (sum int) {
		for _, r := range receivers {
			sum += int(r.Count())
		}
		return sum
	}
	pace := newPace(32)
	for k := range n {
		if err := senders[k%8].Send(receivers[k%8].Local(), pattern(200)); err != nil {
			t.Fatal(err)
		}
		pace.wait(k+1, arrived)
	}
	if got := settled(t, arrived, n); got < n*9/10 {
		t.Errorf("%d of %d datagrams reached the host while zero-copy sockets held its queues", got, n)
	}
}

// TestNICOneProcessor has more queues than processors: everything goes, only slower.
func TestNICOneProcessor(t *testing.T) {
	lab := newNICLab(t)
	opts := sendOptions(lab)
	opts.LowGear = true // what a single processor makes of it
	dp := lab.open(lab.A, opts)
	counts := underLoad(t, lab, dp, func() { resumes(t, dp, sentFrames(dp)) })
	only(t, counts)
	if counts[wsk.STATUS_SUCCESS] < 2000 {
		t.Errorf("statuses %v", counts)
	}
}
