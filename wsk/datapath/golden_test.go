// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestGoldenFrames compares our frames byte for byte with those that the kernel sends for the same datagram from the same
// port. What may differ is masked, and nothing else: the IP identification, and the header checksum that covers it.
func TestGoldenFrames(t *testing.T) {
	compareWithKernel(t, 1500, 0, []int{0, 1, 17, 18, 100, 1452, 1453, 1472, 1473, 2952, 4000, 65507, 65527})
}

// TestGoldenJumbo is TestGoldenFrames where frames lie in several chunks, which have room for 3986 bytes, 1938 or, in the fragments of
// a datagram, all of one.
func TestGoldenJumbo(t *testing.T) {
	requireMultiBuffer(t)
	for _, link := range []struct {
		mtu   int
		chunk uint32
	}{{9000, 0}, {9000, 2048}, {1963, 2048}, {16000, 2048}, {65535, 0}} {
		t.Run(fmt.Sprintf("mtu %d in chunks of %d", link.mtu, link.chunk), func(t *testing.T) {
			compareWithKernel(t, link.mtu, link.chunk, []int{1, 1472, 1900, 1920, 1921, 1935, 1936, 3924, 3944, 3945, 3990, 4050, 7850, 8952, 8953,
				8972, 8973, 11_700, 20_000, 35_000, 65_507, 65_527})
		})
	}
}

// requireMultiBuffer skips a test on a kernel that has no frames of several chunks in copy mode.
func requireMultiBuffer(t *testing.T) {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	err := lab.A.NS.Do(func() error { return xdp.ProbeMultiBuffer(lab.A.If.Name(), 0) })
	if errors.Is(err, xdp.ErrNotSupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// compareWithKernel compares datagrams of some sizes with the kernel's on a link with an MTU, and sees to it that all of them went through
// AF_XDP.
func compareWithKernel(t *testing.T, mtu int, chunk uint32, sizes []int) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static, MTU: mtu}, Options{Socket: xdp.Options{ChunkSize: chunk}})
	for _, family := range []struct {
		name     string
		from, to netip.Addr
		most     int
	}{{"v4", lab.A.IPv4(), lab.B.IPv4(), wsk.MaxPayload4}, {"v6", lab.A.IPv6(), lab.B.IPv6(), wsk.MaxPayload6}} {
		for _, df := range []bool{false, true} {
			for _, n := range sizes {
				if n > family.most || df && n > mtu-48 {
					continue
				}
				t.Run(fmt.Sprintf("%s/df=%v/%d", family.name, df, n), func(t *testing.T) {
					payload := pattern(n)
					capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
					s := c.socket(netip.AddrPortFrom(family.from, 0).String())
					port := localPort(t, s)
					if df {
						level, name := uint32(wsk.IPPROTO_IP), uint32(wsk.IP_DONTFRAGMENT)
						if family.to.Is6() {
							level, name = wsk.IPPROTO_IPV6, wsk.IPV6_DONTFRAG
						}
						option(t, s, level, name, uint32(1))
					}
					mustSucceed(t, "SendTo", sendOne(t, s, whole(payload), sockaddr(family.to, 7020), sendControl(family.from, 0x2c, 61)))
					ours := udpFrames(t, capture, n)
					closeSocket(t, s)

					fragmentation := testenv.FragmentAllow
					if df {
						fragmentation = testenv.FragmentForbid
					}
					kernel := testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{
						Source: netip.AddrPortFrom(family.from, port), TOS: 0x2c, TTL: 61, Fragmentation: fragmentation})
					capture.Reset()
					if err := kernel.Send(netip.AddrPortFrom(family.to, 7020), payload); err != nil {
						t.Fatal(err)
					}
					golden := udpFrames(t, capture, n)
					if len(ours) != len(golden) {
						t.Fatalf("%d frames, the kernel sends %d", len(ours), len(golden))
					}
					for i := range ours {
						if a, b := masked(ours[i]), masked(golden[i]); a != b {
							t.Errorf("frame %d of %d\n ours   %s\n kernel %s", i, len(ours), a[:min(160, len(a))], b[:min(160, len(b))])
						}
					}
				})
			}
		}
	}
	if n := c.dp.Info().SlowSent; n != 0 {
		t.Errorf("%d of the datagrams went through the kernel's stack", n)
	}
}

// udpFrames waits for a datagram of n payload bytes and returns its frames in the order of their offsets.
func udpFrames(t *testing.T, capture *testenv.Capture, n int) [][]byte {
	t.Helper()
	var frames [][]byte
	total := 0
	_, err := capture.Wait(testenv.Context(t, waitLimit), func(f testenv.Frame) bool {
		p, err := testenv.Decode(f.Data)
		if err != nil || p.Protocol != 17 {
			return false
		}
		frames = append(frames, f.Data)
		total += len(p.IPPayload)
		return total == n+8
	})
	if err != nil {
		t.Fatalf("%d of %d bytes were captured: %v", total, n+8, err)
	}
	return frames
}

// masked is a frame in hex with the identification and what covers it blanked, and the flow label, which is a hash under a secret key
// (TestFlowLabel in package route compares what can be compared of it).
func masked(frame []byte) string {
	b := append([]byte(nil), frame...)
	if b[12] == 0x86 {
		b[14+1] &= 0xf0
		clear(b[14+2 : 14+4])
	}
	switch {
	case b[12] == 0x08:
		clear(b[14+4 : 14+6])
		clear(b[14+10 : 14+12])
	case b[14+6] == 44: // IPv6 fragment header
		clear(b[14+40+4 : 14+40+8])
	}
	return hex.EncodeToString(b)
}
