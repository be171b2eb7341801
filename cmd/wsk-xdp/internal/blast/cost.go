// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// Cost enters processor time and what the queues did between two snapshots. It goes behind Fill.
func (r *Report) Cost(cpu host.CPU, before, after datapath.Info) {
	if r.TooShort == "" {
		r.CPU = &CPUReport{User: cpu.User.Nanoseconds(), System: cpu.System.Nanoseconds()}
		if n := r.Totals.Completed; n > 0 {
			r.CPU.PerPacket = uint64(cpu.Total().Nanoseconds()) / n
		}
	}
	r.SlowPath = SlowReport{after.SlowSent - before.SlowSent, after.SlowFailed - before.SlowFailed}
	r.Queues = []QueueReport{}
	for _, q := range after.Queues {
		var b datapath.QueueInfo // zero for a queue that was opened during the run
		for _, old := range before.Queues {
			if old.Interface == q.Interface && old.Queue == q.Queue && goesOn(&old, &q) {
				b = old
			}
		}
		r.Queues = append(r.Queues, QueueReport{
			Interface: q.Interface, Queue: q.Queue, State: q.State,
			Submitted: q.Submitted - b.Submitted, Completed: q.Completed - b.Completed, Dropped: q.Dropped - b.Dropped,
			Kicks: q.Counters.Kicks - b.Counters.Kicks, Saved: q.Counters.KicksSaved - b.Counters.KicksSaved,
			Parked: q.Parked - b.Parked, Rebuilds: q.Rebuilds - b.Rebuilds, Foreign: q.Foreign - b.Foreign,
		})
	}
	r.Carried = r.carried()
}

// goesOn is whether a queue is the one of before: that of an interface that went and came back under its name begins at zero. Whether its
// socket was replaced says nothing, since a queue counts on over that.
func goesOn(old, q *datapath.QueueInfo) bool {
	return q.Submitted >= old.Submitted && q.Completed >= old.Completed && q.Dropped >= old.Dropped && q.Parked >= old.Parked &&
		q.Rebuilds >= old.Rebuilds && q.Foreign >= old.Foreign && q.Counters.Kicks >= old.Counters.Kicks &&
		q.Counters.KicksSaved >= old.Counters.KicksSaved
}

// carried splits the completed packets into those of AF_XDP and those of the kernel's stack. The datapath counts its slow
// path in lists, which may hold many packets, so that what the queues have not sent is the kernel's.
func (r *Report) carried() []Carried {
	completed := r.Totals.Completed
	if engine := r.Config.Engine; engine != EngineWSK && engine != "" { // others who send by WSK name none
		return []Carried{{engine, completed}}
	}
	if r.ByDaemon {
		return []Carried{{EngineDaemon, completed}}
	}
	wsk := completed
	if r.SlowPath.Sent > 0 {
		frames := uint64(0)
		for _, q := range r.Queues {
			frames += q.Completed - min(q.Dropped, q.Completed)
		}
		wsk = min(completed, frames/uint64(max(r.Config.Frames, 1)))
	}
	return []Carried{{EngineWSK, wsk}, {EngineKernel, completed - wsk}}
}

// Interval adds an interval, and returns what it has added.
func (r *Report) Interval(i Interval) IntervalReport {
	out := IntervalReport{
		Start: i.Start.Nanoseconds(), End: i.End.Nanoseconds(), Submitted: i.Counts.Submitted, Completed: i.Counts.Completed,
		Failed: i.Counts.Failed, InFlight: i.InFlight, P50: i.Latency.P50, P99: i.Latency.P99, Step: i.Step,
	}
	r.step(&out)
	r.Intervals = append(r.Intervals, out)
	return out
}

// step adds an interval to the step of the schedule that it began in.
func (r *Report) step(i *IntervalReport) {
	if i.Step == 0 {
		return
	}
	if n := len(r.Steps); n == 0 || r.Steps[n-1].Step != i.Step {
		asked := r.Config.Schedule[i.Step-1]
		r.Steps = append(r.Steps, StepReport{
			Step: i.Step, Asked: asked.Asked, Rate: Rate(asked.MicroRate).Whole(), MicroRate: asked.MicroRate, Start: i.Start,
		})
	}
	s := &r.Steps[len(r.Steps)-1]
	s.End = i.End
	s.Submitted += i.Submitted
	s.Completed += i.Completed
	s.Failed += i.Failed
}
