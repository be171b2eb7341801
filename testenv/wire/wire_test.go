// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// unseen are kinds of cases that this kernel makes impossible to tell apart.
func unseen() []string {
	if testenv.KernelAtLeast(6, 8) {
		return nil
	}
	return []string{"tag beside"} // docs/host.md
}

// TestShort sends some frames; `make wire WIRE=1000000` sends many.
func TestShort(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	seed := testenv.Seed(t)
	r, err := Run(t.Context(), Config{Seed: seed, Frames: 20_000, Most: 1, Ignore: unseen()})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i := range r.Found {
		r.Found[i].Write(&out)
	}
	if len(r.Found) != 0 {
		t.Errorf("again: go run ./testenv/cmd/wire -n 20000 -seed %d\n%s", seed, out.String())
	}
	if r.Redirected < 2000 || r.Companion < 500 || r.Delivered < 4000 || r.Allowed[PartialChecksum] == 0 {
		t.Errorf("%d frames through XDP, %d datagrams through the kernel, %d delivered, allowed %v", r.Redirected, r.Companion, r.Delivered, r.Allowed)
	}
}

// TestGeneric is TestShort with the program in generic mode, where it does not see tags beside frames.
func TestGeneric(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	seed := testenv.Seed(t)
	r, err := Run(t.Context(), Config{Seed: seed, Frames: 10_000, Most: 1, Mode: bpf.Generic, Ignore: []string{"tag beside"}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i := range r.Found {
		r.Found[i].Write(&out)
	}
	if len(r.Found) != 0 || r.Redirected < 1000 {
		t.Errorf("again: go run ./testenv/cmd/wire -generic -n 10000 -seed %d\n%d frames through XDP\n%s", seed, r.Redirected, out.String())
	}
}

// TestFindsDifference: without its entry on the list a difference is found, alone and in one frame.
func TestFindsDifference(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	r, err := Run(t.Context(), Config{Seed: 1, Frames: 20_000, Most: 1, Ignore: unseen(), strict: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Found) == 0 {
		t.Fatal("no difference was found")
	}
	f := r.Found[0]
	if !slices.Contains(f.Case.What, PartialChecksum) || len(f.Case.Frames) != 1 || len(f.Kernel) != 0 || len(f.WSK) != 1 {
		t.Errorf("%+v", f)
	}
	var out strings.Builder
	f.Write(&out)
	if !strings.Contains(out.String(), "only WSK") || !strings.Contains(out.String(), "frame of") {
		t.Errorf("printed %s", out.String())
	}
}

func testGenerator(seed uint64) *generator {
	return &generator{r: rand.New(rand.NewPCG(seed, 1)), w: &setting{
		macA: []byte{2, 0, 0, 0, 0, 1}, macB: []byte{2, 0, 0, 0, 0, 2}, a4: netip.MustParseAddr("10.77.0.1"), b4: netip.MustParseAddr("10.77.0.2"),
		a6: netip.MustParseAddr("fd77::1"), b6: netip.MustParseAddr("fd77::2"),
	}}
}

// TestGenerator: the same seed makes the same frames, plain ones are right to an independent decoder, and every kind comes up.
func TestGenerator(t *testing.T) {
	a, b := testGenerator(3), testGenerator(3)
	seen := make(map[string]int)
	plain := 0
	for range 20_000 {
		x, y := a.next(), b.next()
		if !slices.EqualFunc(x.Frames, y.Frames, slices.Equal[[]byte]) || x.Excuse != y.Excuse {
			t.Fatalf("case %d differs", x.Number)
		}
		for _, what := range x.What {
			kind, _, _ := strings.Cut(what, " ")
			seen[kind]++
		}
		if !slices.Equal(x.What, []string{"plain"}) {
			continue
		}
		plain++
		p, err := testenv.Decode(x.Frames[0])
		if err != nil || !p.UDP || len(x.Frames) != 1 {
			t.Fatalf("case %d: %v", x.Number, err)
		}
	}
	for _, kind := range []string{"plain", "source", "destination", "IP", "UDP", "both", "no", "wrong", "padding", "fragments", "extension", "tag",
		"station", "TTL", "version", "protocol", "flags", "flow", "TOS", "size", "mutated", "shuffled", "partial"} {
		if seen[kind] < 10 {
			t.Errorf("%q came up %d times", kind, seen[kind])
		}
	}
	if plain < 5000 {
		t.Errorf("%d plain ones", plain)
	}
}

// TestFragments: what is cut is whole again to an independent reassembler.
func TestFragments(t *testing.T) {
	g := testGenerator(5)
	for i := range 2000 {
		p := g.plain(i%2 == 0)
		p.payload = number(uint64(i), g.r.IntN(1400))
		g.fragment(&p)
		var whole testenv.Reassembler
		done := false
		for _, f := range p.frames() {
			packet, err := whole.Add(f)
			if err != nil {
				t.Fatal(err)
			}
			if packet != nil {
				done = string(packet.Payload) == string(p.payload)
			}
		}
		if !done {
			t.Fatalf("%d bytes cut at %v are not whole again", len(p.payload), p.fragments)
		}
	}
}

// TestDifferencesAreWrittenDown: docs/host.md has what may differ, and why.
func TestDifferencesAreWrittenDown(t *testing.T) {
	text, err := os.ReadFile("../../docs/host.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Differences {
		if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), d.Reason) {
			t.Errorf("docs/host.md does not have the reason of %q", d.Name)
		}
	}
}
