// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

// objectSpecs returns the committed objects for both byte orders; reading one needs no privilege and no kernel.
func objectSpecs(t *testing.T) map[string]*ebpf.CollectionSpec {
	t.Helper()
	specs := map[string]*ebpf.CollectionSpec{}
	for _, name := range []string{"wskxdp_bpfel.o", "wskxdp_bpfeb.o"} {
		spec, err := ebpf.LoadCollectionSpec(name)
		must(t, err)
		specs[name] = spec
	}
	return specs
}

// TestEnumsMatchObject compares the Go constants with the enums that the objects were compiled with: neither may have a value that the
// other lacks, and names must mean the same.
func TestEnumsMatchObject(t *testing.T) {
	reasons := map[string]uint64{"WSKXDP_REASONS": uint64(NumReasons)}
	for r := range NumReasons {
		if r.String() == "" {
			t.Errorf("reason %d has no name", uint32(r))
		}
		reasons["WSKXDP_"+strings.ToUpper(r.String())] = uint64(r)
	}
	for enum, want := range map[string]map[string]uint64{
		"wskxdp_reason": reasons,
		"wskxdp_flag":   {"WSKXDP_MULTICAST": uint64(MatchMulticast), "WSKXDP_BROADCAST": uint64(MatchBroadcast)},
		"wskxdp_kind":   {"WSKXDP_UNICAST": uint64(kindUnicast), "WSKXDP_DIRECTED_BROADCAST": uint64(kindBroadcast)},
	} {
		for object, spec := range objectSpecs(t) {
			var e *btf.Enum
			must(t, spec.Types.TypeByName(enum, &e))
			got := map[string]uint64{}
			for _, v := range e.Values {
				got[v.Name] = v.Value
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("enum %s of %s (-Go +C):\n%s", enum, object, diff)
			}
		}
	}
}

// TestObjectsAreWhatTheLoaderExpects: sections, licence, names that the kernel does not cut, map types and sizes.
func TestObjectsAreWhatTheLoaderExpects(t *testing.T) {
	for object, spec := range objectSpecs(t) {
		programs := map[string]string{}
		for name, p := range spec.Programs {
			programs[name] = p.SectionName
			if p.License != "Dual BSD/GPL" || p.Type != ebpf.XDP || len(name) > 15 {
				t.Errorf("%s: program %s: licence %q, type %v", object, name, p.License, p.Type)
			}
		}
		sections := map[string]string{
			"wskxdp": "xdp", "wskxdp_frags": "xdp.frags", "wskxdp_tags": "xdp.frags", "wskxdp_strict": "xdp", "wskxdp_s_tags": "xdp",
		}
		if diff := cmp.Diff(sections, programs); diff != "" {
			t.Errorf("%s: programs (-want +got):\n%s", object, diff)
		}
		got := map[string]string{}
		for name, m := range spec.Maps {
			got[name] = fmt.Sprintf("%v %d %d", m.Type, m.KeySize, m.ValueSize)
			if len(name) > 15 {
				t.Errorf("%s: the kernel cuts the name of map %s", object, name)
			}
		}
		want := map[string]string{
			"wskxdp_xsks":     "XSKMap 4 4",
			"wskxdp_ports":    "Hash 20 4",
			"wskxdp_local":    "Hash 20 4",
			"wskxdp_vlans":    "Array 4 8",
			"wskxdp_merged":   "Array 4 4",
			"wskxdp_counters": fmt.Sprintf("PerCPUArray 4 %d", 8*NumReasons),
			".rodata":         "Array 4 12",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: maps, type key value (-want +got):\n%s", object, diff)
		}
	}
}

// TestObjectsWereMadeFromThisSource holds source and objects to the hashes that scripts/generate.sh recorded, so that an edit without
// regeneration is seen where there is no clang.
func TestObjectsWereMadeFromThisSource(t *testing.T) {
	record, err := os.ReadFile("wskxdp.sum")
	must(t, err)
	recorded := map[string]string{}
	for line := range strings.Lines(string(record)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			t.Fatalf("wskxdp.sum: line %q", line)
		}
		recorded[name] = sum
	}
	present := map[string]string{}
	for _, pattern := range []string{"*.c", "headers/*.h", "gen.go", "wskxdp_bpfe[lb].go", "wskxdp_bpfe[lb].o"} {
		names, err := filepath.Glob(pattern)
		must(t, err)
		for _, name := range names {
			b, err := os.ReadFile(name)
			must(t, err)
			sum := sha256.Sum256(b)
			present[name] = hex.EncodeToString(sum[:])
		}
	}
	if !maps.Equal(recorded, present) {
		t.Errorf("run scripts/generate.sh and commit all of bpf/ (-recorded +present):\n%s", cmp.Diff(recorded, present))
	}
}

func TestSourcesCarryBothLicences(t *testing.T) {
	for _, name := range []string{"wskxdp.c", "headers/kernel.h"} {
		b, err := os.ReadFile(name)
		must(t, err)
		first, _, _ := strings.Cut(string(b), "\n")
		if !strings.Contains(first, "SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)") {
			t.Errorf("%s begins with %q", name, first)
		}
	}
}
