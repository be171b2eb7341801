// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The main thread stays with the main goroutine, so that no test can move it to another namespace: /proc/self shows
// the namespace of that thread.
func init() { runtime.LockOSThread() }

// lab is a network namespace of the calling test with a veth pair, both ends in it:
//
//	va ═══════ vb
//
// The test's thread is in the namespace until the test ends, and dies with it; so does the namespace once its sockets
// are closed. Goroutines that the test starts are not in it.
type lab struct {
	t      *testing.T
	va, vb netlink.Link
}

// enterNetNS moves the test to a namespace of its own.
func enterNetNS(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the runtime destroys the thread
	err := unix.Unshare(unix.CLONE_NEWNET)
	if errors.Is(err, unix.EPERM) {
		if os.Getenv("CI") != "" {
			t.Fatal("no permission for a network namespace, and CI is set: run as root or under unshare -Urn")
		}
		t.Skip("no permission for a network namespace: run as root, or under unshare -Urn")
	}
	if err != nil {
		t.Fatalf("unshare: %v", err)
	}
}

// newLab makes the pair with the given number of queues at each end and takes both ends up.
func newLab(t *testing.T, txQueues, rxQueues int) *lab {
	t.Helper()
	enterNetNS(t)
	for _, k := range []string{"all", "default"} { // no neighbour discovery between our frames
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+k+"/disable_ipv6", []byte("1"), 0)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumTxQueues, attrs.NumRxQueues = "va", txQueues, rxQueues
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: "vb", PeerNumTxQueues: uint32(rxQueues),
		PeerNumRxQueues: uint32(txQueues)}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatalf("add veth pair: %v", err)
	}
	l := &lab{t: t, va: must(netlink.LinkByName("va"))(t), vb: must(netlink.LinkByName("vb"))(t)}
	l.up(l.va)
	l.up(l.vb)
	return l
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (l *lab) up(link netlink.Link) {
	l.t.Helper()
	if err := netlink.LinkSetUp(link); err != nil {
		l.t.Fatalf("set %s up: %v", link.Attrs().Name, err)
	}
}

func (l *lab) down(link netlink.Link) {
	l.t.Helper()
	if err := netlink.LinkSetDown(link); err != nil {
		l.t.Fatalf("set %s down: %v", link.Attrs().Name, err)
	}
}

// open makes a socket on va and closes it when the test ends.
func (l *lab) open(o Options) *Socket {
	l.t.Helper()
	if o.Ifname == "" {
		o.Ifname = "va"
	}
	s, err := Open(o)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { s.Close() })
	return s
}

// etherType is one of those for local experiments (IEEE 802): no protocol of the kernel answers it.
const etherType = 0x88b5

// listener receives the frames of our EtherType that arrive at vb.
type listener struct {
	t  *testing.T
	fd int
}

func (l *lab) listen() *listener {
	l.t.Helper()
	proto := uint16(etherType<<8&0xff00 | etherType>>8)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: l.vb.Attrs().Index}); err != nil {
		l.t.Fatal(err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	tv := unix.NsecToTimeval(time.Minute.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		l.t.Fatal(err)
	}
	return &listener{l.t, fd}
}

// next is the next frame; it waits up to a minute.
func (r *listener) next() []byte {
	r.t.Helper()
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(r.fd, buf, 0)
	if err != nil {
		r.t.Fatalf("receive at vb: %v", err)
	}
	return buf[:n]
}

// none fails if there is another frame: on veth all that was sent has arrived when the Kick returns.
func (r *listener) none() {
	r.t.Helper()
	buf := make([]byte, 4096)
	if n, _, err := unix.Recvfrom(r.fd, buf, unix.MSG_DONTWAIT); err == nil {
		r.t.Fatalf("an unexpected frame of %d bytes: %x", n, buf[:min(n, 32)])
	}
}

// frame is a frame of our EtherType of n bytes with a serial number in it.
func frame(n int, serial uint32) []byte {
	f := make([]byte, n)
	copy(f, []byte{2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, etherType >> 8, etherType & 0xff})
	for i := 14; i < n; i++ {
		f[i] = byte(i) ^ byte(serial)
	}
	if n >= 18 {
		f[14], f[15], f[16], f[17] = byte(serial>>24), byte(serial>>16), byte(serial>>8), byte(serial)
	}
	return f
}

// put writes a frame into chunk i and submits it.
func put(t *testing.T, s *Socket, i int, f []byte) {
	t.Helper()
	addr := s.UMEM().Addr(i)
	copy(s.UMEM().Chunk(addr), f)
	idx, n := s.TX().Reserve(1)
	if n != 1 {
		t.Fatal("TX ring full")
	}
	s.TX().Set(idx, Desc{Addr: addr, Len: uint32(len(f))})
	s.TX().Submit(1)
}

// harvest takes what is on the completion ring and returns the chunk indexes.
func harvest(t *testing.T, s *Socket) []int {
	t.Helper()
	var out []int
	first, n := s.Completion().Peek(1 << 20)
	for i := range n {
		index, ok := s.UMEM().CheckTx(s.Completion().At(first + i))
		if !ok {
			t.Errorf("foreign completion %#x", s.Completion().At(first+i))
		}
		out = append(out, index)
	}
	tell(s)
	s.Completion().Release(n)
	return out
}

// tell lets the TX ring know what the completions that are there say of its consumer. It knows no table of chunks and
// looks into the ring.
func tell(s *Socket) {
	tx, cq := s.TX(), s.Completion()
	first, n := cq.Peek(1 << 20)
	for i := tx.Producer(); i != tx.Consumer(); i-- {
		for j := range n {
			if tx.At(i-1).Addr == cq.At(first+j) {
				tx.Completed(i - 1)
				return
			}
		}
	}
}

// kernelAtLeast compares the running kernel with "major.minor".
func kernelAtLeast(t *testing.T, version string) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	return !versionLess(unix.ByteSliceToString(u.Release[:]), version)
}

func versionLess(release, version string) bool {
	parse := func(s string) (n int) {
		parts := strings.SplitN(s, ".", 3)
		major, _ := strconv.Atoi(parts[0])
		minor := 0
		if len(parts) > 1 {
			minor, _ = strconv.Atoi(strings.TrimFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' }))
		}
		return major*1000 + minor
	}
	return parse(release) < parse(version)
}

// openFiles is the number of descriptors of the process, ringMappings that of its mappings of sockets.
func openFiles(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

func ringMappings(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "socket:[")
}
