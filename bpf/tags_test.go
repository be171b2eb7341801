// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// kernelTellsTags: from Linux 6.8 on veth tells a program of a tag beside a frame.
func kernelTellsTags() bool { return testenv.KernelAtLeast(6, 8) }

// loadBound loads a program that is bound to the interface of a host.
func loadBound(h *testenv.Host) (p *Program, err error) {
	err = h.NS.Do(func() (err error) {
		p, err = Load(Options{Ifindex: h.If.Index()})
		return err
	})
	return p, err
}

// TestTagsBeside: a program that is bound to its interface passes what has a tag beside it, whatever the VLAN, and takes the rest.
func TestTagsBeside(t *testing.T) {
	lab := labT(t, testenv.Topology{})
	p, err := loadBound(lab.B)
	if !kernelTellsTags() {
		if err == nil {
			must(t, p.Close())
			t.Error("it was loaded by a kernel that can't tell of tags")
		}
		return
	}
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	if !p.SeesTags() {
		t.Error("SeesTags is false")
	}
	if _, err := attach(lab.B, lab.B.If.Index(), p, Generic); err == nil {
		t.Error("it runs in generic mode, where the tag is not told")
	}
	r := receiverT(t, lab.B, 0)
	must(t, p.SetSocket(0, r.s.FD()), p.AddPort(key("10.77.0.2:4433"), 0), p.SetVLANs([]uint16{100}))
	attachT(t, lab.B, p, Auto)
	must(t, lab.A.If.TagBeside())
	fd, err := lab.A.NS.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	must(t, err)
	defer unix.Close(fd)
	send := func(frame []byte, beside uint32) {
		t.Helper()
		must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(int32(beside))),
			unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: lab.A.If.Index(), Halen: 6}))
	}
	bare, within := to("10.77.0.2:4433").bytes(), to("10.77.0.2:4433").tagged(100).bytes()
	for _, beside := range []uint32{0x8100_0000, 0x8100_0064, 0x8100_e065, 0x88a8_0064, 0x88a8_0000} {
		send(bare, beside)
	}
	send(within, 0x8100_0001)
	send(bare, 0)
	send(within, 0)
	got := r.frames(t, 2)
	if !bytes.Equal(got[0], bare) || !bytes.Equal(got[1], within) {
		t.Errorf("got  %x\nwant %x and %x", got, bare, within)
	}
	c, err := p.Counters()
	must(t, err)
	if c[ReasonRedirected] != 2 || c[ReasonVLAN] != 6 {
		t.Errorf("counters %v", c)
	}
}
