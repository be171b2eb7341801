// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Load is what else is sent to the same peer while pings are measured: numbered packets of blast, which an echo counts and
// does not answer.
type Load interface {
	// Run sends until ctx ends, and returns when what it sent has ended, too.
	Run(ctx context.Context) LoadResult
}

// LoadResult is what a load did. Each packet that was submitted was completed, failed, or had not ended.
type LoadResult struct {
	Submitted, Completed, Failed uint64
	Sending                      time.Duration
}

// LoadReport is about a load.
type LoadReport struct {
	// Run is the number of the run in its stamps.
	Run uint16 `json:"run"`
	// MicroRate is in millionths of a packet a second, absent where it was sent as fast as it went.
	MicroRate uint64 `json:"rate_micro_pps,omitempty"`
	Submitted uint64 `json:"submitted_packets"`
	Completed uint64 `json:"completed_packets"`
	Failed    uint64 `json:"failed_packets"`
	Sending   int64  `json:"sending_ns"`
}

// Fill enters what the load did.
func (r *LoadReport) Fill(res LoadResult) {
	r.Submitted, r.Completed, r.Failed, r.Sending = res.Submitted, res.Completed, res.Failed, res.Sending.Nanoseconds()
}

// reached is how many packets a second were completed.
func (r *LoadReport) reached() float64 {
	return float64(r.Completed) / max(time.Duration(r.Sending).Seconds(), 1e-9)
}

// leastLoad is the share of the rate from which on a load has kept it.
const leastLoad = 0.99

// fell is whether the load was less than was asked for.
func (r *LoadReport) fell() bool {
	return r.MicroRate > 0 && r.reached() < leastLoad*blast.Rate(r.MicroRate).PerSecond()
}

// UDPLoad is a load of a kernel socket.
type UDPLoad struct {
	conn  *net.UDPConn
	rate  blast.Rate
	body  []byte
	stamp stamp.Stamp
	clock stamp.Clock
}

// OpenUDPLoad connects a socket in the namespace. Packets have this body, whose beginning stamps of the run are written over.
func OpenUDPLoad(ns *netns.NS, to netip.AddrPort, h Header, rate blast.Rate, run uint16, body []byte, clock stamp.Clock) (*UDPLoad, error) {
	conn, err := dial(ns, to, h)
	if err != nil {
		return nil, err
	}
	return &UDPLoad{conn: conn, rate: rate, body: append([]byte(nil), body...), stamp: stamp.Stamp{Run: run}, clock: clock}, nil
}

// burst is the most packets between two looks at the clock.
const burst = 64

// Run sends. It keeps a thread to itself, whose sleeps are those of the system: the runtime's are late by a millisecond.
func (l *UDPLoad) Run(ctx context.Context) (r LoadResult) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with the goroutine
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		r = l.run(ctx)
	}()
	<-done
	return r
}

func (l *UDPLoad) run(ctx context.Context) (r LoadResult) {
	start, pacer := time.Now(), blast.NewPacer(l.rate, blast.Bucket(l.rate, 1))
	for ctx.Err() == nil {
		elapsed := time.Since(start)
		for range pacer.Take(elapsed, burst) {
			r.Submitted++
			if l.send() {
				r.Completed++
			} else {
				r.Failed++
			}
		}
		if wait := pacer.Wait(elapsed, 1); wait > 0 {
			ts := unix.NsecToTimespec(min(max(wait, blast.SleepGrain), interruptGrain).Nanoseconds())
			_ = unix.Nanosleep(&ts, nil) // one that is cut short is looked at again
		}
	}
	r.Sending = time.Since(start)
	return r
}

// send sends a packet. An error that came back by ICMP is one of a packet before: the call that finds it has sent nothing.
func (l *UDPLoad) send() bool {
	l.stamp.Time = l.clock.Now()
	l.stamp.Put(l.body)
	l.stamp.Sequence = (l.stamp.Sequence + 1) & stamp.Mask
	_, err := l.conn.Write(l.body)
	if errors.Is(err, unix.ECONNREFUSED) {
		_, err = l.conn.Write(l.body)
	}
	return err == nil
}

// Close closes the socket.
func (l *UDPLoad) Close() error { return l.conn.Close() }

// WSKLoad is a load of a WSK socket, which is another than that of the pings.
type WSKLoad struct {
	Sender *blast.Sender
	Config blast.Config
	Err    error // of the run
}

// Run sends.
func (l *WSKLoad) Run(ctx context.Context) LoadResult {
	res, err := blast.Run(ctx, l.Config, l.Sender)
	l.Err = err
	return LoadResult{Submitted: res.Submitted, Completed: res.Completed, Failed: res.Failed, Sending: res.Sending}
}
