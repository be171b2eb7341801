// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// FuzzReceive: any payload into any MDL chain, with any room for control data. What is stored is the beginning of the
// payload, nothing else is written, and statuses and flags say what was cut off.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("payload"), []byte{3, 0, 9}, uint16(1), uint16(8), uint16(40), true, uint16(3))
	f.Add([]byte(""), []byte{}, uint16(0), uint16(0), uint16(0), false, uint16(0))
	f.Add([]byte("abc"), []byte{1, 1}, uint16(1), uint16(1), uint16(16), false, uint16(0))
	f.Fuzz(func(t *testing.T, payload, sizes []byte, offset, length, room uint16, six bool, segment uint16) {
		h := newHost(t)
		local, sender, level := "0.0.0.0:1000", peer, uint32(ip)
		if six {
			local, sender, level = "[::]:1000", "[2001:db8::7]:9", ip6
		}
		s := h.bound(local)
		for _, code := range []uint32{wsk.IP_PKTINFO, wsk.IP_RECVTTL, wsk.IP_RECVTOS, wsk.IP_RECVECN, wsk.IP_RECVDSTADDR, wsk.IP_RECVIF} {
			h.set(s, level, code, 1)
		}
		h.set(s, udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, 65535)
		var first, last *wsk.MDL
		var memory [][]byte
		for _, n := range sizes {
			memory = append(memory, make([]byte, n))
			m := wsk.AllocateMDL(memory[len(memory)-1])
			if first == nil {
				first = m
			} else {
				last.Next = m
			}
			last = m
		}
		control, flags := bytes.Repeat([]byte{0xEE}, int(room)+8), uint32(0)
		size := uint32(room)
		irp := newCall(t)
		status := s.ReceiveFrom(&wsk.Buf{Mdl: first, Offset: uint32(offset), Length: uintptr(length)}, 0, nil, &size, control, &flags, &irp.IRP)
		if status != wsk.STATUS_PENDING {
			want(t, "ReceiveFrom", irp.end("ReceiveFrom", status), wsk.STATUS_INVALID_PARAMETER)
			return
		}
		a := from(sender, string(payload))
		a.Segment = segment
		h.transport.Arrive(a)
		status = irp.end("ReceiveFrom", status)
		n := int(irp.IoStatus.Information)
		all := slices.Concat(memory...)
		if n != min(int(length), len(payload)) {
			t.Fatalf("Information %d of %d into %d", n, len(payload), length)
		}
		if n > 0 && !bytes.Equal(all[offset:int(offset)+n], payload[:n]) {
			t.Error("another payload")
		}
		for i, b := range all {
			if (i < int(offset) || i >= int(offset)+n) && b != 0 {
				t.Error("written outside")
				break
			}
		}
		if cut := n < len(payload); cut != (status == wsk.STATUS_BUFFER_OVERFLOW) || cut != (flags&wsk.MSG_TRUNC != 0) {
			t.Errorf("%v, flags %#x for %d of %d bytes", status, flags, n, len(payload))
		}
		full := 6
		if segment != 0 {
			full++
		}
		if got := len(objects(t, control[:size])); size > uint32(room) || (got < full) != (flags&wsk.MSG_CTRUNC != 0) {
			t.Errorf("%d objects of %d in %d bytes, flags %#x", got, full, size, flags)
		}
		if !bytes.Equal(control[size:], bytes.Repeat([]byte{0xEE}, len(control)-int(size))) {
			t.Error("control data written outside")
		}
		h.nothingLent()
	})
}

// FuzzControl: any bytes as the input of any option, I/O control or client code. Nothing panics, the IRP completes
// once, getting an option returns the number that was set with success, and no output is written beyond its size.
func FuzzControl(f *testing.F) {
	f.Add(uint8(0), uint32(wsk.SO_WSK_EVENT_CALLBACK), uint32(sol), wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), uint8(8))
	f.Add(uint8(0), uint32(wsk.IP_ADD_MEMBERSHIP), uint32(ip), []byte{239, 1, 2, 3, 0, 0, 0, 0}, uint8(8))
	f.Add(uint8(0), uint32(wsk.MCAST_JOIN_SOURCE_GROUP), uint32(ip6), group(1, "ff05::3", "2001:db8::1"), uint8(8))
	f.Add(uint8(0), uint32(wsk.SO_WSK_SECURITY), uint32(sol), make([]byte, 8), uint8(8))
	f.Add(uint8(2), uint32(wsk.SIO_WSK_SET_REMOTE_ADDRESS), uint32(0), []byte(addr("[2001:db8::1]:9")), uint8(28))
	f.Add(uint8(2), uint32(wsk.SIO_ADDRESS_LIST_SORT), uint32(0), wsk.AppendAddressList(nil, []wsk.SOCKADDR{addr("[2001:db8::1]:9")}), uint8(255))
	f.Add(uint8(2), uint32(wsk.SIO_ROUTING_INTERFACE_QUERY), uint32(0), []byte(addr("[2001:db8::1]:9")), uint8(28))
	f.Add(uint8(9), uint32(wsk.WSK_CACHE_SD), uint32(0), wsk.SharingDescriptor(false), uint8(8))
	f.Add(uint8(9), uint32(wsk.WSK_CACHE_SD), uint32(0), acl(ace(0, 1, "\x01\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00")), uint8(8))
	f.Add(uint8(9), uint32(wsk.WSK_TDI_BEHAVIOR), uint32(0), le32(1), uint8(8))
	f.Fuzz(func(t *testing.T, kind uint8, code, level uint32, input []byte, room uint8) {
		h := newHost(t)
		h.transport.SetLocal(netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10"))
		output := bytes.Repeat([]byte{0xEE}, int(room)+8)
		if kind == 9 {
			size := uintptr(0)
			status := h.npi.ControlClient(code, input, output[:room], &size, nil)
			if status == wsk.STATUS_SUCCESS && size > uintptr(room) {
				t.Errorf("%d bytes in %d", size, room)
			}
		} else {
			s := h.eventSocket("[::]:1000", func(uint32, *wsk.DatagramIndication) wsk.NTSTATUS { return wsk.STATUS_SUCCESS })
			irp := newCall(t)
			status := s.ControlSocket(wsk.ControlSocketType(kind), code, level, input, output[:room], nil, &irp.IRP)
			irp.Cancel()
			status = irp.end("ControlSocket", status)
			if status == wsk.STATUS_SUCCESS && irp.IoStatus.Information > uintptr(room) {
				t.Errorf("%d bytes in %d", irp.IoStatus.Information, room)
			}
			h.transport.Arrive(wsktest.Arrival{From: netip.MustParseAddrPort("[2001:db8::7]:9"), To: netip.MustParseAddrPort("[2001:db8::10]:1000")})
			want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
		}
		if !bytes.Equal(output[room:], bytes.Repeat([]byte{0xEE}, 8)) {
			t.Error("written behind the output")
		}
		h.nothingLent()
	})
}

// FuzzAddressList: a list that parses consists of addresses inside the bytes, and is the same when it is built and
// parsed again.
func FuzzAddressList(f *testing.F) {
	f.Add(wsk.AppendAddressList(nil, []wsk.SOCKADDR{addr(peer), addr("[2001:db8::1]:9"), nil}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, ok := wsk.ParseAddressList(b)
		if !ok || len(list) > 1000 {
			return
		}
		again, ok := wsk.ParseAddressList(wsk.AppendAddressList(nil, list))
		if !ok || len(again) != len(list) {
			t.Fatalf("%d addresses became %d", len(list), len(again))
		}
		for i := range list {
			if !bytes.Equal(list[i], again[i]) {
				t.Errorf("address %d: % x became % x", i, list[i], again[i])
			}
		}
	})
}
