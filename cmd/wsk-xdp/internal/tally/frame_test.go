// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const port = 9000

var (
	mac   = []byte{2, 0x77, 0, 0, 0, 0x0b}
	here4 = netip.MustParseAddr("10.77.0.2")
	here6 = netip.MustParseAddr("fd77::2")
)

// rig is a program that is at no interface: it is run by hand.
type rig struct {
	*Program
	prog *ebpf.Program
	t    testing.TB
}

func newRig(t testing.TB, o Options, i Interface) *rig {
	t.Helper()
	testenv.Require(t, testenv.XDPProgram)
	testenv.RequireKernel(t, 5, 12, "BPF_CMPXCHG")
	o.Port, o.Addresses, o.Interfaces = port, []netip.Addr{here4, here6}, []Interface{i}
	o.Interfaces[0].MAC = mac
	m, err := newMemory(&o)
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{memory: m}
	r := &rig{Program: p, t: t}
	t.Cleanup(func() {
		if err := p.Err(); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if r.prog, err = p.program(&o, 0, o.Interfaces[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.prog.Close() })
	return r
}

const (
	drop = 1
	pass = 2
)

// run has the program see a frame.
func (r *rig) run(frame []byte) uint32 {
	r.t.Helper()
	verdict, err := r.prog.Run(&ebpf.RunOptions{Data: frame, Repeat: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	return verdict
}

// give has the program see stamps over IPv4, which it takes.
func (r *rig) give(stamps ...stamp.Stamp) {
	r.t.Helper()
	for _, s := range stamps {
		if v := r.run(datagram{payload: packet(s, 18)}.bytes()); v != drop {
			r.t.Fatalf("%+v: verdict %d", s, v)
		}
	}
}

// packet is a payload with a stamp.
func packet(s stamp.Stamp, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * 7)
	}
	s.Put(b)
	return b
}

// datagram describes a frame that is taken; tests spoil one thing in it.
type datagram struct {
	v6      bool
	to      netip.Addr // here unless set
	tags    []uint16
	options int // bytes of IPv4
	payload []byte
}

// header is how many bytes are in front of UDP.
func (d datagram) header() int {
	if d.v6 {
		return 14 + 4*len(d.tags) + 40
	}
	return 14 + 4*len(d.tags) + 20 + d.options
}

func (d datagram) bytes() []byte {
	be := binary.BigEndian
	b := append(append([]byte{}, mac...), 2, 0x77, 0, 0, 0, 0x0a)
	for _, tag := range d.tags {
		b = be.AppendUint16(be.AppendUint16(b, 0x8100), tag)
	}
	udp := be.AppendUint16(be.AppendUint16(nil, 1234), port)
	udp = be.AppendUint16(udp, uint16(8+len(d.payload)))
	udp = append(be.AppendUint16(udp, 0), d.payload...)
	var addresses []byte
	to := d.to
	switch {
	case d.v6 && !to.IsValid():
		to = here6
	case !to.IsValid():
		to = here4
	}
	if d.v6 {
		addresses = append(netip.MustParseAddr("fd77::1").AsSlice(), to.AsSlice()...)
		b = append(be.AppendUint16(b, 0x86dd), 0x60, 0, 0, 0)
		b = append(be.AppendUint16(b, uint16(len(udp))), 17, 64)
		b = append(b, addresses...)
	} else {
		addresses = append(netip.MustParseAddr("10.77.0.1").AsSlice(), to.AsSlice()...)
		b = be.AppendUint16(b, 0x0800)
		at := len(b)
		b = append(b, 0x45+byte(d.options/4), 0)
		b = be.AppendUint16(b, uint16(20+d.options+len(udp)))
		b = append(b, 0xab, 0xcd, 0x40, 0, 64, 17, 0, 0)
		b = append(b, addresses...)
		for range d.options {
			b = append(b, 1)
		}
		be.PutUint16(b[at+10:], ^sum(0, b[at:]))
	}
	s := ^sum(uint32(17+len(udp))+uint32(sum(0, addresses)), udp)
	if s == 0 {
		s = 0xffff
	}
	be.PutUint16(udp[6:], s)
	b = append(b, udp...)
	for len(b) < 60 {
		b = append(b, 0)
	}
	return b
}

// sum is a sum as RFC 1071 has it.
func sum(s uint32, b []byte) uint16 {
	for i, c := range b {
		s += uint32(c) << (8 * (1 - i%2))
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
