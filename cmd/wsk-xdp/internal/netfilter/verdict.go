// SPDX-License-Identifier: Apache-2.0

package netfilter

import "math"

// Certainty is how sure something is.
type Certainty uint8

// The order is that of how sure it is.
const (
	No Certainty = iota
	Maybe
	Yes
)

// String is the word.
func (c Certainty) String() string { return [...]string{"no", "maybe", "yes"}[c] }

// MarshalText writes the word, in documents.
func (c Certainty) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads it.
func (c *Certainty) UnmarshalText(b []byte) error {
	*c = map[string]Certainty{"maybe": Maybe, "yes": Yes}[string(b)]
	return nil
}

func (c Certainty) not() Certainty { return Yes - c }

// Verdicts, of linux/netfilter.h and nf_tables.h.
const (
	codeDrop   int32 = 0
	codeAccept int32 = 1
	codeJump   int32 = -3
	codeGoto   int32 = -4
	codeReturn int32 = -5
	codeQueue  int32 = 3  // a program decides
	codeNone   int32 = -1 // NFT_CONTINUE

	codeAny int32 = math.MinInt32 // what nobody knows here, which may decide anything
)

// verdict is what a rule decides, and how sure it is that it does.
type verdict struct {
	code  int32
	chain string
	sure  Certainty
}
