// SPDX-License-Identifier: Apache-2.0

package offload

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestProver goes through the life of a verdict.
func TestProver(t *testing.T) {
	var v Prover
	key := Key{IPv6: true}
	if grant, proved, begin := v.Ask(key, true); grant != 0 || proved || begin {
		t.Error("something is granted before anything was")
	}
	copyMode := xdp.Granted{Mode: xdp.ModeCopy, Offload: xdp.OffloadKernel}
	first := v.Adopt(copyMode)
	if first == 0 {
		t.Fatal("no grant")
	}
	if _, proved, begin := v.Ask(key, false); proved || begin {
		t.Error("a destination that can't answer begins a proof")
	}
	if _, proved, begin := v.Ask(key, true); proved || !begin {
		t.Error("no proof begins")
	}
	if _, _, begin := v.Ask(key, true); begin {
		t.Error("two proofs at once")
	}
	if !v.Conclude(key, first, nil) {
		t.Error("the conclusion does not count")
	}
	if grant, proved, begin := v.Ask(key, true); grant != first || !proved || begin {
		t.Errorf("proved: %d %v %v", grant, proved, begin)
	}
	if _, proved, _ := v.Ask(Key{}, false); proved {
		t.Error("the other family is proved too")
	}
	if v.Adopt(copyMode) != first {
		t.Error("a new socket with the same grant must prove again")
	}
	second := v.Adopt(xdp.Granted{Mode: xdp.ModeZeroCopy, Offload: xdp.OffloadDriver})
	if second == 0 || second == first {
		t.Errorf("grants %d and %d", first, second)
	}
	if _, proved, begin := v.Ask(key, true); proved || !begin {
		t.Error("what copy mode proved counts for zero-copy")
	}
	if v.Conclude(key, first, nil) {
		t.Error("a conclusion about the last grant counts")
	}
	for range 2 * Tries { // a link that is down uses up no tries
		v.Conclude(key, second, ErrProbe)
		if _, _, begin := v.Ask(key, true); !begin {
			t.Fatal("no further try after one that asked nobody")
		}
	}
	if !v.Conclude(key, second, &RefutedError{}) {
		t.Error("the conclusion does not count")
	}
	if _, proved, begin := v.Ask(key, true); proved || begin {
		t.Error("what is refuted is tried again")
	}
	if v.Adopt(xdp.Granted{}) != 0 || v.Info() != nil {
		t.Error("nothing is granted, and still something is known")
	}
}

// TestProofPayload: the value that a field is preset with must not pass for the checksum.
func TestProofPayload(t *testing.T) {
	template, err := frame.NewTemplate(frame.Flow{SrcMAC: frame.MAC{2, 1}, DstMAC: frame.MAC{2, 2},
		Src: netip.MustParseAddrPort("10.0.0.1:50000"), Dst: netip.MustParseAddrPort("10.0.0.2:33434"), TTL: ProofTTL})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ProofLengths {
		payload, want := ProofPayload(&template, n)
		b := make([]byte, template.HeaderLen()+n)
		copy(b[template.HeaderLen():], payload)
		template.PutHeadersPartial(b, n, 0)
		if preset := frame.UDP(b[template.HeaderLen()-frame.UDPLen:]).Checksum(); len(payload) != n || preset == want {
			t.Errorf("%d bytes: preset %#x, checksum %#x", len(payload), preset, want)
		}
		var sum frame.Sum
		sum.Add(payload)
		template.PutHeaders(b, n, 0, sum)
		if p, err := testenv.Decode(b); err != nil || p.UDPChecksum != want {
			t.Errorf("decoded %#x, %v, want %#x", p.UDPChecksum, err, want)
		}
	}
}
