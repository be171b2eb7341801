// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

const wait = time.Minute

// receiver is an AF_XDP socket that receives, of one queue.
type receiver struct{ s *xdp.Socket }

func receiverT(t testing.TB, h *testenv.Host, queue uint32) receiver {
	t.Helper()
	var s *xdp.Socket
	must(t, h.NS.Do(func() (err error) {
		s, err = xdp.Open(xdp.Options{IfIndex: h.If.Index(), Queue: queue, Mode: xdp.ModeCopy, RxChunks: 256})
		return err
	}))
	t.Cleanup(func() { must(t, s.Close()) })
	fill, umem := s.Fill(), s.UMEM()
	first, n := fill.Reserve(256)
	for i := range n {
		fill.Set(first+i, umem.Addr(umem.TxChunks()+int(i)))
	}
	fill.Submit(n)
	return receiver{s}
}

// frames waits for n frames, fewer than were filled, and returns copies.
func (r receiver) frames(t testing.TB, n int) (out [][]byte) {
	t.Helper()
	deadline := time.Now().Add(wait)
	for len(out) < n {
		first, got := r.s.RX().Peek(uint32(n - len(out)))
		for i := range got {
			out = append(out, bytes.Clone(r.s.UMEM().Frame(r.s.RX().At(first+i))))
		}
		r.s.RX().Release(got)
		if got > 0 {
			continue
		}
		left := time.Until(deadline)
		if left <= 0 {
			st, err := r.s.Statistics()
			for _, frame := range out {
				t.Logf("got %.80q", frame[max(len(frame)-20, 0):])
			}
			t.Fatalf("%d of %d frames after %v; the socket counts %+v (%v)", len(out), n, wait, st, err)
		}
		fds := []unix.PollFd{{Fd: int32(r.s.FD()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, int(left.Milliseconds())+1); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
	}
	return out
}

// TestTrafficIsSplit sends over a veth pair to the program: what is owned comes out of the AF_XDP socket, what is not out of
// the kernel's, and neighbours are resolved meanwhile.
func TestTrafficIsSplit(t *testing.T) {
	const each = 50
	for _, v := range variants {
		for _, mode := range []Mode{Native, Generic} {
			t.Run(fmt.Sprintf("%s/%v", v.name, mode), func(t *testing.T) {
				lab := labT(t, testenv.Topology{})
				p := loadT(t, v.opts)
				r := receiverT(t, lab.B, 0)
				must(t, p.SetLocalAddresses([]netip.Addr{lab.B.IPv4(), lab.B.IPv6()}), p.SetSocket(0, r.s.FD()),
					p.AddPort(key("0.0.0.0:4433"), 0), p.AddPort(key("[::]:4433"), 0))
				attachT(t, lab.B, p, mode)
				defer func() {
					if c, err := p.Counters(); t.Failed() {
						t.Logf("counters %v (%v)", c, err)
					}
				}()

				sent := map[string]bool{}
				for _, a := range []struct{ local, remote netip.Addr }{{lab.A.IPv4(), lab.B.IPv4()}, {lab.A.IPv6(), lab.B.IPv6()}} {
					kernel := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(a.remote, 4434), testenv.UDPReceiverOptions{})
					// With another port one checksum in 65,536 looks as if it were left to the device, and the kernel gets the datagram.
					sender := testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{Source: netip.AddrPortFrom(a.local, 4500)})
					for i := range each {
						payload := fmt.Sprintf("%v %d", a.remote, i)
						sent[payload] = true
						must(t, sender.Send(netip.AddrPortFrom(a.remote, 4433), []byte(payload)),
							sender.Send(netip.AddrPortFrom(a.remote, 4434), []byte(payload)))
						if i == 0 { // the kernel queues only a few datagrams while it resolves
							_, err := kernel.Wait(testenv.Context(t, wait), 1)
							must(t, err)
						}
					}
					_, err := kernel.Wait(testenv.Context(t, wait), each)
					must(t, err)
				}
				for _, frame := range r.frames(t, 2*each) {
					d, err := testenv.Decode(frame)
					must(t, err)
					if !sent[string(d.Payload)] || d.DestinationPort != 4433 {
						t.Errorf("received %q for port %d", d.Payload, d.DestinationPort)
					}
					delete(sent, string(d.Payload))
				}
				if len(sent) > 0 {
					t.Errorf("%d datagrams did not come", len(sent))
				}
				c, err := p.Counters()
				must(t, err)
				if c[ReasonRedirected] != 2*each || c[ReasonNoPort] != 2*each || c[ReasonNotIP] == 0 || c[ReasonNoSocket] != 0 {
					t.Errorf("counters %v", c)
				}
			})
		}
	}
}

// TestTrafficChangesHands: the moment a port or the program goes, the kernel has the traffic again.
func TestTrafficChangesHands(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			lab := labT(t, testenv.Topology{Neighbours: testenv.Static})
			p := loadT(t, Options{})
			r := receiverT(t, lab.B, 0)
			at := netip.AddrPortFrom(lab.B.IPv4(), 4433)
			must(t, p.SetSocket(0, r.s.FD()), p.AddPort(Key{at.Addr(), at.Port()}, 0))
			kernel := testenv.NewUDPReceiverT(t, lab.B.NS, at, testenv.UDPReceiverOptions{})
			sender := testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{})
			n := 0
			toKernel := func(when string) {
				t.Helper()
				n++
				must(t, sender.Send(at, []byte(when)))
				got, err := kernel.Wait(testenv.Context(t, wait), n)
				must(t, err)
				if s := string(got[n-1].Payload); s != when {
					t.Errorf("kernel got %q, want %q", s, when)
				}
			}
			toSocket := func(when string) {
				t.Helper()
				must(t, sender.Send(at, []byte(when)))
				if f := r.frames(t, 1)[0]; !bytes.HasSuffix(f, []byte(when)) {
					t.Errorf("socket got %q, want %q", f, when)
				}
			}
			toKernel("before attach")
			a := attachT(t, lab.B, p, mode)
			toSocket("attached")
			collect()
			toSocket("after a collection")
			must(t, p.RemovePort(Key{at.Addr(), at.Port()}))
			toKernel("port removed")
			must(t, p.AddPort(Key{at.Addr(), at.Port()}, 0))
			toSocket("port added")
			must(t, p.ClearSocket(0))
			toKernel("socket cleared")
			must(t, p.SetSocket(0, r.s.FD()))
			toSocket("socket set")
			must(t, a.Close())
			toKernel("detached")
		})
	}
}

// TestTaggedTraffic: a tag that is in the frame reaches the socket with it, in both modes.
func TestTaggedTraffic(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			lab := labT(t, testenv.Topology{})
			p := loadT(t, Options{})
			r := receiverT(t, lab.B, 0)
			must(t, p.SetSocket(0, r.s.FD()), p.AddPort(key("10.77.0.2:4433"), 0), p.SetVLANs([]uint16{100}))
			attachT(t, lab.B, p, mode)
			foreign, ours := to("10.77.0.2:4433").tagged(101).bytes(), to("10.77.0.2:4433").tagged(100).bytes()
			must(t, lab.A.If.SendFrame(foreign), lab.A.If.SendFrame(ours))
			if got := r.frames(t, 1)[0]; !bytes.Equal(got, ours) {
				t.Errorf("got  %x\nwant %x", got, ours)
			}
			c, err := p.Counters()
			must(t, err)
			if c[ReasonRedirected] != 1 || c[ReasonVLAN] != 1 {
				t.Errorf("counters %v", c)
			}
		})
	}
}

// TestJumboFramesReachTheKernel: with a large MTU in native mode frames that no chunk holds are the kernel's.
func TestJumboFramesReachTheKernel(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		if mode == Native && !kernelHasFrags() {
			continue // veth refuses it, see TestLargeMTU
		}
		t.Run(mode.String(), func(t *testing.T) {
			lab := labT(t, testenv.Topology{MTU: 9000, Neighbours: testenv.Static})
			p := loadT(t, Options{})
			r := receiverT(t, lab.B, 0)
			at := netip.AddrPortFrom(lab.B.IPv4(), 4433)
			must(t, p.SetSocket(0, r.s.FD()), p.AddPort(Key{at.Addr(), at.Port()}, 0))
			attachT(t, lab.B, p, mode)
			kernel := testenv.NewUDPReceiverT(t, lab.B.NS, at, testenv.UDPReceiverOptions{})
			sender := testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{})
			sizes := []int{DefaultMaxFrame - 42, DefaultMaxFrame - 41, 3400, 5000, 8972}
			for _, n := range sizes {
				must(t, sender.Send(at, make([]byte, n)))
			}
			got, err := kernel.Wait(testenv.Context(t, wait), len(sizes)-1)
			must(t, err)
			for i, d := range got {
				if len(d.Payload) != sizes[i+1] {
					t.Errorf("kernel got %d bytes, want %d", len(d.Payload), sizes[i+1])
				}
			}
			if f := r.frames(t, 1)[0]; len(f) != DefaultMaxFrame {
				t.Errorf("socket got %d bytes, want %d", len(f), DefaultMaxFrame)
			}
		})
	}
}
