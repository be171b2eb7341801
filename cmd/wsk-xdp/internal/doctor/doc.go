// SPDX-License-Identifier: Apache-2.0

// Package doctor finds out what a machine, an interface and a destination are good for, and says what to do about the
// rest.
//
// gather.go and its neighbours look at the machine and only report facts; the check files turn facts into findings and
// touch nothing, so that every finding can be tested without the machine that it is about.
package doctor
