// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// randomDst is a destination of the family of a flow, and the flow there.
func randomDst(r *rand.Rand, f frame.Flow) (frame.Dst, frame.Flow) {
	d := frame.Dst{Port: uint16(r.Uint32())}
	binary.BigEndian.PutUint64(d.Addr[:], r.Uint64())
	binary.BigEndian.PutUint64(d.Addr[8:], r.Uint64()|1)
	if f.Dst.Addr().Is4() {
		copy(d.Addr[:12], []byte{10: 0xff, 11: 0xff})
		clear(d.Addr[:10])
	} else {
		d.Addr[0] = 0x20
		d.FlowLabel = r.Uint32() & frame.MaxFlowLabel
	}
	f.Dst, f.FlowLabel = netip.AddrPortFrom(netip.AddrFrom16(d.Addr).Unmap(), d.Port), d.FlowLabel
	return d, f
}

// TestOpenTemplate: what an open template writes for a destination is what a template of its own writes.
func TestOpenTemplate(t *testing.T) {
	seed := testSeed(t)
	for name, flow := range allFlows() {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			first := mustTemplate(t, flow)
			open := first.Open()
			for range 500 {
				dst, there := randomDst(r, flow)
				own := mustTemplate(t, there)
				if to := open.To(&dst); to != own {
					t.Fatalf("to %v: To = %+v, want %+v", there.Dst, to, own)
				}
				payload, id := pattern(1500)[:r.IntN(1500)], uint16(r.Uint32())
				if len(payload) > 700 { // short ones are what is built in another way
					payload = payload[:len(payload)&31]
				}
				for _, step := range []struct {
					what string
					tmpl *frame.Template
					dst  *frame.Dst
				}{{"open", &open, &dst}, {"first", &own, nil}} {
					got, want := dirty(open.HeaderLen()+len(payload)), build(t, there, payload, id)
					if n := step.tmpl.PutDatagramTo(got, payload, id, step.dst); n != len(got) || !bytes.Equal(got, want) {
						t.Fatalf("%s, to %v, %d bytes: %d and\n% x, want\n% x", step.what, there.Dst, len(payload), n, got, want)
					}
				}
			}
			if first != mustTemplate(t, flow) {
				t.Error("the template has changed")
			}
		})
	}
}

// TestOpenTemplateZeroSum: a checksum that comes out as 0 is sent as ffff, whatever part of it the destination is.
func TestOpenTemplateZeroSum(t *testing.T) {
	const destinations = 3
	for name, flow := range map[string]frame.Flow{"v4": flow4, "v4-vlan": withTags(flow4, vlan100), "v6": flow6} {
		r := rand.New(rand.NewPCG(1, 2))
		first := mustTemplate(t, flow)
		open, zeros := first.Open(), 0
		for range destinations {
			dst, there := randomDst(r, flow)
			payload := pattern(20)
			for word := range 1 << 16 {
				binary.BigEndian.PutUint16(payload, uint16(word))
				got := make([]byte, open.HeaderLen()+len(payload))
				open.PutDatagramTo(got, payload, 0, &dst)
				if binary.BigEndian.Uint16(got[open.HeaderLen()-2:]) != 0xffff {
					continue
				}
				zeros++
				if want := build(t, there, payload, 0); !bytes.Equal(got, want) {
					t.Fatalf("%s: % x, want % x", name, got, want)
				}
			}
		}
		if zeros != destinations {
			t.Errorf("%s: %d sums of zero for %d destinations", name, zeros, destinations)
		}
	}
}

func TestOpenTemplateAllocatesNothing(t *testing.T) {
	for name, flow := range allFlows() {
		first := mustTemplate(t, flow)
		open := first.Open()
		dst, _ := randomDst(rand.New(rand.NewPCG(3, 4)), flow)
		chunk, payload := make([]byte, 2048), pattern(18)
		if n := testing.AllocsPerRun(100, func() {
			dst.Port++
			open.PutDatagramTo(chunk, payload, 7, &dst)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkPutDatagramTo writes short datagrams, each to another destination.
func BenchmarkPutDatagramTo(b *testing.B) {
	for _, bf := range benchFlows {
		b.Run(bf.name, func(b *testing.B) {
			first := mustTemplate(b, bf.flow)
			open := first.Open()
			dst, _ := randomDst(rand.New(rand.NewPCG(3, 4)), bf.flow)
			chunk, payload := make([]byte, 2048), pattern(18)
			for b.Loop() {
				dst.Port++
				open.PutDatagramTo(chunk, payload, 7, &dst)
			}
		})
	}
}
