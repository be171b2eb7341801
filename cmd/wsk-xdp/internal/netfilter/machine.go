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

	chain     string // the base chain that it is in
	natted    bool   // its addresses may be others by now
	untracked Certainty
	marked    bool // its mark may be another by now
}

func (j *judge) drop(sure Certainty) { note(&j.out.Drops, &j.out.DroppedBy, sure, j.chain) }

func (j *judge) translate(sure Certainty) {
	note(&j.out.Translates, &j.out.TranslatedBy, sure, j.chain)
	j.natted = j.natted || sure != No
}

func (j *judge) change(sure Certainty) { note(&j.out.Changes, &j.out.ChangedBy, sure, j.chain) }

func note(is *Certainty, by *string, sure Certainty, chain string) {
	if sure > *is {
		*is, *by = sure, chain
	}
}

// unsure remembers what it was that is not known.
func (j *judge) unsure(what string) {
	if what != "" && !slices.Contains(j.out.DependsOn, what) {
		j.out.DependsOn = append(j.out.DependsOn, what)
	}
}
