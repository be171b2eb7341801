// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// maxInterfaces is as many as a grant has bits for.
const maxInterfaces = 64

// Mode is how the queues of an interface are opened.
type Mode string

// Modes.
const (
	ModeAuto     Mode = "auto"
	ModeZeroCopy Mode = "zerocopy"
	ModeCopy     Mode = "copy"
)

// Interface is what the file says of an interface that the daemon uses.
type Interface struct {
	Name    string
	Queues  int
	Mode    Mode
	Receive bool
	Spread  bool
}

// Policy is a file that has been found to be in order. It never changes.
type Policy struct {
	// Interfaces are those of the file, ordered by name. Flow, Bind and the methods of Grant name them by their places
	// here.
	Interfaces []Interface

	rules []rule
}

// Identity is who a client is, as the kernel says.
type Identity struct {
	UID      uint32
	GID      uint32
	Groups   []uint32 // the supplementary ones
	Listener string   // the name of the socket through which the client has come
	// InUnit says whether the process is in a systemd unit. It is called only when all else of a rule matches. nil: it
	// is in none.
	InUnit func(unit string) bool
}

// rule is an [[allow]] or a [[deny]].
type rule struct {
	name  string
	at    position
	uid   *uint32
	gids  []uint32 // all of them
	unit  string
	lname string // of the listener
	grant *Grant // nil: [[deny]]
}

// Match finds the rule that decides for a client: the first of the file that matches. grant is nil when that is a
// [[deny]], whose name is rule, or when there is none, and rule is empty: both are policy.not_granted.
func (p *Policy) Match(id *Identity) (grant *Grant, rule string) {
	for i := range p.rules {
		if r := &p.rules[i]; r.matches(id) {
			return r.grant, r.name
		}
	}
	return nil, ""
}

// Grants are all grants in the order of the file.
func (p *Policy) Grants() []*Grant {
	var list []*Grant
	for i := range p.rules {
		if g := p.rules[i].grant; g != nil {
			list = append(list, g)
		}
	}
	return list
}

func (r *rule) matches(id *Identity) bool {
	if r.uid != nil && *r.uid != id.UID || r.lname != "" && r.lname != id.Listener {
		return false
	}
	for _, gid := range r.gids {
		if gid != id.GID && !slices.Contains(id.Groups, gid) {
			return false
		}
	}
	return r.unit == "" || id.InUnit != nil && id.InUnit(r.unit)
}
