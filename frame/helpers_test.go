// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

var (
	macA = frame.MAC{0x02, 0, 0, 0, 0, 0x0a}
	macB = frame.MAC{0x02, 0, 0, 0, 0, 0x0b}

	flow4 = frame.Flow{
		SrcMAC: macA, DstMAC: macB,
		Src: netip.MustParseAddrPort("192.0.2.1:4242"),
		Dst: netip.MustParseAddrPort("198.51.100.7:9"),
	}
	flow6 = frame.Flow{
		SrcMAC: macA, DstMAC: macB,
		Src: netip.MustParseAddrPort("[2001:db8::1]:4242"),
		Dst: netip.MustParseAddrPort("[2001:db8:0:1::7]:9"),
	}
	vlan100 = frame.VLANTag{TPID: frame.EtherTypeVLAN, ID: 100, PCP: 5}
	qinq7   = frame.VLANTag{TPID: frame.EtherTypeQinQ, ID: 7, DEI: true}

	benchFlows = []struct {
		name string
		flow frame.Flow
	}{
		{"v4", flow4},
		{"v6", flow6},
		{"v6-qinq", withTags(flow6, qinq7, vlan100)},
	}
)

func withTags(f frame.Flow, tags ...frame.VLANTag) frame.Flow {
	f.VLANs = tags
	return f
}

// pattern is n octets without a period that a checksum could be blind to.
func pattern(n int) []byte {
	return append(make([]byte, 0, n), wholePattern()[:n]...)
}

// wholePattern is what every pattern is the beginning of. It is made once: octet by octet is slow with the race detector.
var wholePattern = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<17)
	state := uint32(0x9e3779b9)
	for i := range b {
		state = state*1664525 + 1013904223
		b[i] = byte(state >> 24)
	}
	return b
})

// dirty is a buffer in which an octet that was not written shows.
func dirty(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0xa5
	}
	return b
}

func mustTemplate(t testing.TB, flow frame.Flow) frame.Template {
	t.Helper()
	tmpl, err := frame.NewTemplate(flow)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// build is one whole datagram of the flow, in a buffer that was dirty before.
func build(t testing.TB, flow frame.Flow, payload []byte, id uint16) []byte {
	t.Helper()
	tmpl := mustTemplate(t, flow)
	b := dirty(tmpl.HeaderLen() + len(payload))
	var sum frame.Sum
	sum.CopyAdd(b[tmpl.HeaderLen():], payload)
	if n := tmpl.PutHeaders(b, len(payload), id, sum); n != len(b) {
		t.Fatalf("PutHeaders = %d, want %d", n, len(b))
	}
	return b
}

// testSeed is TEST_SEED, or a new seed that the log names.
func testSeed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 0, 64); err != nil {
			t.Fatalf("TEST_SEED: %v", err)
		}
	}
	t.Logf("TEST_SEED=%d", seed)
	return seed
}
