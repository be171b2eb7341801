// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// sysctls are the settings of the namespace that no netlink message tells. The files are opened in the namespace and stay its own
// whoever reads them. They are read again on every tick of the table (Options.keepAliveEvery, 5 s), which is how old a setting
// can be, and before every question that the cache does not answer.
type sysctls struct {
	multipath4, multipath6 setting // net.ipv4.fib_multipath_hash_policy, net.ipv6.…
	flowLabels             setting // net.ipv6.auto_flowlabels
	stateless              setting // net.ipv6.flowlabel_state_ranges
	l3mdev                 setting // net.ipv4.udp_l3mdev_accept
	// devices and devices6 are the directories of the settings of devices (net.ipv4.conf, net.ipv6.conf), nil when there is none.
	devices, devices6 *os.File
}

// setting is one file.
type setting struct {
	file *os.File // nil: there is no such file, value is the default
	// value is what was read last.
	value atomic.Int32
}

const sysctlRoot = "/proc/sys/net/"

// openSysctls must run in the namespace. What isn't there has the value that makes no assumption.
func openSysctls() *sysctls {
	s := &sysctls{}
	for _, f := range []struct {
		set       *setting
		name      string
		otherwise int32
	}{
		{&s.multipath4, "ipv4/fib_multipath_hash_policy", hashL3},
		{&s.multipath6, "ipv6/fib_multipath_hash_policy", hashL3},
		{&s.flowLabels, "ipv6/auto_flowlabels", labelsOptOut},
		{&s.stateless, "ipv6/flowlabel_state_ranges", 0},
		{&s.l3mdev, "ipv4/udp_l3mdev_accept", 0},
	} {
		f.set.value.Store(f.otherwise)
		file, err := os.Open(sysctlRoot + f.name)
		if err == nil {
			f.set.file = file
			f.set.read()
		} else if !errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(f.name, "ipv4/fib") {
			f.set.value.Store(hashL4) // unknown: ask with the ports
		}
	}
	s.devices, _ = os.Open(sysctlRoot + "ipv4/conf")
	s.devices6, _ = os.Open(sysctlRoot + "ipv6/conf")
	return s
}

func (s *sysctls) settings() []*setting {
	return []*setting{&s.multipath4, &s.multipath6, &s.flowLabels, &s.stateless, &s.l3mdev}
}

func (s *sysctls) close() {
	for _, set := range s.settings() {
		set.file.Close() // nil is allowed
	}
	s.devices.Close()
	s.devices6.Close()
}

// refresh reads all settings and reports whether one has changed.
func (s *sysctls) refresh() (changed bool) {
	for _, set := range s.settings() {
		if set.read() {
			changed = true
		}
	}
	return changed
}

// read reports whether the value is another one than before.
func (s *setting) read() (changed bool) {
	v, err := readNumber(s.file)
	return err == nil && s.value.Swap(v) != v
}

// numbers are buffers for readNumber: what is read through an interface would escape.
var numbers = sync.Pool{New: func() any { return new([16]byte) }}

func readNumber(f *os.File) (int32, error) {
	if f == nil {
		return 0, os.ErrNotExist
	}
	b := numbers.Get().(*[16]byte)
	defer numbers.Put(b)
	n, err := f.ReadAt(b[:], 0)
	if n == 0 {
		return 0, err
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(b[:n])), 10, 32)
	return int32(v), err
}

// Values of fib_multipath_hash_policy (Documentation/networking/ip-sysctl.rst): addresses; addresses and ports; addresses, of
// the inner packet if there is one; what fib_multipath_hash_fields says.
const (
	hashL3     = 0
	hashL4     = 1
	hashInner  = 2
	hashCustom = 3
)

// Values of net.ipv6.auto_flowlabels (Documentation/networking/ip-sysctl.rst): never; unless the socket opts out; if it opts
// in; always.
const (
	labelsOff    = 0
	labelsOptOut = 1
	labelsOptIn  = 2
	labelsForced = 3
)

// hashesPorts reports whether the choice between the next hops of a multipath route depends on ports.
func (s *sysctls) hashesPorts(dst netip.Addr) bool {
	set := &s.multipath6
	if dst.Is4() {
		set = &s.multipath4
	}
	policy := set.value.Load()
	return policy != hashL3 && policy != hashInner
}
