// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestReusedIRPGoesWhereAFreshOneGoes sends with one IRP that is used again and again, through two sockets, to a few
// destinations, with and without control data, while options change: each time a fresh IRP goes to the same.
func TestReusedIRPGoesWhereAFreshOneGoes(t *testing.T) {
	type end struct {
		s *Socket
		t *sink
	}
	var ends [3]end
	for i, local := range []string{"0.0.0.0:1000", "0.0.0.0:1001", "[::]:1002"} {
		ends[i].s, ends[i].t = newSinkSocket(t, local)
	}
	addresses := []SOCKADDR{nil}
	for _, a := range []string{"192.0.2.1:9", "192.0.2.1:10", "192.0.2.2:9", "224.0.0.9:9", "255.255.255.255:9", "0.0.0.0:9", "192.0.2.1:0", "[2001:db8::1]:9"} {
		addresses = append(addresses, NewSockaddr(netip.MustParseAddrPort(a)))
	}
	le := func(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
	rng := rand.New(rand.NewPCG(1, 2))
	reused := AllocateIRP()
	again := 0
	for range 5000 {
		e := &ends[rng.IntN(len(ends))]
		switch rng.IntN(20) {
		case 0:
			e.s.ControlSocket(WskSetOption, IP_TTL, IPPROTO_IP, le(1+rng.Uint32N(255)), nil, nil, nil)
		case 1:
			e.s.ControlSocket(WskSetOption, SO_BROADCAST, SOL_SOCKET, le(rng.Uint32N(2)), nil, nil, nil)
		case 2:
			e.s.ControlSocket(WskSetOption, UDP_SEND_MSG_SIZE, IPPROTO_UDP, le(rng.Uint32N(2)*8), nil, nil, nil)
		}
		address := addresses[rng.IntN(len(addresses))]
		var control []byte
		if rng.IntN(4) == 0 {
			control = AppendTTL(nil, true, uint8(1+rng.IntN(255)))
		}
		size := rng.IntN(2) * (MaxPayload4 + 1)
		for range 1 + rng.IntN(3) {
			want, wantTo, wantSegment := sendOnce(e.s, e.t, AllocateIRP(), size, address, control)
			before := reused.op.aimed
			got, gotTo, gotSegment := sendOnce(e.s, e.t, reused, size, address, control)
			if got != want || gotTo != wantTo || gotSegment != wantSegment {
				t.Fatalf("a reused IRP: %v %+v %d, a fresh one %v %+v %d", got, gotTo, gotSegment, want, wantTo, wantSegment)
			}
			if before != (aimed{}) && reused.op.aimed == before {
				again++
			}
		}
	}
	if again == 0 {
		t.Error("no destination was the one of before")
	}
}

// sendOnce sends once, completes, and tells where the operation went.
func sendOnce(s *Socket, transport *sink, irp *IRP, size int, to SOCKADDR, control []byte) (status NTSTATUS, dest Destination, segment uint32) {
	irp.Reuse(STATUS_SUCCESS)
	buf := Buf{Mdl: AllocateMDL(make([]byte, size)), Length: uintptr(size)}
	if status = s.SendTo(&buf, 0, to, control, irp); status == STATUS_PENDING {
		dest, segment = transport.op.To, transport.op.Segment
		transport.op.Complete(STATUS_SUCCESS)
	}
	return status, dest, segment
}
