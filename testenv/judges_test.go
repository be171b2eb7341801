// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReceiverTakesEverySize(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	for _, c := range []struct {
		src, dst netip.Addr
		largest  int
	}{{lab.A.IPv4(), lab.B.IPv4(), 65507}, {lab.A.IPv6(), lab.B.IPv6(), 65527}} {
		r := NewUDPReceiverT(t, lab.B.NS, port(c.dst, 0), UDPReceiverOptions{})
		s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{Source: port(c.src, 0), Fragmentation: FragmentAllow})
		sizes := []int{0, 1, 17, 1452, 1453, 1472, 1473, c.largest}
		for _, n := range sizes {
			if err := s.Send(r.Local(), pattern(n)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := r.Wait(Context(t, soon), len(sizes))
		if err != nil {
			t.Fatal(err)
		}
		var sum uint64
		for i, n := range sizes {
			sum += uint64(n)
			if !bytes.Equal(got[i].Payload, pattern(n)) {
				t.Errorf("%v: datagram %d of %d bytes differs", c.dst, i, n)
			}
		}
		if r.Count() != uint64(len(sizes)) || r.Bytes() != sum || r.Lost() != 0 {
			t.Errorf("count %d bytes %d lost %d, want %d %d 0", r.Count(), r.Bytes(), r.Lost(), len(sizes), sum)
		}
	}
}

func TestReceiverCountsFast(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{Neighbours: Static})
	r := NewUDPReceiverT(t, lab.B.NS, port(lab.B.IPv4(), 0), UDPReceiverOptions{CountOnly: true})
	s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
	const n = 5000
	for k := range n {
		if err := s.Send(r.Local(), pattern(77)); err != nil {
			t.Fatal(err)
		}
		// There is never more on the way than the buffer of an ordinary user's socket holds: the receiver may be
		// slower.
		if k%128 == 127 {
			if err := r.WaitCount(Context(t, soon), uint64(k+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.WaitCount(Context(t, soon), n); err != nil {
		t.Fatal(err)
	}
	if r.Count() != n || r.Bytes() != 77*n || r.Lost() != 0 || len(r.Datagrams()) != 0 {
		t.Errorf("count %d bytes %d lost %d kept %d", r.Count(), r.Bytes(), r.Lost(), len(r.Datagrams()))
	}
}

func TestReceiverWaitsEndWithContextAndClose(t *testing.T) {
	Require(t, NetNS)
	ns := NewNamespaceT(t)
	r := NewUDPReceiverT(t, ns, port(netip.IPv6Unspecified(), 0), UDPReceiverOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := r.WaitFor(t.Context(), func(Datagram) bool { return true })
		done <- err
	}()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("waiter after Close: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestMulticastReceiver(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	for _, c := range []struct{ group, src netip.Addr }{
		{netip.MustParseAddr("239.7.7.7"), lab.A.IPv4()}, {netip.MustParseAddr("ff15::77"), lab.A.IPv6()},
	} {
		any := netip.IPv4Unspecified()
		if c.group.Is6() {
			any = netip.IPv6Unspecified()
		}
		opts := UDPReceiverOptions{Groups: []netip.Addr{c.group}, Interface: lab.B.If.Index()}
		r := NewUDPReceiverT(t, lab.B.NS, port(any, 7777), opts)
		s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{Source: port(c.src, 0), Interface: lab.A.If.Index(), TTL: 3})
		if err := s.Send(port(c.group, 7777), pattern(9)); err != nil {
			t.Fatal(err)
		}
		got, err := r.Wait(Context(t, soon), 1)
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Destination != c.group || got[0].TTL != 3 {
			t.Errorf("destination %v TTL %d", got[0].Destination, got[0].TTL)
		}
	}
}

func TestSenderObeysFragmentationRules(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	c := NewCaptureT(t, lab.B.If, CaptureOptions{IncomingOnly: true})
	dst := port(lab.B.IPv4(), 9)
	for _, f := range []struct {
		mode  Fragmentation
		df    bool
		large error
	}{{FragmentDefault, true, nil}, {FragmentAllow, false, nil},
		{FragmentForbid, true, unix.EMSGSIZE}, {FragmentIgnore, true, unix.EMSGSIZE}} {
		s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{Source: port(lab.A.IPv4(), 0), Fragmentation: f.mode})
		if err := s.Send(dst, pattern(10)); err != nil {
			t.Fatal(err)
		}
		frame, err := c.Wait(Context(t, soon), IsUDP(9))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := Decode(frame.Data); err != nil || p.DontFragment != f.df {
			t.Errorf("mode %d: DF %v, want %v (%v)", f.mode, p.DontFragment, f.df, err)
		}
		// To another port: what is captured late must not be taken for the next mode.
		if err := s.Send(port(lab.B.IPv4(), 10), pattern(2000)); !errors.Is(err, f.large) {
			t.Errorf("mode %d: above the MTU: %v, want %v", f.mode, err, f.large)
		}
		c.Reset()
	}
}

func TestCaptureSeesExactBytesAndVLANTags(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	all := NewCaptureT(t, lab.B.If, CaptureOptions{})
	in := NewCaptureT(t, lab.B.If, CaptureOptions{IncomingOnly: true})
	out := NewCaptureT(t, lab.A.If, CaptureOptions{})
	header := func(tags ...uint16) []byte {
		f := append(append([]byte{}, lab.B.If.MAC()...), lab.A.If.MAC()...)
		for _, tci := range tags {
			f = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(f, 0x8100), tci)
		}
		return append(binary.BigEndian.AppendUint16(f, 0x88b5), pattern(50)...)
	}
	for _, tags := range [][]uint16{nil, {0x7007}, {0x2fff, 0x0001}} {
		want := header(tags...)
		if err := lab.A.If.SendFrame(want); err != nil {
			t.Fatal(err)
		}
		same := func(f Frame) bool { return bytes.Equal(f.Data, want) }
		for _, c := range []*Capture{all, in, out} {
			f, err := c.Wait(Context(t, soon), same)
			if err != nil {
				t.Fatalf("tags %x: %v", tags, err)
			}
			if f.Outgoing != (c == out) {
				t.Errorf("tags %x: outgoing %v", tags, f.Outgoing)
			}
			p, err := Decode(f.Data)
			if err != nil || !slices.Equal(p.VLANs, tags) || p.EtherType != 0x88b5 {
				t.Errorf("tags %x: decoded %x, type %#x (%v)", tags, p.VLANs, p.EtherType, err)
			}
		}
	}
	// What B sends is not incoming.
	if err := lab.B.If.SendFrame(header(0x0123)); err != nil {
		t.Fatal(err)
	}
	tagged := func(f Frame) bool { p, _ := Decode(f.Data); return slices.Equal(p.VLANs, []uint16{0x0123}) }
	if _, err := all.Wait(Context(t, soon), tagged); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(in.Frames(), tagged) {
		t.Error("the incoming capture has an outgoing frame")
	}
	if n, err := all.Dropped(); n != 0 || err != nil {
		t.Errorf("dropped %d (%v)", n, err)
	}
}

func TestCaptureTellsPartialChecksums(t *testing.T) {
	Require(t, NetNS)
	for _, offloads := range []bool{false, true} {
		lab := NewLabT(t, Topology{Offloads: offloads})
		c := NewCaptureT(t, lab.B.If, CaptureOptions{IncomingOnly: true})
		s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
		if err := s.Send(port(lab.B.IPv4(), 9), pattern(100)); err != nil {
			t.Fatal(err)
		}
		f, err := c.Wait(Context(t, soon), IsUDP(9))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Decode(f.Data)
		if f.PartialChecksum != offloads || errors.Is(err, ErrBadChecksum) != offloads {
			t.Errorf("offloads %v: partial %v, decoded with %v", offloads, f.PartialChecksum, err)
		}
	}
}

func TestCaptureSurvivesLinkDown(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	c := NewCaptureT(t, lab.B.If, CaptureOptions{})
	if err := lab.B.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	if err := lab.B.If.SetUp(); err != nil {
		t.Fatal(err)
	}
	c.Reset()
	s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
	if err := s.Send(port(lab.B.IPv4(), 9), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(Context(t, soon), IsUDP(9)); err != nil {
		t.Error(err)
	}
}

// The exported capture is judged by tshark, where there is one.
func TestExportIsReadByTshark(t *testing.T) {
	Require(t, NetNS)
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Log("no tshark here: the files are only read back")
	}
	lab := NewLabT(t, Topology{})
	c := NewCaptureT(t, lab.B.If, CaptureOptions{IncomingOnly: true})
	s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
	if err := s.Send(port(lab.B.IPv4(), 9), pattern(300)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(Context(t, soon), IsUDP(9)); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(*os.File) error{
		"a.pcapng": func(f *os.File) error { return c.WritePCAPNG(f) },
		"a.pcap":   func(f *os.File) error { return c.WritePCAP(f) },
	} {
		path := filepath.Join(t.TempDir(), name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Size() < 300 {
			t.Errorf("%s: %v %v", name, st, err)
		}
		if tshark == "" {
			continue
		}
		out, err := exec.Command(tshark, "-r", path, "-o", "udp.check_checksum:TRUE", "-Y", "udp.dstport==9", "-T", "fields",
			"-e", "udp.length", "-e", "udp.checksum.status").Output()
		if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, []string{"308", "1"}) {
			t.Errorf("%s: tshark says %q (%v), want length 308 and checksum status 1, good", name, out, err)
		}
	}
}
