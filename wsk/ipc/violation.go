// SPDX-License-Identifier: Apache-2.0

package ipc

import "fmt"

// A Violation is a rule of the protocol that a message has broken. Whoever meets one ends the session: the daemon with
// an ERROR that carries it.
type Violation struct {
	Reason Reason
	Type   Type   // of the message; 0 where it has no header
	Rule   string // a sentence without its stop, one of a fixed set: what the message should have been like
	Detail string // what it was like, for people, where that says more; the sender chooses it
}

// Text is the rule and the detail.
func (v *Violation) Text() string {
	if v.Detail == "" {
		return v.Rule
	}
	return v.Rule + ": " + v.Detail
}

func (v *Violation) Error() string {
	if v.Type == 0 {
		return fmt.Sprintf("%s: %s", v.Reason, v.Text())
	}
	return fmt.Sprintf("%s: %s: %s", v.Reason, v.Type, v.Text())
}

const (
	reserved = "reserved bytes are 0"
	size     = "the body has the size of its type"
)

func violation(reason Reason, t Type, rule string) error {
	return &Violation{Reason: reason, Type: t, Rule: rule}
}

// sized refuses a body of another size.
func sized(t Type, body []byte, want int) error {
	if len(body) != want {
		return violation(ReasonBounds, t, size)
	}
	return nil
}

func zeros(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
