// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// figures are what one run gave.
type figures struct {
	pps float64
	// offered is packets per second that arrived at the far interface.
	offered float64
	// receiverNs and receiverUserNs are CPU time of the receiving process per datagram it got; cpuNs is that of both
	// and of the kernel's softirq threads.
	receiverNs, receiverUserNs, cpuNs float64
	rss                               uint64
}

// moment is what is looked at together.
type moment struct {
	at                    time.Time
	delivered, offered    uint64
	receiver, sender, irq proc.Usage
}

// lookTries and lookSlack: a look counts if the clock moved little while it was taken; otherwise, as on a busy machine,
// it is taken again.
const (
	lookTries = 10
	lookSlack = 500 * time.Microsecond
)

func lookAt(lab *testenv.Lab, s, r *proc.Process, counter *proc.Counter, irq []int) (best moment, err error) {
	least := time.Duration(1<<63 - 1)
	for range lookTries {
		var m moment
		before := time.Now()
		attrs, err := lab.B.If.Attrs()
		if err != nil {
			return best, err
		}
		m.delivered, m.at = counter.Load(), time.Now()
		m.offered = attrs.Statistics.RxPackets + attrs.Statistics.RxDropped
		m.receiver, m.sender, m.irq = proc.UsageOf([]int{r.Pid()}), proc.UsageOf([]int{s.Pid()}), proc.UsageOf(irq)
		if took := time.Since(before); took < least {
			best, least = m, took
		}
		if least < lookSlack {
			break
		}
	}
	return best, nil
}

// window opens when datagrams arrive and the warm-up is over.
func (c *Config) window(ctx context.Context, lab *testenv.Lab, s, r *proc.Process, counter *proc.Counter) (*figures, error) {
	begun := time.Now()
	for counter.Load() == 0 {
		if err := r.Pause(ctx, time.Millisecond); err != nil {
			return nil, fmt.Errorf("receiver: %w", err)
		}
		if err := s.Pause(ctx, 0); err != nil {
			return nil, fmt.Errorf("sender: %w: %w", err, s.Failure())
		}
		if time.Since(begun) > startTime {
			return nil, fmt.Errorf("no datagram was delivered within %v", startTime)
		}
	}
	if err := r.Pause(ctx, c.Warmup); err != nil {
		return nil, err
	}
	irq := proc.SoftIRQThreads()
	look := func() (moment, error) { return lookAt(lab, s, r, counter, irq) }
	open, err := look()
	if err != nil {
		return nil, err
	}
	shut := open
	// On a busy machine neither process may have run during all of a short window: then it stays open.
	for shut.delivered == open.delivered && shut.at.Sub(open.at) < max(c.Duration, startTime) {
		if err := r.Pause(ctx, c.Duration); err != nil {
			return nil, err
		}
		if shut, err = look(); err != nil {
			return nil, err
		}
	}
	n, offered, seconds := float64(shut.delivered-open.delivered), float64(shut.offered-open.offered), shut.at.Sub(open.at).Seconds()
	if n == 0 {
		return nil, errors.New("nothing was delivered while the window was open")
	}
	f := &figures{pps: n / seconds, offered: offered / seconds, rss: proc.PeakRSS([]int{r.Pid()})}
	receiver, user := shut.receiver.Since(open.receiver)
	sender, _ := shut.sender.Since(open.sender)
	rest, _ := shut.irq.Since(open.irq)
	f.receiverNs, f.receiverUserNs, f.cpuNs = float64(receiver)/n, float64(user)/n, float64(receiver+sender+rest)/n
	return f, nil
}
