// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// wireFrame is a datagram for port 4433 of B whose payload begins with a number, with right checksums, and up to three of its header
// bytes changed; the checksums are mostly put right again after that.
func wireFrame(rng *rand.Rand, number uint32) []byte {
	pick := func(list ...string) netip.Addr { return netip.MustParseAddr(list[rng.IntN(len(list))]) }
	d := datagram{payload: 4 + rng.IntN(40)}
	if rng.IntN(2) == 0 {
		d.src = netip.AddrPortFrom(pick("10.77.0.1", "10.77.0.1", "10.77.0.9", "192.0.2.1", "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1",
			"255.255.255.255", "240.0.0.1", "10.77.0.255", "10.77.0.2", "169.254.3.4"), uint16(rng.IntN(3)))
		d.dst = netip.AddrPortFrom(pick("10.77.0.2", "10.77.0.2", "10.77.0.2", "10.77.0.9", "127.0.0.1"), 4433)
	} else {
		d.src = netip.AddrPortFrom(pick("fd77::1", "fd77::1", "fd77::9", "2001:db8::1", "::", "::1", "::ffff:10.77.0.1", "ff02::1", "::10.77.0.1",
			"fe80::1", "fd77::2", "100::1", "64:ff9b::1"), uint16(rng.IntN(3)))
		d.dst = netip.AddrPortFrom(pick("fd77::2", "fd77::2", "fd77::2", "fe80::77:ff:fe00:b", "fd77::9"), 4433)
	}
	if rng.IntN(8) == 0 {
		d.tags = append(d.tags, []uint16{0, 0xe000, 5}[rng.IntN(3)])
	}
	b := d.bytes()
	ip := offIP + 4*len(d.tags)
	udp := ip + 20
	if d.dst.Addr().Is6() {
		udp = ip + 40
	}
	binary.BigEndian.PutUint32(b[udp+8:], number)
	for range max(0, rng.IntN(6)-2) {
		off := 12 + rng.IntN(udp+8-12)
		if off >= udp && off < udp+4 {
			continue // ports: the kernel has a socket for this one only
		}
		b[off] = []byte{0, 1, 0xff, byte(rng.Uint32()), b[off] ^ 1<<rng.IntN(8)}[rng.IntN(5)]
	}
	if rng.IntN(8) == 0 {
		b = append(b, make([]byte, rng.IntN(30))...)
	}
	repairIP, repairUDP := rng.IntN(10) != 0, rng.IntN(10) != 0
	if b[ip]>>4 == 4 && repairIP {
		n := min(max(20, int(b[ip]&15)*4), (len(b)-ip)&^1)
		copy(b[ip+10:], []byte{0, 0})
		binary.BigEndian.PutUint16(b[ip+10:], ^onesSum(b[ip:ip+n]))
	}
	if repairUDP && (b[udp+6] != 0 || b[udp+7] != 0) {
		end := udp + int(binary.BigEndian.Uint16(b[udp+4:]))
		if end < udp+8 || end > len(b) {
			return b
		}
		copy(b[udp+6:], []byte{0, 0})
		part := bytes.Clone(b[udp:end])
		if len(part)%2 == 1 {
			part = append(part, 0)
		}
		addrs := b[ip+12 : ip+20]
		if d.dst.Addr().Is6() {
			addrs = b[ip+8 : ip+40]
		}
		pseudo := append(bytes.Clone(addrs), 0, 17, byte((end-udp)>>8), byte(end-udp))
		c := ^onesSum(append(pseudo, part...))
		if c == 0 {
			c = 0xffff
		}
		binary.BigEndian.PutUint16(b[udp+6:], c)
	}
	return b
}

// TestKernelWouldHaveTakenIt: the program takes nothing away that the kernel would have refused, once a receiver has parsed it and
// verified its checksums; and what is delivered is the same.
func TestKernelWouldHaveTakenIt(t *testing.T) {
	lab := labT(t, testenv.Topology{Neighbours: testenv.Static})
	p := loadT(t, Options{})
	must(t, p.SetSocket(0, socketT(t)), p.AddPort(key("0.0.0.0:4433"), 0), p.AddPort(key("[::]:4433"), 0),
		p.SetLocalAddresses(addrs("10.77.0.2", "fd77::2", "fe80::77:ff:fe00:b")))
	four := testenv.NewUDPReceiverT(t, lab.B.NS, netip.MustParseAddrPort("0.0.0.0:4433"), testenv.UDPReceiverOptions{})
	six := testenv.NewUDPReceiverT(t, lab.B.NS, netip.MustParseAddrPort("[::]:4433"), testenv.UDPReceiverOptions{})
	wire, err := lab.A.NS.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	must(t, err)
	defer unix.Close(wire)
	send := func(frame []byte) {
		must(t, unix.Sendto(wire, frame, 0, &unix.SockaddrLinklayer{Ifindex: lab.A.If.Index(), Halen: 6}))
	}
	rng := testenv.Rand(t)
	const batch = 50
	batches := 100
	if testing.Short() {
		batches = 40
	}
	ours, kernels := 0, 0
	have := map[*testenv.UDPReceiver]int{}
	for b := range batches {
		sent := make([][]byte, batch)
		for i := range sent {
			sent[i] = wireFrame(rng, uint32(b*batch+i))
			send(sent[i])
		}
		got := map[uint32][]byte{}
		for _, r := range []*testenv.UDPReceiver{four, six} {
			end := to("10.77.0.2:4433").sized(4)
			if r == six {
				end = to("[fd77::2]:4433").sized(4)
			}
			send(sealed(end, 0xffffffff))
			for n := have[r] + 1; ; n++ {
				list, err := r.Wait(testenv.Context(t, wait), n)
				must(t, err)
				have[r] = n
				payload := list[n-1].Payload
				if len(payload) == 4 && binary.BigEndian.Uint32(payload) == 0xffffffff {
					break
				}
				if len(payload) >= 4 {
					got[binary.BigEndian.Uint32(payload)] = payload
				}
			}
		}
		kernels += len(got)
		for i, f := range sent {
			if run(t, p, f, nil) != ReasonRedirected {
				continue
			}
			d, reason := frame.Parse(f)
			if reason != frame.ReasonOK || frame.VerifyChecksums(f, &d) != frame.ReasonOK {
				continue
			}
			ours++
			if len(d.Payload(f)) < 4 {
				continue
			}
			if payload, ok := got[uint32(b*batch+i)]; !ok || !bytes.Equal(payload, d.Payload(f)) {
				t.Errorf("%v → %v would be delivered with %x, the kernel delivers %x\n%x", d.Src, d.Dst, d.Payload(f), payload, f)
			}
		}
	}
	t.Logf("of %d frames we would deliver %d, the kernel %d", batches*batch, ours, kernels)
	if ours < batches*batch/10 {
		t.Error("too few frames are ours: the generator misses them")
	}
}

// sealed is a frame with a number and right checksums.
func sealed(d datagram, number uint32) []byte {
	b := d.bytes()
	udp, at := offUDP4, offIP+12
	if d.dst.Addr().Is6() {
		udp, at = offUDP6, offIP+8
	}
	binary.BigEndian.PutUint32(b[udp+8:], number)
	if d.dst.Addr().Is4() {
		copy(b[offIP+10:], []byte{0, 0})
		binary.BigEndian.PutUint16(b[offIP+10:], ^onesSum(b[offIP:offUDP4]))
	}
	copy(b[udp+6:], []byte{0, 0})
	sum := append(bytes.Clone(b[at:udp]), 0, 17, byte((len(b)-udp)>>8), byte(len(b)-udp))
	binary.BigEndian.PutUint16(b[udp+6:], ^onesSum(append(sum, b[udp:]...)))
	return b
}
