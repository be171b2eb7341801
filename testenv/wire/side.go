// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Record is a datagram as it was delivered.
type Record struct {
	Socket      string
	Payload     string
	Source      netip.AddrPort
	Destination netip.Addr
	Ifindex     int
	TTL, TOS    int
}

// side is one of the hosts, with what its sockets have received.
type side struct {
	name string
	lab  *testenv.Lab
	fd   int // for frames, at the other end
	to   unix.SockaddrLinklayer

	marked uint32 // the tag that frames of fd get beside them

	mu      sync.Mutex
	got     map[Record]int
	markers map[marker]uint64 // the last barrier of each kind
	change  chan struct{}
	readers sync.WaitGroup
	closers []func() error
}

// marker is a way to a socket that barriers take.
type marker struct {
	socket string
	way    byte
}

const (
	throughXDP    = 'x'
	throughKernel = 'k'
	barrierMagic  = "a barrier of ours "
)

func barrierPayload(way byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(barrierMagic), way), number)
}

func newSide(name string) (*side, error) {
	lab, err := testenv.NewLab(testenv.Topology{Neighbours: testenv.Static})
	if err != nil {
		return nil, err
	}
	s := &side{name: name, lab: lab, fd: -1, got: make(map[Record]int), markers: make(map[marker]uint64), change: make(chan struct{}, 1)}
	// What is never completed is forgotten before its number comes again, and nothing for want of room.
	for _, c := range []struct{ key, value string }{
		{"ipv4/ipfrag_time", "1"}, {"ipv6/ip6frag_time", "1"}, {"ipv4/ipfrag_high_thresh", "67108864"},
		{"ipv6/ip6frag_high_thresh", "67108864"}, {"ipv4/ipfrag_max_dist", "0"},
	} {
		if err := lab.A.NS.Sysctl(c.key, c.value); err != nil {
			return nil, errors.Join(err, lab.Close())
		}
	}
	if err := lab.B.If.SetMTU(farMTU); err != nil {
		return nil, errors.Join(err, lab.Close())
	}
	if err := errors.Join(lab.B.If.TagBeside(), lab.A.If.AddMapped(mappedLocal)); err != nil {
		return nil, errors.Join(err, lab.Close())
	}
	if s.fd, err = lab.B.NS.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0); err != nil {
		return nil, errors.Join(err, lab.Close())
	}
	s.to = unix.SockaddrLinklayer{Ifindex: lab.B.If.Index(), Halen: 6}
	return s, nil
}

// set sets sysctls at the host.
func (s *side) set(list []string) error {
	for _, c := range list {
		key, value, ok := strings.Cut(c, "=")
		if !ok {
			return fmt.Errorf("sysctl %q: want key=value", c)
		}
		if err := s.lab.A.NS.Sysctl(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) close() error {
	var errs []error
	for k := len(s.closers) - 1; k >= 0; k-- {
		errs = append(errs, s.closers[k]())
	}
	s.readers.Wait()
	if s.fd >= 0 {
		errs = append(errs, unix.Close(s.fd))
	}
	return errors.Join(append(errs, s.lab.Close())...)
}

// forwardable is the longest frame that the link passes on: MTU, header, and a tag.
const forwardable = 1500 + 14 + 4

// mostTries bounds how often a frame is tried for which there is no room, a millisecond apart.
const mostTries = 1000

// inject sends a frame to the host, with a tag beside it unless that is 0. The kernel takes it up to the socket, or the ring, before
// the call returns, and says when the link had no room for it.
func (s *side) inject(frame []byte, beside uint32) error {
	if beside != s.marked { // see testenv.Iface.TagBeside
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_MARK, int(int32(beside))); err != nil {
			return fmt.Errorf("tag frames at %s: %w", s.name, err)
		}
		s.marked = beside
	}
	for try := 0; ; try++ {
		err := unix.Sendto(s.fd, frame, 0, &s.to)
		switch {
		case err == nil, err == unix.ENOBUFS && len(frame) > forwardable:
			return nil
		case err == unix.EINTR, err == unix.EAGAIN:
		case err == unix.ENOBUFS && try < mostTries:
			time.Sleep(time.Millisecond)
		default:
			return fmt.Errorf("inject %d bytes at %s: %w", len(frame), s.name, err)
		}
	}
}

// take notes a datagram or a barrier.
func (s *side) take(r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(r.Payload) == len(barrierMagic)+9 && r.Payload[:len(barrierMagic)] == barrierMagic {
		way := r.Payload[len(barrierMagic)]
		m := marker{r.Socket, way}
		s.markers[m] = max(s.markers[m], binary.BigEndian.Uint64([]byte(r.Payload[len(barrierMagic)+1:])))
		select {
		case s.change <- struct{}{}:
		default:
		}
		return
	}
	s.got[r]++
}

// await waits until every barrier with a number has arrived.
func (s *side) await(ctx context.Context, number uint64) error {
	for {
		s.mu.Lock()
		var missing []string
		for _, b := range bindings {
			for _, way := range []byte{throughXDP, throughKernel} {
				if s.markers[marker{b.name, way}] != number {
					missing = append(missing, fmt.Sprintf("%s (%c)", b.name, way))
				}
			}
		}
		s.mu.Unlock()
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-s.change:
		case <-ctx.Done():
			return fmt.Errorf("%s: barrier %d does not arrive at %v", s.name, number, missing)
		}
	}
}

// drain returns what was delivered and forgets it.
func (s *side) drain() map[Record]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = make(map[Record]int)
	return got
}

// controlOf reads control messages in the kernel's layout.
func (r *Record) controlOf(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return err
	}
	r.TTL, r.TOS = -1, -1
	ne := binary.NativeEndian
	for _, m := range messages {
		switch at := [2]int32{m.Header.Level, m.Header.Type}; at {
		case [2]int32{unix.IPPROTO_IP, unix.IP_TOS}:
			r.TOS = int(m.Data[0])
		case [2]int32{unix.IPPROTO_IP, unix.IP_TTL}, [2]int32{unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT}:
			r.TTL = int(ne.Uint32(m.Data))
		case [2]int32{unix.IPPROTO_IPV6, unix.IPV6_TCLASS}:
			r.TOS = int(ne.Uint32(m.Data))
		case [2]int32{unix.IPPROTO_IP, unix.IP_PKTINFO}:
			r.Ifindex, r.Destination = int(ne.Uint32(m.Data)), netip.AddrFrom4([4]byte(m.Data[8:12]))
		case [2]int32{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO}:
			if a := netip.AddrFrom16([16]byte(m.Data[:16])); !r.Destination.IsValid() {
				r.Destination, r.Ifindex = a.Unmap(), int(ne.Uint32(m.Data[16:]))
			}
		}
	}
	return nil
}
