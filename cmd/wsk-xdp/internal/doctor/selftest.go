// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// SelfTest is what the self-test found where it ran; it is written as JSON by a process in a user namespace of its own.
type SelfTest struct {
	SocketFacts
	Trial *TrialFacts `json:"trial"`
	Proof *Proof      `json:"proof,omitempty"`
}

// RunSelfTest looks what there is of AF_XDP here, and sends over it if prove is set.
func RunSelfTest(ctx context.Context, prove bool) SelfTest {
	s := SelfTest{SocketFacts: socketFacts(), Trial: RunTrial()}
	if prove {
		p := Prove(ctx)
		s.Proof = &p
	}
	return s
}

// Proof is what became of datagrams that were sent over AF_XDP in a laboratory.
type Proof struct {
	Sent      uint64 `json:"sent_packets"`
	Completed uint64 `json:"completed_packets"`
	Received  uint64 `json:"received_packets"`
	Elapsed   int64  `json:"elapsed_ns"`
	Error     string `json:"error,omitempty"`
}

// proofPackets is the number of datagrams of a proof; proofTimeout bounds it.
const (
	proofPackets = 1000
	proofTimeout = 10 * time.Second
	proofPort    = 9000
)

// Prove builds a laboratory, sends over AF_XDP in it and counts what the kernel's UDP stack at the other end gets.
func Prove(ctx context.Context) (p Proof) {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	if err := p.run(ctx); err != nil {
		p.Error = err.Error()
	}
	return p
}

func (p *Proof) run(ctx context.Context) error {
	lab, err := testenv.NewLab(testenv.Topology{})
	if err != nil {
		return err
	}
	defer lab.Close()
	to := netip.AddrPortFrom(lab.B.IPv4(), proofPort)
	rx, err := testenv.NewUDPReceiver(lab.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
	if err != nil {
		return err
	}
	defer rx.Close()
	s, err := session.Open(ctx, session.Options{
		NetNS: lab.A.NS.FD(), Destination: to, Mode: xdp.ModeCopy, Require: session.RequireAFXDP,
	})
	if err != nil {
		return err
	}
	defer s.Close(ctx)
	config := blast.Config{Count: proofPackets, Rate: blast.PPS(100_000), Batch: 1, InFlight: 64, Drain: time.Second}
	res, err := blast.Run(ctx, config, blast.NewSender(s.Sockets, s.Remote(to.Port(), to.Addr()), nil, make([]byte, 18), 1))
	if err != nil {
		return err
	}
	p.Sent, p.Completed, p.Elapsed = res.Submitted, res.Completed, res.Elapsed.Nanoseconds()
	if slow := s.Info().SlowSent; slow > 0 {
		return fmt.Errorf("%d of %d datagrams took the slow path", slow, res.Submitted)
	}
	err = rx.WaitCount(ctx, res.Completed)
	p.Received = rx.Count()
	return err
}
