// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
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
	proofPort = 33434 // the first port of traceroute
	proofTTL  = 1

	// Linux answers one host with a burst of six ICMP errors and then one a second (net.ipv4.icmp_ratelimit): the waits grow
	// to more than that second, there are rounds enough for two answers, and the queues of a device take turns.
	proofRounds  = 6
	proofWait    = 250 * time.Millisecond
	proofLongest = 5 // times the first wait
)

// proofLengths are the payloads of the two probes, told apart by their length.
var proofLengths = [2]int{32, 33}

var (
	errNoQuote = errors.New("no ICMP error came back that quotes the probe")
	errProbe   = errors.New("the probe could not be sent")
)

// refutedError says that a checksum arrived wrong.
type refutedError struct {
	by        netip.Addr
	got, want uint16
}

func (e *refutedError) Error() string {
	return fmt.Sprintf("the UDP checksum arrived at %v as %#04x instead of %#04x", e.by, e.got, e.want)
}

// prove runs one proof and draws the conclusion.
func (q *queue) prove(fl frame.Flow, key proofKey, r xdp.ChecksumRequest, grant uint32) {
	q.dev.proving().Lock()
	err := q.tryProof(fl, r, grant)
	q.dev.proving().Unlock()
	if errors.Is(err, context.Canceled) {
		return
	}
	var refuted *refutedError
	if !q.prover.conclude(key, grant, err, errors.As(err, &refuted)) {
		return
	}
	log := q.log.With("interface", q.dev.ifname(), "queue", q.id, "ipv6", key.six, "vlan_tags", key.tags, "asked", fl.Dst.Addr())
	if err != nil {
		log.Warn("checksum offload is granted but not proved; checksums are computed in software", "why", err)
		return
	}
	log.Info("checksum offload is proved and used from now on")
	q.promote(key, grant)
}

// tryProof sends the probes, again where an answer is missing, and compares what is quoted.
func (q *queue) tryProof(fl frame.Flow, r xdp.ChecksumRequest, grant uint32) error {
	fl.TTL, fl.TOS, fl.NoChecksum = proofTTL, 0, false
	fl.Dst = netip.AddrPortFrom(fl.Dst.Addr(), proofPort)
	quotes, err := openQuotes(q.host.inNetNS, fl.Dst.Addr().Is6())
	if err != nil {
		return fmt.Errorf("listen for ICMP errors: %w", err)
	}
	defer quotes.close()
	fl.Src = netip.AddrPortFrom(fl.Src.Addr().Unmap().WithZone(""), quotes.port)
	template, err := frame.NewTemplate(fl)
	if err != nil {
		return err
	}
	var payloads [len(proofLengths)][]byte
	var want [len(proofLengths)]uint16
	for i, n := range proofLengths {
		payloads[i], want[i] = proofPayload(&template, n)
	}
	seen := [len(proofLengths)]bool{}
	for round := range proofRounds {
		for i := range payloads {
			if !seen[i] && !q.sendProbe(&template, payloads[i], r, grant) {
				return errProbe
			}
		}
		deadline := time.Now().Add(min(q.host.proofWait<<round, q.host.proofWait*proofLongest))
		for !(seen[0] && seen[1]) {
			quote, err := quotes.next(q.host.ctx, deadline)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			i := quote.length - frame.UDPLen - proofLengths[0]
			if quote.src != fl.Src || quote.dst != fl.Dst || i < 0 || i >= len(seen) {
				continue
			}
			if quote.checksum != want[i] {
				return &refutedError{by: quote.by, got: quote.checksum, want: want[i]}
			}
			seen[i] = true
		}
		if seen[0] && seen[1] {
			return nil
		}
	}
	return errNoQuote
}

// proofPayload is a payload and the checksum of its datagram, computed here, which is another number than the one that
// the field is preset with: a device that does nothing must not pass.
func proofPayload(t *frame.Template, n int) (payload []byte, checksum uint16) {
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

// sendProbe sends one frame whose checksum is left open, between those of the clients and like them. Its operation belongs to
// nobody: it is never built, so that its completion only gives the chunk back, and marked as one whose canceller is on the
// way, so that no list of a queue that stops or breaks takes it up.
func (q *queue) sendProbe(t *frame.Template, payload []byte, r xdp.ChecksumRequest, grant uint32) bool {
	op := &wsk.SendOp{Transport: wsk.SendState{Via: &flow{}}}
	progressOf(op).hold = holdExpected
	q.mu.Lock()
	if q.state != queueUp || q.offload != grant {
		q.mu.Unlock()
		return false
	}
	idx, mem, ok := q.takeChunk()
	if ok {
		copy(mem[t.HeaderLen():], payload)
		q.publishRequest(op, idx, t.PutHeadersPartial(mem, len(payload), q.nextID()), r)
		q.unpublished++
	}
	q.mu.Unlock()
	q.drive() // without a chunk the next round tries again
	return true
}
