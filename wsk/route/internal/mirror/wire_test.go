// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// wire is a message that is being written.
type wire []byte

func (w wire) u8(v ...uint8) wire          { return append(w, v...) }
func (w wire) u32(v uint32) wire           { return binary.NativeEndian.AppendUint32(w, v) }
func (w wire) zero(n int) wire             { return append(w, make([]byte, n)...) }
func (w wire) str(t uint16, s string) wire { return w.attr(t, append([]byte(s), 0)) }

func (w wire) attr(t uint16, v []byte) wire {
	w = binary.NativeEndian.AppendUint16(w, uint16(rtattr.Header+len(v)))
	w = append(binary.NativeEndian.AppendUint16(w, t), v...)
	return w.zero(-len(w) & 3)
}

func (w wire) attr32(t uint16, v uint32) wire {
	return w.attr(t, binary.NativeEndian.AppendUint32(nil, v))
}

func (w wire) addr(t uint16, ip netip.Addr) wire {
	if !ip.IsValid() {
		return w
	}
	return w.attr(t, ip.AsSlice())
}

// talk is a socket for requests. Of one goroutine.
type talk struct {
	t   testing.TB
	fd  int
	seq uint32
	buf []byte
}

func newTalk(t testing.TB, ns *testenv.Namespace) *talk {
	t.Helper()
	k := &talk{t: t, buf: make([]byte, 64<<10)}
	must(t, ns.Do(func() (err error) {
		k.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		return err
	}))
	tv := unix.Timeval{Sec: 20}
	must(t, unix.SetsockoptTimeval(k.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	t.Cleanup(func() { unix.Close(k.fd) })
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// request appends a request with the flags to b.
func (k *talk) request(b []byte, typ uint16, flags uint16, body wire) []byte {
	k.seq++
	b = binary.NativeEndian.AppendUint32(b, uint32(headerLen+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, k.seq)
	b = append(binary.NativeEndian.AppendUint32(b, 0), body...)
	return wire(b).zero(-len(b) & 3)
}

// do sends a request and waits for its acknowledgement or its answer.
func (k *talk) do(typ, flags uint16, body wire, answer func(body []byte)) error {
	k.t.Helper()
	if answer == nil {
		flags |= unix.NLM_F_ACK
	}
	must(k.t, unix.Sendto(k.fd, k.request(nil, typ, flags, body), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	done, failure := false, error(nil)
	for !done {
		n, _, err := unix.Recvfrom(k.fd, k.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		must(k.t, err)
		eachMessage(k.buf[:n], func(typ, _ uint16, seq uint32, body []byte) bool {
			if seq != k.seq {
				return true
			}
			done = true
			if typ != unix.NLMSG_ERROR {
				answer(body)
			} else if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
				failure = unix.Errno(-code)
			}
			return false
		})
	}
	return failure
}

// verdict is what the kernel says of a query.
type verdict struct {
	device  int
	gateway netip.Addr
	source  netip.Addr
	mtu     int
	typ     uint8
	encap   bool
	err     error
}

// ask asks the kernel as package route does.
func (k *talk) ask(q *Query) verdict {
	family, bits := uint8(unix.AF_INET6), uint8(128)
	if q.Dst.Is4() {
		family, bits = unix.AF_INET, 32
	}
	body := wire{family, bits, 0, q.TOS, 0, 0, 0, 0}.u32(0)
	if q.Src.IsValid() {
		body[2] = bits
	}
	body = body.addr(unix.RTA_DST, q.Dst).addr(unix.RTA_SRC, q.Src)
	if q.Interface != 0 {
		body = body.attr32(unix.RTA_OIF, uint32(q.Interface))
	}
	if q.Mark != 0 {
		body = body.attr32(unix.RTA_MARK, q.Mark)
	}
	body = body.attr(unix.RTA_IP_PROTO, []byte{unix.IPPROTO_UDP})
	if q.SrcPort != 0 {
		body = body.attr(unix.RTA_SPORT, binary.BigEndian.AppendUint16(nil, q.SrcPort))
	}
	if q.DstPort != 0 {
		body = body.attr(unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, q.DstPort))
	}
	var a announced
	err := k.do(unix.RTM_GETROUTE, 0, body, func(b []byte) {
		if !parseRoute(b, &a) {
			k.t.Fatalf("malformed answer to %+v: %x", q, b)
		}
	})
	if err != nil {
		return verdict{err: err}
	}
	v := verdict{device: a.key.device, gateway: a.key.gateway, source: a.key.source, mtu: a.key.mtu, typ: a.typ, encap: a.key.encap}
	if q.Src.IsValid() {
		v.source = q.Src
	}
	return v
}
