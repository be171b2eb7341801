// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// holders asks which AF_XDP sockets are bound to the interface, and looks for their processes. It goes before
// everything that binds sockets of this process.
func (f *InterfaceFacts) holders() {
	h := nic.FindHolders(f.Index)
	f.Holders, f.HoldersKnown, f.Sockets, f.Candidates = []HolderFacts{}, answer(h.Err), h.Sockets, processFacts(h.Candidates)
	for _, b := range h.Bound {
		f.Holders = append(f.Holders, HolderFacts{b.Queue, b.Inode, b.UID, append([]ProcessFacts{}, processFacts(b.Processes)...)})
		f.TakenQueues = append(f.TakenQueues, int(b.Queue))
	}
	slices.Sort(f.TakenQueues)
	f.TakenQueues = slices.Compact(f.TakenQueues)
	f.held = h
}

func processFacts(list []nic.Process) (facts []ProcessFacts) {
	for _, p := range list {
		facts = append(facts, ProcessFacts{p.PID, p.Name})
	}
	return facts
}

// settleTaken says whether TakenQueues are all. netdev-genl lists queues on kernels that never say which are held; the
// trial knows whether this one does.
func (f *InterfaceFacts) settleTaken(t *TrialFacts) {
	f.TakenKnown = f.HoldersKnown.Yes() || f.TakenKnown && t != nil && t.Taken.Yes()
}

// taken is about queues that somebody else has.
func (c *checker) taken(i *InterfaceFacts) {
	switch {
	case len(i.TakenQueues) > 0:
		level := Note
		if slices.Contains(i.TakenQueues, 0) {
			level = Warn
		}
		c.add("WX-QUEUE-02", level, "another AF_XDP socket holds queue "+strings.Trim(fmt.Sprint(i.TakenQueues), "[]"),
			"a bind there ends in EBUSY; "+i.whoHolds(), "end that process, or use the other queues")
	case i.TakenKnown:
		c.add("WX-QUEUE-02", OK, "no AF_XDP socket holds a queue, as far as the kernel tells", "", "")
	default:
		c.add("WX-QUEUE-02", Note, "not known which queues AF_XDP sockets hold", i.held.Unknown(), "a bind to a queue that is taken ends in EBUSY")
	}
}

// whoHolds puts the queues of one holder together.
func (i *InterfaceFacts) whoHolds() string {
	var words []string
	for n := 0; n < len(i.TakenQueues); {
		who, first := i.held.Describe(uint32(i.TakenQueues[n])), n
		for n < len(i.TakenQueues) && i.held.Describe(uint32(i.TakenQueues[n])) == who {
			n++
		}
		words = append(words, fmt.Sprintf("queue %s: %s", strings.Trim(fmt.Sprint(i.TakenQueues[first:n]), "[]"), who))
	}
	return strings.Join(words, "; ")
}

// diag is about sock_diag, which a kernel of any age may have or lack.
func (c *checker) diag(a Answer) {
	const name = "naming the process that holds a queue (sock_diag of AF_XDP)"
	switch {
	case a.Yes():
		c.add("WX-DIAG-01", OK, name+": yes", "", "")
	case a.No():
		c.add("WX-DIAG-01", Note, name+": no", a.Reason, "modprobe xsk_diag, or a kernel with CONFIG_XDP_SOCKETS_DIAG, if you need it")
	default:
		c.add("WX-DIAG-01", Note, name+": not known", a.Reason, "")
	}
}
