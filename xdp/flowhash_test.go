// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestFlowHashWords(t *testing.T) {
	for h, want := range map[FlowHash]string{
		0: "none", HashFlow: "sdfn", HashIPSource | HashIPDest: "sd", HashPortDest: "n", 1 << 40: "none",
	} {
		if h.String() != want {
			t.Errorf("%#x is called %q, want %q", uint64(h), h, want)
		}
	}
	if (HashIPSource | HashIPDest).Ports() || !HashFlow.Ports() {
		t.Error("Ports")
	}
}

// A veth has no hardware that hashes: the answer is no, not a failure.
func TestFlowHashOfVeth(t *testing.T) {
	newLab(t, 2, 2)
	files := openFiles(t)
	if h, err := UDPFlowHash("va", false); !errors.Is(err, ErrNotSupported) {
		t.Errorf("hash %v, %v", h, err)
	}
	if err := SetUDPFlowHash("va", true, HashFlow); !errors.Is(err, ErrNotSupported) {
		t.Errorf("set: %v", err)
	}
	if _, err := UDPFlowHash("nowhere", false); err == nil || errors.Is(err, ErrNotSupported) {
		t.Errorf("an interface that is not there: %v", err)
	}
	// The beginning of a name that is too long may be the name of another interface.
	br := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	br.Name = "abcdefghijklmno"
	if err := netlink.LinkAdd(br); err != nil {
		t.Fatal(err)
	}
	if err := SetUDPFlowHash(br.Name+"p", false, HashFlow); !errors.Is(err, unix.ENODEV) {
		t.Errorf("a name of %d bytes: %v", len(br.Name)+1, err)
	}
	if got := openFiles(t); got != files {
		t.Errorf("%d descriptors, %d before", got, files)
	}
}
