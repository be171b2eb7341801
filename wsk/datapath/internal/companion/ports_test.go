// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// matrix is that of "Sharing Transport Addresses" in the WSK documentation: rows are the second socket, columns the first.
var matrix = [6][6]string{
	{"IN USE", "ok", "IN USE", "ok", "IN USE", "ok"},
	{"CHECK", "IN USE", "CHECK", "DENIED", "DENIED", "IN USE"},
	{"DENIED", "ok", "ok", "ok", "DENIED", "ok"},
	{"CHECK", "DENIED", "ok", "ok", "DENIED", "DENIED"},
	{"IN USE", "IN USE", "IN USE", "IN USE", "IN USE", "IN USE"},
	{"CHECK", "IN USE", "CHECK", "IN USE", "DENIED", "IN USE"},
}

var matrixNames = [6]string{"default W", "default S", "REUSE W", "REUSE S", "EXCL W", "EXCL S"}

// request is a bind in the row or column i of the matrix.
func request(i int, wild, specific string) wsk.BindRequest {
	local := wild
	if i%2 == 1 {
		local = specific
	}
	return wsk.BindRequest{Local: netip.MustParseAddrPort(local), ReuseAddress: i/2 == 1, ExclusiveAddressUse: i/2 == 2}
}

// TestSharingMatrix goes through all 36 cells, for both families and across them on dual-stack sockets; where two
// sockets share, the most specific gets a datagram, and of equals the later.
//
// Checklist item 27.
func TestSharingMatrix(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	sender6 := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: netip.MustParseAddrPort("[::]:0")})
	for _, kind := range []struct {
		name, wild1, specific1, wild2, specific2 string
		dual                                     bool
	}{
		{"v4", "0.0.0.0:7400", "10.77.0.1:7400", "0.0.0.0:7400", "10.77.0.1:7400", false},
		{"v6", "[::]:7400", "[fd77::1]:7400", "[::]:7400", "[fd77::1]:7400", false},
		{"dual after v4", "0.0.0.0:7400", "10.77.0.1:7400", "[::]:7400", "[::ffff:10.77.0.1]:7400", true},
		{"v4 after dual", "[::]:7400", "[::ffff:10.77.0.1]:7400", "0.0.0.0:7400", "10.77.0.1:7400", true},
	} {
		for second := range matrix {
			for first, cell := range matrix[second] {
				for _, granted := range []bool{false, true} {
					name := fmt.Sprintf("%s/%s after %s, granted %v", kind.name, matrixNames[second], matrixNames[first], granted)
					t.Run(name, func(t *testing.T) {
						req1 := request(first, kind.wild1, kind.specific1)
						req1.DualStack = kind.dual && req1.Local.Addr().Is6()
						req1.ShareGranted = granted
						p1, status := tryBind(t, h, req1)
						mustSucceed(t, "first", status)
						defer p1.close()
						req2 := request(second, kind.wild2, kind.specific2)
						req2.DualStack = kind.dual && req2.Local.Addr().Is6()
						req2.ShareGranted = !granted // nobody asks the second one's descriptor
						p2, status := tryBind(t, h, req2)
						want := map[string]wsk.NTSTATUS{"ok": wsk.STATUS_SUCCESS, "IN USE": wsk.STATUS_ADDRESS_ALREADY_EXISTS,
							"DENIED": wsk.STATUS_ACCESS_DENIED, "CHECK": wsk.STATUS_ACCESS_DENIED}[cell]
						if cell == "CHECK" && granted {
							want = wsk.STATUS_SUCCESS
						}
						if status != want {
							t.Fatalf("%v, want %v", status, want)
						}
						if status != wsk.STATUS_SUCCESS {
							return
						}
						defer p2.close()
						s, to := sender, "10.77.0.1:7400"
						if kind.name == "v6" {
							s, to = sender6, "[fd77::1]:7400"
						}
						if err := s.Send(netip.MustParseAddrPort(to), []byte("whose?")); err != nil {
							t.Fatal(err)
						}
						owner, other := p2, p1
						if first%2 == 1 && second%2 == 0 {
							owner, other = p1, p2 // the specific one came first
						}
						owner.wait(1)
						if n := other.count(); n != 0 {
							t.Errorf("%d datagrams went to the other socket", n)
						}
					})
				}
			}
		}
	}
}

// TestNoConflict: what has no address in common never conflicts.
func TestNoConflict(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	if err := lab.A.If.AddAddr(netip.MustParsePrefix("10.77.0.3/24")); err != nil {
		t.Fatal(err)
	}
	for _, local := range []string{"10.77.0.1:7401", "10.77.0.3:7401", "127.0.0.1:7401", "[fd77::1]:7401", "[::1]:7401", "10.77.0.1:7402"} {
		p, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort(local), ExclusiveAddressUse: local[0] == '['})
		mustSucceed(t, local, status)
		defer p.close()
	}
	four, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:7403")})
	mustSucceed(t, "v4 wildcard", status)
	six, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort("[::]:7403")})
	mustSucceed(t, "v6 wildcard on the same number", status)
	if _, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort("[::]:7403"), DualStack: true}); status != wsk.STATUS_ADDRESS_ALREADY_EXISTS {
		t.Errorf("dual-stack over both: %v", status)
	}
	four.close()
	six.close()
}

// bindForeign binds a socket of "another program" in A.
func bindForeign(t *testing.T, lab *testenv.Lab, local string, reuse bool) (fd int, err error) {
	t.Helper()
	ap := netip.MustParseAddrPort(local)
	domain := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	if ap.Addr().Is4() {
		domain, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	if fd, err = lab.A.NS.Socket(domain, unix.SOCK_DGRAM, unix.IPPROTO_UDP); err != nil {
		t.Fatal(err)
	}
	if reuse {
		setReuse(fd, true)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err := unix.Bind(fd, sa); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// TestPortOwnership: neither side takes the other's port, sharing or not, and a closed port is free at once.
func TestPortOwnership(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	for _, reuse := range []bool{false, true} {
		for _, local := range []string{"10.77.0.1:7410", "0.0.0.0:7410"} {
			if local == "10.77.0.1:7410" {
				local = "10.77.0.1:7411"
			}
			ap := netip.MustParseAddrPort(local)
			req := wsk.BindRequest{Local: ap, ReuseAddress: reuse}
			p, status := tryBind(t, h, req)
			mustSucceed(t, "bind", status)
			refused := func(when string) {
				t.Helper()
				for _, theirs := range []string{local, fmt.Sprintf("0.0.0.0:%d", ap.Port()), fmt.Sprintf("10.77.0.1:%d", ap.Port())} {
					if fd, err := bindForeign(t, lab, theirs, true); err == nil {
						t.Errorf("%s: another program has bound %s beside our %s", when, theirs, local)
						unix.Close(fd)
					}
				}
			}
			refused("one of ours")
			if reuse { // a shared bind leaves neither socket open to others
				for _, older := range []bool{true, false} {
					p2, status := tryBind(t, h, req)
					mustSucceed(t, "shared bind", status)
					refused("two of ours")
					if older {
						p, p2 = p2, p
					}
					p2.close()
					refused("the one that is left")
				}
			}
			p.close()
			fd, err := bindForeign(t, lab, local, true)
			if err != nil {
				t.Fatalf("the port is not free after close: %v", err)
			}
			if _, status := tryBind(t, h, req); status != wsk.STATUS_ADDRESS_ALREADY_EXISTS {
				t.Errorf("over another program's socket: %v", status)
			}
			unix.Close(fd)
			p, status = tryBind(t, h, req)
			mustSucceed(t, "bind after the other program has gone", status)
			p.close()
		}
	}
}

// TestSharedBindFindsStrangers: while SO_REUSEADDR is on for a shared bind the kernel would let us onto a port that
// another program holds with SO_REUSEADDR too.
func TestSharedBindFindsStrangers(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	if err := lab.A.If.AddAddr(netip.MustParsePrefix("10.77.0.3/24")); err != nil {
		t.Fatal(err)
	}
	fd, err := bindForeign(t, lab, "10.77.0.3:7420", true)
	if err != nil {
		t.Fatal(err)
	}
	p, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort("10.77.0.1:7420")})
	mustSucceed(t, "another address", status)
	// The matrix allows a default wildcard after a default specific socket, so SO_REUSEADDR is on for this bind.
	wild := wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:7420")}
	if _, status := tryBind(t, h, wild); status != wsk.STATUS_ADDRESS_ALREADY_EXISTS {
		t.Errorf("wildcard over another program's address: %v", status)
	}
	unix.Close(fd)
	p2, status := tryBind(t, h, wild)
	mustSucceed(t, "after the other program has gone", status)
	p2.close()
	p.close()
}

// intruder is another program that tries, until it is stopped, to get onto an address with SO_REUSEADDR.
func intruder(t *testing.T, lab *testenv.Lab, local string) (stop func() (got bool)) {
	t.Helper()
	quit, in := make(chan struct{}), make(chan int, 1)
	go func() {
		defer close(in)
		for {
			select {
			case <-quit:
				return
			default:
			}
			if fd, err := bindForeign(t, lab, local, true); err == nil {
				in <- fd
				return
			}
		}
	}()
	return func() bool {
		close(quit)
		fd, got := <-in
		if got {
			unix.Close(fd)
		}
		return got
	}
}

// TestSharedBindOpensNothingElse: what an endpoint joins and binds on a port number lets no program onto the address that
// another endpoint has with that number.
func TestSharedBindOpensNothingElse(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	if err := lab.A.If.AddAddr(netip.MustParsePrefix("10.77.0.3/24")); err != nil {
		t.Fatal(err)
	}
	a := bind(t, h, "10.77.0.1:7430")
	member := wsk.Membership{Group: netip.MustParseAddr("239.7.30.1").As16(), IfIndex: uint32(lab.A.If.Index())}
	mustSucceed(t, "join", a.Change(member))
	stop := intruder(t, lab, "10.77.0.1:7430")
	for range 500 {
		b := bind(t, h, "10.77.0.3:7430")
		mustSucceed(t, "join", b.Change(member))
		b.close()
	}
	if stop() {
		t.Error("another program has bound the address of an endpoint that shares nothing")
	}
}

// TestSharedBindFindsWhoSlippedIn: a program that gets onto an address of the older socket while SO_REUSEADDR is on is
// found, also where the newer one does not have that address.
func TestSharedBindFindsWhoSlippedIn(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	if err := lab.A.If.AddAddr(netip.MustParsePrefix("10.77.0.3/24")); err != nil {
		t.Fatal(err)
	}
	const port = 7431
	old, status := tryBind(t, h, wsk.BindRequest{Local: netip.AddrPortFrom(netip.IPv4Unspecified(), port), ReuseAddress: true})
	mustSucceed(t, "the older one", status)
	stop := intruder(t, lab, netip.AddrPortFrom(netip.MustParseAddr("10.77.0.3"), port).String())
	for range 500 {
		p, status := tryBind(t, h, wsk.BindRequest{Local: netip.AddrPortFrom(lab.A.IPv4(), port), ReuseAddress: true})
		if status != wsk.STATUS_SUCCESS {
			break // it has been found
		}
		var there []diagSocket
		if err := h.InNetNS(func() (err error) {
			there, err = diagnose(unix.AF_INET, port)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(there) != 2 {
			t.Errorf("the bind has succeeded, and on the port are %+v", there)
		}
		p.close()
		if t.Failed() {
			break
		}
	}
	stop()
	old.close()
}

// TestStrangerOnALinkLocalAddress: sock_diag names the interface of such an address apart from it.
func TestStrangerOnALinkLocalAddress(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	const port = 7432
	index := lab.A.If.Index()
	local := netip.MustParseAddr("fe80::7432")
	if err := lab.A.If.AddAddr(netip.PrefixFrom(local, 64)); err != nil {
		t.Fatal(err)
	}
	fd, err := lab.A.NS.Socket(unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	sa := &unix.SockaddrInet6{Port: port, Addr: local.As16(), ZoneId: uint32(index)}
	eventually(t, "the address to be usable", func() bool { return unix.Bind(fd, sa) == nil })
	s := &socket{id: socketOf(fd) + 1, at: wsk.BindRequest{Local: netip.AddrPortFrom(local.WithZone(zoneOf(uint32(index))), port)}}
	look := func(known ...socketID) error {
		return h.InNetNS(func() error { return refuseForeign(h.Log, []*socket{s}, known) })
	}
	if err := look(s.id); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a stranger: %v", err)
	}
	if err := look(s.id, socketOf(fd)); err != nil {
		t.Errorf("one of ours: %v", err)
	}
	s.at.Local = netip.AddrPortFrom(local.WithZone(zoneOf(uint32(index)+1)), port)
	if err := look(s.id); err != nil {
		t.Errorf("on another interface: %v", err)
	}
}

// TestDynamicPorts: 500 sockets get 500 different ports of 49152–65535, none of which the kernel holds.
//
// Checklist item 26.
func TestDynamicPorts(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	var foreign []int
	for i := range 200 {
		if fd, err := bindForeign(t, lab, fmt.Sprintf("0.0.0.0:%d", 49152+i*80), false); err == nil {
			foreign = append(foreign, fd)
		}
	}
	seen := make(map[uint16]bool)
	for range 500 {
		p := bind(t, h, "0.0.0.0:0")
		n := p.addr().Port()
		if n < 49152 || seen[n] || (n-49152)%80 == 0 && int(n-49152)/80 < 200 {
			t.Errorf("port %d", n)
		}
		seen[n] = true
	}
	for _, fd := range foreign {
		unix.Close(fd)
	}
}
