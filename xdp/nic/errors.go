// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotSupported is what errors.Is finds in the answer "no" of a probe, and in a refusal for lack of a feature.
var ErrNotSupported = errors.New("not supported")

// FeatureError is the answer "no" to a question or of a probe: this kernel or driver has not got the feature. errors.Is
// finds ErrNotSupported in it.
type FeatureError struct {
	// Name is the feature in words.
	Name string
	// MinKernel is the oldest kernel tried that has it, such as "6.18", or empty when it depends on the driver. A
	// kernel between that one and the newest tried without it may have it too (docs/kernels.md).
	MinKernel string
	// Detail is what the probe saw, or empty.
	Detail string
}

// Error says what is missing and where to get it.
func (e *FeatureError) Error() string {
	var b strings.Builder
	b.WriteString(e.Name + ": not supported")
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.MinKernel != "" {
		b.WriteString(" (needs Linux " + e.MinKernel + ")")
	}
	return b.String()
}

// Is makes it equal to ErrNotSupported.
func (e *FeatureError) Is(target error) bool { return target == ErrNotSupported }

// notSupportedByDriver turns ethtool's EOPNOTSUPP into the answer "no".
func notSupportedByDriver(name string, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return &FeatureError{Name: name, Detail: "the driver does not tell"}
	}
	return err
}
