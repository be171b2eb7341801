// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
)

// guestPlan is a guest and what it is to do.
type guestPlan struct {
	kernel string
	setup  vm.Setup
	steps  []step
}

// step is one command and what to make of it.
type step struct {
	name    string
	line    string
	timeout time.Duration
	pkg     string // of the tests; empty for facts
}

// kernels are the oldest that is supported, long-term ones since, and the newest there is.
var kernels = []string{"5.10", "6.1", "6.12", "6.18", "newest"}

// zeroCopyKernels are those whose igb and virtio-net have zero-copy: 6.12 refuses it on both.
var zeroCopyKernels = []string{"6.18", "newest"}

// plan says what is run where. full is everything; otherwise what shows most in the time that a push may take.
func plan(root string, full bool) ([]guestPlan, error) {
	var guests []guestPlan
	for _, k := range kernels {
		packages := []string{"bpf", "bpf/memlock", "xdp", "xdp/nic"}
		switch k {
		case "5.10", "newest": // what differs most: a TX cursor that lags and one that does not
			packages = append(packages, "wsk/datapath")
		case "6.1": // whose netlink dumps are interrupted most, and whose verifier is the oldest of these that takes the program of tally
			packages = append(packages, "wsk/route", "wsk/route/conntrack", "cmd/wsk-xdp/internal/doctor", "cmd/wsk-xdp/internal/tally")
		}
		if full {
			packages = []string{
				"bpf", "bpf/memlock", "xdp", "xdp/nic", "testenv", "wsk/route", "wsk/route/conntrack", "wsk/route/ipsec", "wsk/datapath",
				"wsk/netconn", "wsk/replay", "cmd/wsk-xdp", "cmd/wsk-xdp/internal/doctor", "cmd/wsk-xdp/internal/netfilter", "cmd/wsk-xdp/internal/tally",
			}
		}
		g := guestPlan{kernel: k, setup: setup("veth"), steps: []step{vethFacts}}
		for _, p := range packages {
			g.steps = append(g.steps, tests(p, "-test.skip=^"+cardTests, full))
		}
		guests = append(guests, g)
	}
	onCards, err := packagesWith(root, cardTests)
	if err != nil {
		return nil, err
	}
	for _, s := range []string{"igb", "virtio", "virtio1"} {
		for _, k := range kernels {
			if !full && (k != "newest" || s == "virtio1") {
				continue
			}
			g := guestPlan{kernel: k, setup: setup(s), steps: []step{cardFacts}}
			for _, p := range onCards {
				if !slices.Contains(zeroCopyKernels, k) {
					break // what is tested is zero-copy; doctor says that there is none
				}
				g.steps = append(g.steps, tests(p, "-test.run=^"+cardTests, full))
			}
			guests = append(guests, g)
		}
	}
	return guests, nil
}

func setup(name string) vm.Setup {
	s, err := vm.FindSetup(name)
	if err != nil {
		panic(err) // a name in this file
	}
	return s
}

// doctorFile is what the facts leave in the guest's output directory.
const doctorFile = "doctor.json"

// facts are what `wsk-xdp doctor` finds out by trying. It is asked twice, for people and for the table.
var (
	vethFacts = step{name: "doctor", timeout: 2 * time.Minute, line: `
wsk-xdp lab up >/dev/null || exit 1
wsk-xdp --netns wsk-a doctor --try wsk0 && wsk-xdp --netns wsk-a doctor --json --try wsk0 >$WSKXDP_OUT/` + doctorFile + `
code=$?
wsk-xdp lab down >/dev/null || exit 1
exit $code`}
	cardFacts = step{name: "doctor", timeout: 3 * time.Minute, line: `
both() { busybox ip link set $WSKXDP_NIC_A $1 && busybox ip link set $WSKXDP_NIC_B $1; }
carrier() {
  for i in $(seq 200); do
    [ "$(cat /sys/class/net/$WSKXDP_NIC_A/carrier)$(cat /sys/class/net/$WSKXDP_NIC_B/carrier)" = 11 ] && return
    usleep 100000
  done
  echo "no carrier after 20s"; return 1
}
both up && carrier || exit 1
wsk-xdp doctor --try $WSKXDP_NIC_A && carrier && wsk-xdp doctor --json --try $WSKXDP_NIC_A >$WSKXDP_OUT/` + doctorFile + `
code=$?
both down || exit 1
exit $code`}
)

// cardTests begin with this and take the interfaces from WSKXDP_NIC_A and WSKXDP_NIC_B.
const cardTests = "TestNIC"

// allKinds makes a test of the packages in kindTests fail where the kernel lacks a kind of device, and fill the neighbour table, which is one
// for all namespaces of a machine.
const allKinds = "WSKXDP_ALL_KINDS=1"

// kindTests are packages whose tests have to see every kind of device.
var kindTests = []string{"wsk/route", "wsk/datapath", "cmd/wsk-xdp/internal/doctor"}

func tests(pkg, which string, full bool) step {
	s := step{name: pkg, pkg: pkg, timeout: 6 * time.Minute}
	words := []string{testBinary(pkg), vm.TestFlag}
	if full {
		s.timeout = 15 * time.Minute
	} else {
		words = append(words, "-test.short")
	}
	words = append(words, which)
	if slices.Contains(kindTests, pkg) {
		words = append([]string{allKinds}, words...)
	}
	// The test binary's own time-out comes first: it says which test ran.
	s.line = quote(append(words, "-test.timeout="+(s.timeout-20*time.Second).String()))
	if !full {
		s.line = "FLOOD=0.1 STORM=1s " + s.line // see docs/testing.md
	}
	return s
}

// packagesWith finds the packages that have tests whose names begin so.
func packagesWith(root, prefix string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			if d != nil && d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte("\nfunc "+prefix)) {
			dir, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			found = append(found, dir)
		}
		return nil
	})
	slices.Sort(found)
	return slices.Compact(found), err
}
