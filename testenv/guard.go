// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// Capability is something a test needs from the machine; they combine with |.
type Capability uint8

const (
	// Root is user 0 outside user namespaces.
	Root Capability = 1 << iota
	// NetNS is to make network namespaces with veth pairs in them: as root, or inside a user namespace of one's own.
	NetNS
	// AFXDP is to make AF_XDP sockets inside such a namespace.
	AFXDP
	// XDPProgram is to load and attach an XDP program: CAP_BPF and CAP_NET_ADMIN outside user namespaces.
	XDPProgram
)

var capabilityNames = []struct {
	c      Capability
	name   string
	remedy string
}{
	{Root, "root", "sudo -E go test"},
	{NetNS, "network namespaces", "unshare -Urn go test, or sudo -E go test"},
	{AFXDP, "AF_XDP sockets", "unshare -Urn go test, or sudo -E go test, on a kernel with CONFIG_XDP_SOCKETS"},
	{XDPProgram, "XDP programs", "sudo -E go test"},
}

// String returns the names, joined.
func (c Capability) String() string {
	var out []string
	for _, n := range capabilityNames {
		if c&n.c != 0 {
			out = append(out, n.name)
		}
	}
	return strings.Join(out, ", ")
}

// MissingError says what the machine lacks, why, and what to run instead.
type MissingError struct {
	Capability Capability // one bit
	Reason     error
	Remedy     string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("needs %v: %v; try: %s", e.Capability, e.Reason, e.Remedy)
}

// Unwrap returns the reason.
func (e *MissingError) Unwrap() error { return e.Reason }

// Check returns nil if the machine has everything asked for, else a *MissingError for the first thing it lacks. Each
// is tried once per process, for real.
func Check(c Capability) error {
	for _, n := range capabilityNames {
		if c&n.c == 0 {
			continue
		}
		if err := probe(n.c); err != nil {
			return &MissingError{n.c, err, n.remedy}
		}
	}
	return nil
}

// skipped remembers the tests that Require and Skipf skipped, for Main to report.
var skipped struct {
	sync.Mutex
	tests []string
}

// Require ends the test if the machine lacks something. It skips, with the reason and the command that would make the
// test run; but where CI is set to true, and as root, a test that cannot run has failed. A skip that is meant there
// is named in WSKXDP_ALLOW_SKIP, a comma-separated list of test names.
func Require(t TB, c Capability) {
	t.Helper()
	err := Check(c)
	if err == nil {
		return
	}
	allowed := slices.Contains(strings.Split(os.Getenv("WSKXDP_ALLOW_SKIP"), ","), t.Name())
	if mustRun() && !allowed {
		t.Fatalf("%v (a skip is a failure here: CI is set, or this is root)", err)
	}
	Skipf(t, "%v", err)
}

// Skipf skips a test, and has Main name it. It is for what no machine needs to have, not even one of CI: a program that is
// not ours, say.
func Skipf(t TB, format string, args ...any) {
	t.Helper()
	skipped.Lock()
	skipped.tests = append(skipped.tests, t.Name())
	skipped.Unlock()
	t.Skipf(format, args...)
}

// Skipped returns the names of the tests that Require and Skipf skipped in this process.
func Skipped() []string {
	skipped.Lock()
	defer skipped.Unlock()
	return slices.Clone(skipped.tests)
}

func mustRun() bool {
	ci := os.Getenv("CI")
	return ci != "" && ci != "false" && ci != "0" || isRoot() == nil
}
