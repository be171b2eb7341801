// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Require is what a user will not do without. It implements pflag.Value.
type Require uint8

// What can be required.
const (
	RequireNothing Require = iota
	RequireAFXDP
	RequireZeroCopy
)

var requireNames = [...]string{RequireNothing: "", RequireAFXDP: "afxdp", RequireZeroCopy: "zerocopy"}

// String is the word on the command line, empty for nothing.
func (r Require) String() string { return requireNames[r] }

// Type names the form in help texts.
func (r *Require) Type() string { return "afxdp|zerocopy" }

// Set parses the word.
func (r *Require) Set(s string) error {
	for i, name := range requireNames {
		if s == name && s != "" {
			*r = Require(i)
			return nil
		}
	}
	return fmt.Errorf("%q is neither afxdp nor zerocopy", s)
}

// Mode is xdp.Mode on the command line. It implements pflag.Value.
type Mode xdp.Mode

var modeNames = map[string]xdp.Mode{"auto": xdp.ModeAuto, "copy": xdp.ModeCopy, "zerocopy": xdp.ModeZeroCopy}

// String is the word on the command line.
func (m Mode) String() string {
	for name, mode := range modeNames {
		if mode == xdp.Mode(m) {
			return name
		}
	}
	return "auto"
}

// Type names the form in help texts.
func (m *Mode) Type() string { return "auto|copy|zerocopy" }

// Set parses the word.
func (m *Mode) Set(s string) error {
	mode, ok := modeNames[s]
	if !ok {
		return fmt.Errorf("%q is none of auto, copy, zerocopy", s)
	}
	*m = Mode(mode)
	return nil
}
