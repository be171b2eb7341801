// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// rateKept is how far the mean rate may be below the one asked for, in millionths.
const rateKept = -10_000

// trouble is one thing that went wrong.
type trouble struct{ id, text string }

// Joint enters what the peer has counted. It goes behind Fill. What the sender knows to have failed never left, and is not
// the way's or the peer's loss.
func (r *Report) Joint(p *peer.Report) {
	p.Lost -= min(p.Lost, r.Totals.Failed)
	r.Peer = p
}

// NothingReceived is whether the peer has got nothing of what was sent, as it was sent. Something else may have gone wrong
// before that.
func (r *Report) NothingReceived() bool {
	p := r.Peer
	return p != nil && r.Totals.Completed > 0 && p.Received+p.Duplicate+p.Late == 0
}

// arrivals is everything about what arrived that a reader of one line has to know, the worst first.
func (r *Report) arrivals() (out []trouble) {
	if r.PeerError != "" {
		out = append(out, trouble{"peer_lost", "the peer's report is missing: " + r.PeerError})
	}
	p := r.Peer
	if p == nil {
		return out
	}
	add := func(id string, n uint64, text string) {
		if n > 0 {
			out = append(out, trouble{id, units.Grouped(n) + " " + text})
		}
	}
	switch {
	case r.NothingReceived() && p.Corrupt+p.Refused == 0:
		return append(out, trouble{"nothing_arrived", fmt.Sprintf("nothing arrived at the peer: %s packets were sent", units.Grouped(r.Totals.Completed))})
	case p.Lost > 0:
		out = append(out, trouble{"loss", r.lossText()})
	}
	add("corrupt", p.Corrupt, "came corrupt")
	add("late", p.Late, "came too late to be told apart")
	add("duplicate", p.Duplicate, "came again")
	if p.Reordered > 0 {
		out = append(out, trouble{"reordered", fmt.Sprintf("%s reordered, by %s at most", units.Grouped(p.Reordered), units.Plural(int(p.Extent), "place"))})
	}
	add("refused", p.Refused, "were too many streams for the peer's memory")
	if !p.Balanced {
		out = append(out, trouble{"unbalanced", "the peer's sums do not come out even"})
	}
	return out
}

// lossText says how many were lost, and where as far as the receiver's counters tell. A number that is missing because its
// datagram came corrupt, or was refused, was not lost on the way.
func (r *Report) lossText() string {
	p := r.Peer
	dropped, sure := uint64(0), uint64(0) // sure is of what came to the receiver
	causes := make([]string, 0, len(p.Drops))
	for cause := range p.Drops {
		causes = append(causes, cause)
	}
	slices.Sort(causes)
	for i, cause := range causes {
		dropped += p.Drops[cause]
		causes[i] = fmt.Sprintf("%s %s", strings.ReplaceAll(cause, "_", " "), units.Grouped(p.Drops[cause]))
		if peer.Shared(p.Engine, cause) {
			causes[i] += " in its network namespace"
		} else {
			sure += p.Drops[cause]
		}
	}
	text := fmt.Sprintf("%s of %s lost", units.Grouped(p.Lost), units.Grouped(r.Totals.Submitted))
	came := min(p.Corrupt+p.Refused, p.Lost)
	rest, at := p.Lost-came, strings.Join(causes, ", ")
	if came > 0 {
		return text + cameText(came, rest, dropped, sure, at)
	}
	switch {
	case dropped == 0:
		return text + " on the way: the peer has dropped none"
	case sure >= p.Lost:
		return text + " at the peer (" + at + ")"
	case sure < dropped:
		return fmt.Sprintf("%s, of which the peer dropped up to %s (%s) and the way the others", text, units.Grouped(min(dropped, p.Lost)), at)
	default:
		return fmt.Sprintf("%s, of which the peer dropped %s (%s) and the way the others", text, units.Grouped(dropped), at)
	}
}

// cameText is about lost ones some of which came all the same.
func cameText(came, rest, dropped, sure uint64, at string) string {
	const how = " came to the peer corrupt or were refused there"
	if rest == 0 {
		return ", all of which" + how
	}
	text := ", of which " + units.Grouped(came) + how
	switch {
	case dropped == 0:
		return text + " and the way lost the others"
	case sure >= rest:
		return text + " and the peer dropped the others (" + at + ")"
	case sure < dropped:
		return fmt.Sprintf("%s, the peer dropped up to %s (%s) and the way the others", text, units.Grouped(min(dropped, rest)), at)
	default:
		return fmt.Sprintf("%s, the peer dropped %s (%s) and the way the others", text, units.Grouped(dropped), at)
	}
}

// What may keep a run from being faster.
const (
	limitRate     = "rate"
	limitPeerCPU  = "peer_cpu"
	limitReceiver = "receiver_buffer"
	limitLink     = "link"
	limitCPU      = "cpu"
	limitRing     = "ring"
	limitBuffer   = "send_buffer"
)

var limitWords = map[string]string{
	limitRate: "the rate", limitPeerCPU: "the peer's processor", limitReceiver: "the receiver's buffer", limitLink: "the link",
	limitCPU: "the processor", limitRing: "the ring", limitBuffer: "the socket's send buffer",
}

// busy is the share of a processor from which on it is what limits.
const busy = 0.9

// blocked is the share of the time of sending from which on waiting for IRPs is what limits.
const blocked = 0.1

// limit is what kept the run from being faster, empty where it was too short to tell. speed is that of the link in bits a
// second, 0 if that is not known; waited is how long threads of this process were ready to run and had no processor.
func (r *Report) limit(speed uint64, waited time.Duration) string {
	if r.TooShort != "" || r.CPU == nil {
		return ""
	}
	if p := r.Pacing; p != nil && p.Error != nil && *p.Error >= rateKept {
		return limitRate
	}
	if p := r.Peer; p != nil && p.Lost > 0 && p.Full() {
		if float64(p.CPU) >= busy*float64(p.Elapsed) {
			return limitPeerCPU
		}
		return limitReceiver
	}
	if bits := r.Totals.L1Bits; speed > 0 && bits != nil && float64(*bits) >= 0.97*float64(speed) {
		return limitLink
	}
	used := float64(r.CPU.User + r.CPU.System + waited.Nanoseconds())
	if used < busy*float64(r.Totals.Elapsed) && float64(r.Totals.Blocked) >= blocked*float64(r.Totals.Sending) {
		if isSockets(r.Config.Engine) {
			return limitBuffer
		}
		return limitRing
	}
	return limitCPU // also where the processor came too late for what was due
}

// Limit enters what kept the run from being faster. It goes behind Cost and Joint, before Conclude.
func (r *Report) Limit(speed uint64, waited time.Duration) { r.LimitedBy = r.limit(speed, waited) }

// receivedText is what became of what arrived, for the table.
func (r *Report) receivedText() string {
	p := r.Peer
	text := fmt.Sprintf("lost %s · dup %s · reordered %s · late %s", units.Grouped(p.Lost), units.Grouped(p.Duplicate), units.Grouped(p.Reordered),
		units.Grouped(p.Late))
	if p.Corrupt > 0 {
		text += " · corrupt " + units.Grouped(p.Corrupt)
	}
	return text
}

// receivedRate is how fast packets came in at the peer, nil where that is too short to tell.
func (r *Report) receivedRate() *float64 {
	p := r.Peer
	if r.TooShort != "" || p.Receiving < leastSending.Nanoseconds() {
		return nil
	}
	return new(float64(p.Received) / time.Duration(p.Receiving).Seconds())
}
