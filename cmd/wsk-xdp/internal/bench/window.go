// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
)

// measured is one run of one engine.
type measured struct {
	pps           float64
	cpuNs, userNs float64 // per packet
	cores         float64 // CPU time per time
	// syscalls per packet, negative if nobody counted them.
	syscalls float64
	rss      uint64
	granted  json.RawMessage

	// sent is what the sender says it handed over, arrived what was counted of it; both 0 if the sender says nothing.
	sent, failed, arrived uint64
	// frame is the mean size of the frames that arrived, without FCS; 0 where bytes are not counted.
	frame float64
}

// startTime is how long a sender may take until its first datagram arrives.
const startTime = 30 * time.Second

// look is the state at one moment.
type look struct {
	at    time.Time
	count uint64
	usage proc.Usage
}

// measure opens the window on a sender that has just been started, and stops the sender.
func measure(ctx context.Context, c *Config, p *place, s *proc.Process, before look, bytesBefore uint64) (m measured, err error) {
	defer func() {
		stopErr := s.Stop(proc.StopTime)
		if errors.Is(err, proc.ErrEnded) {
			err = fmt.Errorf("%w: %w", err, s.Failure())
		} else if err == nil {
			err = stopErr
		}
		if err == nil {
			err = m.finish(p, s, before, bytesBefore)
		}
	}()
	if err := awaitArrival(ctx, p, s, before.count); err != nil {
		return m, err
	}
	if err := s.Pause(ctx, c.Warmup); err != nil {
		return m, err
	}
	pids := proc.Tree(s.Pid())
	open, err := lookAt(p, pids)
	if err != nil {
		return m, err
	}
	shut := open
	// On a busy machine the sender may not have run during all of a short window: then it stays open.
	for shut.count == open.count && shut.at.Sub(open.at) < max(c.Duration, startTime) {
		if err := s.Pause(ctx, c.Duration); err != nil {
			return m, err
		}
		if shut, err = lookAt(p, pids); err != nil {
			return m, err
		}
	}
	m.rss = proc.PeakRSS(pids)
	n := float64(shut.count - open.count)
	if n == 0 {
		return m, errors.New("nothing arrived while the window was open")
	}
	cpu, user := shut.usage.Since(open.usage)
	m.pps = n / shut.at.Sub(open.at).Seconds()
	m.cpuNs, m.userNs = float64(cpu)/n, float64(user)/n
	m.cores = float64(cpu) / float64(shut.at.Sub(open.at))
	return m, nil
}

// finish adds what is known only when the sender has ended.
func (m *measured) finish(p *place, s *proc.Process, before look, bytesBefore uint64) error {
	count, bytes, err := p.count()
	if err != nil {
		return err
	}
	arrived := count - before.count
	if bytes > 0 && arrived > 0 {
		m.frame = float64(bytes-bytesBefore) / float64(arrived)
	}
	m.syscalls = -1
	if !s.Ours() {
		if n, ok := declaredSyscalls(s.Out.Bytes()); ok {
			m.syscalls = n
		}
		return nil
	}
	begun, done, ok := childReport(s)
	if !ok {
		return errors.New("the sender ended without its report")
	}
	m.granted = begun.Granted
	m.sent, m.failed, m.arrived = done.Sent, done.Failed, arrived
	if done.Sent > 0 && done.Syscalls != nil {
		m.syscalls = float64(*done.Syscalls) / float64(done.Sent)
	}
	return nil
}

// awaitArrival returns when datagrams arrive.
func awaitArrival(ctx context.Context, p *place, s *proc.Process, before uint64) error {
	deadline := time.Now().Add(startTime)
	for {
		if err := s.Pause(ctx, time.Millisecond); err != nil {
			return err
		}
		n, _, err := p.count()
		if err != nil {
			return err
		}
		if (!s.Ours() || len(s.Events()) > 0) && n > before {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no datagram arrived within %v", startTime)
		}
	}
}

// lookTries and lookSlack: a look counts if the clock moved little while it was taken; otherwise, as on a busy machine,
// it is taken again.
const (
	lookTries = 10
	lookSlack = 200 * time.Microsecond
)

func lookAt(p *place, pids []int) (best look, err error) {
	least := time.Duration(1<<63 - 1)
	for range lookTries {
		before := time.Now()
		count, _, err := p.count()
		if err != nil {
			return best, err
		}
		l := look{count: count, usage: proc.UsageOf(pids)}
		took := time.Since(before)
		l.at = before.Add(took / 2)
		if took < least {
			best, least = l, took
		}
		if took < lookSlack {
			break
		}
	}
	return best, nil
}
