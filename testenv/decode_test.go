// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// build makes a UDP frame with gopacket, which shares nothing with Decode's sums.
func build(t testing.TB, six bool, payload []byte) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: defaultMACs["A"], DstMAC: defaultMACs["B"], EthernetType: layers.EthernetTypeIPv4}
	udp := &layers.UDP{SrcPort: 1000, DstPort: 2000}
	var ip gopacket.SerializableLayer
	if six {
		eth.EthernetType = layers.EthernetTypeIPv6
		v6 := &layers.IPv6{Version: 6, TrafficClass: 0x2a, FlowLabel: 0x12345, HopLimit: 9, NextHeader: layers.IPProtocolUDP,
			SrcIP: netip.MustParseAddr("fd77::1").AsSlice(), DstIP: netip.MustParseAddr("fd77::2").AsSlice()}
		_ = udp.SetNetworkLayerForChecksum(v6)
		ip = v6
	} else {
		v4 := &layers.IPv4{Version: 4, TOS: 0x2a, TTL: 9, Id: 77, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolUDP,
			SrcIP: []byte{10, 77, 0, 1}, DstIP: []byte{10, 77, 0, 2}}
		_ = udp.SetNetworkLayerForChecksum(v4)
		ip = v4
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, eth, ip, udp, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(buf.Bytes())
}

func TestDecodeReadsEveryField(t *testing.T) {
	for _, six := range []bool{false, true} {
		p, err := Decode(build(t, six, pattern(51)))
		if err != nil {
			t.Fatal(err)
		}
		if !p.UDP || p.SourcePort != 1000 || p.DestinationPort != 2000 || p.UDPLength != 59 ||
			!bytes.Equal(p.Payload, pattern(51)) ||
			p.TOS != 0x2a || p.TTL != 9 || p.Fragment || p.Protocol != 17 || p.SourceMAC.String() != defaultMACs["A"].String() {
			t.Errorf("six %v: %+v", six, p)
		}
		if six && (p.Version != 6 || p.FlowLabel != 0x12345 || p.Source != netip.MustParseAddr("fd77::1")) {
			t.Errorf("%+v", p)
		}
		if !six && (p.Version != 4 || p.ID != 77 || !p.DontFragment || p.Destination != netip.MustParseAddr("10.77.0.2")) {
			t.Errorf("%+v", p)
		}
	}
}

// Every byte that a checksum covers is changed once; each change must be seen.
func TestDecodeSeesEveryChangedByte(t *testing.T) {
	for _, six := range []bool{false, true} {
		good := build(t, six, pattern(33))
		for at := 14; at < len(good); at++ {
			// No sum covers the IPv6 header but addresses, length and next header; hop limit, class and label may
			// change.
			if six && (at < 18 || at == 21) {
				continue
			}
			bad := slices.Clone(good)
			bad[at] ^= 0x40
			// With another next header it is another protocol, which can't be judged.
			if p, err := Decode(bad); !errors.Is(err, ErrBadChecksum) && !errors.Is(err, ErrMalformed) && p.Protocol == 17 {
				t.Errorf("six %v: byte %d changed: %v", six, at, err)
			}
		}
	}
}

func TestDecodeJudgesZeroChecksums(t *testing.T) {
	for _, six := range []bool{false, true} {
		f := build(t, six, pattern(8))
		at := 14 + 20 + 6
		if six {
			at += 20
		}
		f[at], f[at+1] = 0, 0
		if _, err := Decode(f); errors.Is(err, ErrBadChecksum) != six {
			t.Errorf("six %v: UDP checksum 0: %v", six, err)
		}
	}
}

func TestDecodeRefusesTruncatedFrames(t *testing.T) {
	for _, six := range []bool{false, true} {
		good := build(t, six, pattern(33))
		for n := range good {
			if _, err := Decode(good[:n]); err == nil && n != 0 {
				t.Errorf("six %v: first %d of %d bytes pass", six, n, len(good))
			}
		}
	}
}

// fragments cuts an IPv4 frame the way RFC 791 says.
func fragments(t testing.TB, frame []byte, size int) [][]byte {
	t.Helper()
	var out [][]byte
	payload := frame[34:]
	for at := 0; at < len(payload); at += size {
		end := min(at+size, len(payload))
		f := append(slices.Clone(frame[:34]), payload[at:end]...)
		field := uint16(at / 8)
		if end < len(payload) {
			field |= 0x2000
		}
		binary.BigEndian.PutUint16(f[16:], uint16(20+end-at))
		binary.BigEndian.PutUint16(f[20:], field)
		f[24], f[25] = 0, 0
		binary.BigEndian.PutUint16(f[24:], ^fold(f[14:34]))
		out = append(out, f)
	}
	return out
}

func TestReassembler(t *testing.T) {
	frame := build(t, false, pattern(3000))
	parts := fragments(t, frame, 800)
	t.Run("any-order", func(t *testing.T) {
		for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}} {
			var r Reassembler
			for k, i := range order {
				p, err := r.Add(parts[i])
				if err != nil {
					t.Fatal(err)
				}
				if last := k == len(order)-1; (p != nil) != last {
					t.Fatalf("order %v: datagram %v after %d fragments", order, p, k+1)
				} else if last && (!bytes.Equal(p.Payload, pattern(3000)) || p.Fragment || p.DestinationPort != 2000) {
					t.Errorf("order %v: wrong datagram", order)
				}
			}
			if r.Pending() != 0 {
				t.Errorf("pending %d", r.Pending())
			}
		}
	})
	refused := func(name string, want error, list ...[]byte) {
		t.Run(name, func(t *testing.T) {
			var r Reassembler
			for _, f := range list {
				if p, err := r.Add(f); err != nil {
					if !errors.Is(err, want) {
						t.Errorf("got %v, want %v", err, want)
					}
					return
				} else if p != nil {
					t.Error("put together all the same")
					return
				}
			}
			t.Error("nothing objected")
		})
	}
	refused("twice", ErrOverlap, parts[0], parts[1], parts[1])
	refused("overlap", ErrOverlap, parts[0], fragments(t, frame, 400)[1])
	refused("behind-the-end", ErrOverlap, parts[3], parts[0], parts[1],
		fragments(t, build(t, false, pattern(4000)), 800)[4], parts[2])
	refused("odd-length", ErrMalformed, fragments(t, frame, 801)[0])
	wrong := slices.Clone(parts[2])
	wrong[50] ^= 1
	refused("payload-changed", ErrBadChecksum, parts[0], parts[1], wrong, parts[3])
	ttl := slices.Clone(parts[1])
	ttl[22]++
	ttl[24], ttl[25] = 0, 0
	binary.BigEndian.PutUint16(ttl[24:], ^fold(ttl[14:34]))
	refused("other-ttl", ErrMalformed, parts[0], ttl, parts[2], parts[3])
	if _, err := DecodeAll([]Frame{{Data: parts[0]}, {Data: parts[2]}}); !errors.Is(err, ErrMalformed) {
		t.Errorf("incomplete: %v", err)
	}
}

// What the kernel sends must pass; sizes on both sides of one, two and many fragments.
func TestDecodeAgreesWithTheKernel(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	for _, host := range [][2]netip.Addr{{lab.A.IPv4(), lab.B.IPv4()}, {lab.A.IPv6(), lab.B.IPv6()}} {
		c := NewCaptureT(t, lab.B.If, CaptureOptions{IncomingOnly: true})
		r := NewUDPReceiverT(t, lab.B.NS, port(host[1], 0), UDPReceiverOptions{})
		s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{Source: port(host[0], 0), Fragmentation: FragmentAllow})
		sizes := []int{0, 1, 18, 1452, 1453, 1472, 1473, 2961, 65507}
		for _, n := range sizes {
			if err := s.Send(r.Local(), pattern(n)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Wait(Context(t, soon), len(sizes)); err != nil {
			t.Fatal(err)
		}
		// The capture may lag behind the socket.
		var got []*Packet
		Eventually(t, soon, "the capture to be complete", func() bool {
			var err error
			got, err = DecodeAll(c.Frames())
			return err == nil && len(got) == len(sizes)
		})
		for i, n := range sizes {
			if !bytes.Equal(got[i].Payload, pattern(n)) {
				t.Errorf("%v: datagram of %d bytes differs", host[1], n)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, six := range []bool{false, true} {
		frame := build(f, six, pattern(20))
		f.Add(frame)
		f.Add(slices.Insert(slices.Clone(frame), 12, 0x81, 0, 0, 7))
	}
	for _, part := range fragments(f, build(f, false, pattern(100)), 40) {
		f.Add(part)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		p, err := Decode(frame)
		if p == nil {
			t.Fatal("no packet")
		}
		if err == nil && p.UDP && len(p.Payload)+8 != p.UDPLength {
			t.Errorf("UDP length %d with %d bytes of payload", p.UDPLength, len(p.Payload))
		}
		var r Reassembler
		_, _ = r.Add(frame)
		_, _ = r.Add(frame)
		// A frame that is exchanged twice is unchanged, whatever it is.
		twice := slices.Clone(frame)
		if reflectFrame(twice) && (!reflectFrame(twice) || !bytes.Equal(twice, frame)) {
			t.Error("reflecting twice changes the frame")
		}
		// A good frame stays good.
		if once := slices.Clone(frame); err == nil && reflectFrame(once) {
			if q, err := Decode(once); err != nil || q.Source != p.Destination {
				t.Errorf("reflected: %v", err)
			}
		}
	})
}
