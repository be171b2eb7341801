// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"net/netip"
	"slices"
)

// State is that of a connection, as rules see it (ct state).
type State uint32

// States; 0 is one that is not known.
const (
	Established State = 1 << 1
	New         State = 1 << 3
	invalid     State = 1 << 0 // before connections are tracked, too
	untracked   State = 1 << 6
)

// Datagram is one of UDP that rules are asked about. What is left out is not known, and a rule that looks at it may do either.
type Datagram struct {
	Source, Destination         netip.Addr
	SourcePort, DestinationPort uint16
	// In and Out are the names of the interfaces, InIndex and OutIndex their numbers. One that leaves has come in by none.
	In, Out           string
	InIndex, OutIndex int
	State             State
	// Owner is the user of the socket that sends; negative: no socket, or not known.
	Owner int64
	// Masquerade is what masquerading gives it as a source, if that is known.
	Masquerade netip.Addr
	// Elsewhere says that its destination is an address of another host, and of one alone.
	Elsewhere bool
	// Translated says that rules of NAT may give it other addresses and ports than these, or have.
	Translated bool
	// Ambiguous says that rules may see it with other interfaces than these, too, as those of a VRF do.
	Ambiguous bool
}

// Judgement is what rules do to a datagram.
type Judgement struct {
	// Drops is whether it is dropped or rejected, DroppedBy the chain that does, or may.
	Drops     Certainty `json:"drops"`
	DroppedBy string    `json:"dropped_by,omitempty"`
	// Translates is whether its addresses are translated (NAT), TranslatedBy the chain that does.
	Translates   Certainty `json:"translates"`
	TranslatedBy string    `json:"translated_by,omitempty"`
	// Changes is whether it is changed, marked, copied or given to a program.
	Changes   Certainty `json:"changes"`
	ChangedBy string    `json:"changed_by,omitempty"`
	// Untracked is whether rules keep it out of connection tracking.
	Untracked Certainty `json:"-"`
	// DependsOn is what these rules look at and is not known.
	DependsOn []string `json:"depends_on,omitempty"`
}

// judge follows a datagram.
type judge struct {
	rules ruleset
	sets  sets
	d     Datagram
	out   Judgement
	regs  registers

	at        place // the base chain that it is in
	natted    bool  // its addresses and ports may be others by now
	rewritten bool  // so may every byte of its headers
	rerouted  bool  // so may the interface that it leaves by
	marked    bool  // so may its mark
	untracked Certainty
	mapped    Certainty // whether a rule of NAT has decided at this hook
	budget    int       // how many rules may still be looked at
}

// place is where a datagram is: a base chain.
type place struct {
	hook     Hook
	chain    string
	typ      string // filter, nat or route
	netdev   bool   // of that family
	priority int32
}

func (j *judge) drop(sure Certainty) { note(&j.out.Drops, &j.out.DroppedBy, sure, j.at.chain) }

// translate notes that addresses are translated. Another destination may lead out by another interface.
func (j *judge) translate(sure Certainty) {
	note(&j.out.Translates, &j.out.TranslatedBy, sure, j.at.chain)
	j.natted = j.natted || sure != No
	j.rerouted = j.rerouted || sure != No && j.at.hook == Output
}

// maps notes that a rule of NAT decides, and whether it gives other addresses.
func (j *judge) maps(other, decides Certainty) {
	j.translate(other)
	j.mapped = max(j.mapped, decides)
}

// change notes that something is changed. What chains of type route change is routed anew.
func (j *judge) change(sure Certainty) {
	note(&j.out.Changes, &j.out.ChangedBy, sure, j.at.chain)
	j.rerouted = j.rerouted || sure != No && j.at.typ == "route"
}

// rewrite notes that headers are written over.
func (j *judge) rewrite(sure Certainty) {
	j.change(sure)
	if sure != No {
		j.natted, j.rewritten = true, true
	}
}

// anything notes that it is not known what becomes of it.
func (j *judge) anything(sure Certainty) {
	sure = min(sure, Maybe)
	j.drop(sure)
	j.translate(sure)
	j.rewrite(sure)
	j.marked = j.marked || sure != No
}

func note(is *Certainty, by *string, sure Certainty, chain string) {
	if sure > *is {
		*is, *by = sure, chain
	}
}

// mostReasons is how much of what is not known is told.
const mostReasons = 12

// unsure remembers what it was that is not known.
func (j *judge) unsure(what string) {
	if what != "" && len(j.out.DependsOn) < mostReasons && !slices.Contains(j.out.DependsOn, what) {
		j.out.DependsOn = append(j.out.DependsOn, what)
	}
}
