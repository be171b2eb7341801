// SPDX-License-Identifier: Apache-2.0

package offload

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// A proof of checksum offload is what a stranger saw on the wire. Nothing on this host can tell: a zero-copy frame passes no
// tap, and a driver that ignores the request completes the frame as ever. So the queue sends what traceroute sends first, a
// small datagram with TTL 1 to port 33434 of a destination that a client is sending to anyway, from a port that is held for
// it. Its payload is random, so that only who saw it can know the checksum. The first hop answers with an ICMP error, of which RFC 792 and RFC 4443 section 3 demand that it quotes the UDP
// header: the checksum in it is the one that arrived. Linux, where it is the destination itself, answers only if that
// checksum is right.
//
// What it shows: this socket, in this mode, completes the checksum of frames of this family with so many VLAN tags, of even
// and odd length, as far as the first hop. What it does not show: anything about a device that errs now and then, or that
// is reconfigured later. Where nobody answers nothing is proved, and this side goes on summing.
const (
	ProofPort = 33434 // the first port of traceroute
	ProofTTL  = 1

	// Linux answers one host with a burst of six ICMP errors and then one a second (net.ipv4.icmp_ratelimit): the waits grow
	// to more than that second, there are rounds enough for two answers, and the queues of a device take turns.
	proofRounds  = 6
	Wait         = 250 * time.Millisecond
	proofLongest = 5 // times the first wait
)

// ProofLengths are the payloads of the two probes, told apart by their length.
var ProofLengths = [2]int{32, 33}

var (
	ErrNoQuote = errors.New("no ICMP error came back that quotes the probe")
	ErrProbe   = errors.New("the probe could not be sent")
)

// RefutedError says that a checksum arrived wrong.
type RefutedError struct {
	By        netip.Addr
	got, want uint16
}

func (e *RefutedError) Error() string {
	return fmt.Sprintf("the UDP checksum arrived at %v as %#04x instead of %#04x", e.By, e.got, e.want)
}

// Proof is what one proof needs.
type Proof struct {
	Ctx    context.Context
	Within func(func() error) error // runs a function in the network namespace of the datapath
	Wait   time.Duration            // the first wait for an answer; proofWait, but for tests
	// Send sends a datagram whose checksum is left to the other side, and reports false where that cannot be done.
	Send func(t *frame.Template, payload []byte) bool
}

// Try sends the probes, again where an answer is missing, and compares what is quoted.
func (p Proof) Try(fl frame.Flow) error {
	fl.TTL, fl.TOS, fl.NoChecksum = ProofTTL, 0, false
	fl.Dst = netip.AddrPortFrom(fl.Dst.Addr(), ProofPort)
	quotes, err := openQuotes(p.Within, fl.Dst.Addr().Is6())
	if err != nil {
		return fmt.Errorf("listen for ICMP errors: %w", err)
	}
	defer quotes.close()
	fl.Src = netip.AddrPortFrom(fl.Src.Addr().Unmap().WithZone(""), quotes.port)
	template, err := frame.NewTemplate(fl)
	if err != nil {
		return err
	}
	var payloads [len(ProofLengths)][]byte
	var want [len(ProofLengths)]uint16
	for i, n := range ProofLengths {
		payloads[i], want[i] = ProofPayload(&template, n)
	}
	seen := [len(ProofLengths)]bool{}
	for round := range proofRounds {
		for i := range payloads {
			if !seen[i] && !p.Send(&template, payloads[i]) {
				return ErrProbe
			}
		}
		deadline := time.Now().Add(min(p.Wait<<round, p.Wait*proofLongest))
		for !(seen[0] && seen[1]) {
			quote, err := quotes.next(p.Ctx, deadline)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			i := quote.Length - frame.UDPLen - ProofLengths[0]
			if quote.Src != fl.Src || quote.Dst != fl.Dst || i < 0 || i >= len(seen) {
				continue
			}
			if quote.Checksum != want[i] {
				return &RefutedError{By: quote.By, got: quote.Checksum, want: want[i]}
			}
			seen[i] = true
		}
		if seen[0] && seen[1] {
			return nil
		}
	}
	return ErrNoQuote
}

// ProofPayload is a payload and the checksum of its datagram, computed here, which is another number than the one that
// the field is preset with: a device that does nothing must not pass.
func ProofPayload(t *frame.Template, n int) (payload []byte, checksum uint16) {
	b := make([]byte, t.HeaderLen()+n)
	udp := frame.UDP(b[t.HeaderLen()-frame.UDPLen:])
	payload = b[t.HeaderLen():]
	for {
		rand.Read(payload)
		var sum frame.Sum
		sum.Add(payload)
		t.PutHeadersPartial(b, n, 0)
		preset := udp.Checksum()
		t.PutHeaders(b, n, 0, sum)
		if checksum = udp.Checksum(); checksum != preset {
			return payload, checksum
		}
	}
}
