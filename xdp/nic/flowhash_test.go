// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic_test

import (
	"errors"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

func TestFlowHashWords(t *testing.T) {
	for h, want := range map[nic.FlowHash]string{
		0: "none", nic.HashFlow: "sdfn", nic.HashIPSource | nic.HashIPDest: "sd", nic.HashPortDest: "n", 1 << 40: "none",
	} {
		if h.String() != want {
			t.Errorf("%#x is called %q, want %q", uint64(h), h, want)
		}
	}
	if (nic.HashIPSource | nic.HashIPDest).Ports() || !nic.HashFlow.Ports() {
		t.Error("Ports")
	}
}

// A veth has no hardware that hashes: the answer is no, not a failure.
func TestFlowHashOfVeth(t *testing.T) {
	lab := newLab(t, 2)
	name := lab.A.If.Name()
	inNS(t, lab.A, func() error {
		files := openFiles(t)
		if h, err := nic.UDPFlowHash(name, false); !errors.Is(err, nic.ErrNotSupported) {
			t.Errorf("hash %v, %v", h, err)
		}
		if err := nic.SetUDPFlowHash(name, true, nic.HashFlow); !errors.Is(err, nic.ErrNotSupported) {
			t.Errorf("set: %v", err)
		}
		if _, err := nic.UDPFlowHash("nowhere", false); err == nil || errors.Is(err, nic.ErrNotSupported) {
			t.Errorf("an interface that is not there: %v", err)
		}
		// The beginning of a name that is too long may be the name of another interface.
		br := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
		br.Name = "abcdefghijklmno"
		if err := netlink.LinkAdd(br); err != nil {
			return err
		}
		if err := nic.SetUDPFlowHash(br.Name+"p", false, nic.HashFlow); !errors.Is(err, unix.ENODEV) {
			t.Errorf("a name of %d bytes: %v", len(br.Name)+1, err)
		}
		if got := openFiles(t); got != files {
			t.Errorf("%d descriptors, %d before", got, files)
		}
		return nil
	})
}

// openFiles is the number of descriptors of the process.
func openFiles(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Error(err)
	}
	return len(e)
}
