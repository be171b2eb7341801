// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// TestFeatures: what is read and set is what the library reads, of any interface, also once the names are known.
func TestFeatures(t *testing.T) {
	lab := newLab(t, 1)
	inNS(t, lab.A, func() error {
		library, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer library.Close()
		name := lab.A.If.Name()
		agree := func(name string) map[string]bool {
			t.Helper()
			got, err := nic.Features(name)
			want, libraryErr := library.Features(name)
			if err != nil || libraryErr != nil || len(want) < 20 || !maps.Equal(got, want) {
				t.Fatalf("%s: %v, %v\nwant %v, %v", name, got, err, want, libraryErr)
			}
			return got
		}
		agree("lo")
		before := agree(name)
		// A veth can have either of them on or off. The second is in the second word of the kernel's.
		for _, on := range []bool{false, true} {
			change := map[string]bool{"tx-scatter-gather": on, "rx-gro-list": on}
			if err := nic.SetFeatures(name, change); err != nil {
				t.Fatal(err)
			}
			now := agree(name)
			for feature, want := range change {
				if _, known := before[feature]; !known || now[feature] != want {
					t.Errorf("%s is %v, want %v", feature, now[feature], want)
				}
			}
			if now["highdma"] != before["highdma"] {
				t.Error("highdma has changed")
			}
		}
		for _, wrong := range []string{"eth77", "a-name-longer-than-any"} {
			if _, err := nic.Features(wrong); !errors.Is(err, unix.ENODEV) {
				t.Errorf("%s: %v", wrong, err)
			}
		}
		if err := nic.SetFeatures(name, map[string]bool{"tx-warp": true}); err == nil {
			t.Error("a feature that is none was set")
		}
		return nil
	})
}
