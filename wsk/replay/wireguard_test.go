// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// message is a message of the protocol: its type, and a body of any kind.
func message(kind uint32, body []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, kind), body...)
}

// finish unloads the driver and checks that nothing is left of what it has allocated.
func (wg *wgDevice) finish() {
	wg.t.Helper()
	wg.unload()
	if made, freed := wg.contexts.Load(), wg.contextsFreed.Load(); made != freed {
		wg.t.Errorf("%d of %d send contexts freed", freed, made)
	}
}

// TestWireguard has two peers of each IP version talk to one device. The device answers each at the address that it was
// last heard from, and from the address that the peer has used: handshakes one by one, data as lists of MDL chains.
//
// Checklist items 43, 49, 62 and 63.
func TestWireguard(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		wg := newWgDevice(t, r)
		if !wg.has4 || !wg.has6 || wg.queries != 1 {
			t.Errorf("after %d queries: IPv4 %v, IPv6 %v", wg.queries, wg.has4, wg.has6)
		}
		peer := new(wgPeer)
		wg.consumed = func(p *wgPacket) {
			var e wgEndpoint
			if !e.learn(p.data) {
				t.Errorf("from %v without packet information", p.data.RemoteAddress)
				return
			}
			if want := map[uint16]int{wsk.AF_INET: 40, wsk.AF_INET6: 56}[p.data.RemoteAddress.Family()]; e.length != want {
				t.Errorf("control data of %d bytes, want %d", e.length, want)
			}
			peer.set(e)
			data := p.bytes()
			status := wsk.STATUS_SUCCESS
			if p.header == wgHandshake {
				status = wg.sendBuffer(peer, data)
			} else {
				status = wg.sendToPeer(peer, newNet(data, 1, 14, 15), newNet(data[:len(data)/2], 0, 3), newNet(data))
			}
			if !status.Success() {
				t.Errorf("send: %v", status)
			}
		}
		if status := wg.socketInit(0, nil); !status.Success() {
			t.Fatal(status)
		}
		for _, six := range []bool{false, true} {
			home := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(six), 0), false)
			away := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(six), 0), false)
			for i := range 40 {
				p, to := home, netip.AddrPortFrom(r.a(six), wg.port)
				if i%3 == 1 { // the peer roams
					p = away
				}
				if i%4 >= 2 { // and reaches us at another address
					to = netip.AddrPortFrom(second(six), wg.port)
				}
				body := pattern(20+i*31, i)
				p.send(to, message(wgHandshake, body), sending{})
				wg.check(p, to, message(wgHandshake, body))
				p.send(to, message(wgData, body), sending{})
				data := message(wgData, body)
				wg.check(p, to, data, data[:len(data)/2], data)
			}
			if home.left()+away.left() != 0 {
				t.Errorf("%d datagrams too many", home.left()+away.left())
			}
		}
		wg.finish()
		if wg.discards.Load() != 0 || wg.kept.Load() != 160 {
			t.Errorf("%d packets kept, %d discarded", wg.kept.Load(), wg.discards.Load())
		}
		r.checkArrivals()
	})
}

// check takes the answers from a peer.
func (wg *wgDevice) check(p *peer, from netip.AddrPort, want ...[]byte) {
	wg.t.Helper()
	for i, got := range p.wait(len(want)) {
		if got.from != from || !bytes.Equal(got.data, want[i]) {
			wg.t.Errorf("answer %d of %d: %d bytes from %v, want %d from %v", i, len(want), len(got.data), got.from, len(want[i]), from)
		}
	}
}

// TestWireguardBurst: lists of several indications are cut apart. Some indications are given back inside the callback,
// the others later, by a worker, out of order. None is lost, and nothing is lent any more at the end.
//
// Checklist items 61 to 63.
func TestWireguardBurst(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		wg := newWgDevice(t, r)
		const bursts, burst = 100, 40
		got := make(chan uint32, bursts*burst)
		wg.consumed = func(p *wgPacket) {
			data := p.bytes()
			if n := binary.LittleEndian.Uint32(data[4:]); !bytes.Equal(data[8:], pattern(len(data)-8, int(n))) {
				t.Errorf("packet %d of %d bytes is damaged", n, len(data))
			} else {
				got <- n
			}
		}
		if status := wg.socketInit(51820, nil); !status.Success() {
			t.Fatal(status)
		}
		peers := []*peer{
			newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(false), 0), false),
			newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(true), 0), false),
		}
		var all []uint32
		unwanted := 0
		for i := range bursts {
			wanted := 0
			for k := range burst {
				n := uint32(i*burst + k)
				p, to := peers[i%2], netip.AddrPortFrom(r.a(i%2 == 1), 51820)
				if k%4 == 3 { // no message of the protocol: released in the callback
					p.send(to, [][]byte{nil, {1}, message(77, nil)}[k/4%3], sending{})
					unwanted++
					continue
				}
				body := binary.LittleEndian.AppendUint32(nil, n)
				p.send(to, message(wgData, append(body, pattern(int(n)%1300, int(n))...)), sending{})
				wanted++
			}
			for range wanted {
				all = append(all, take(t, "a packet", got))
			}
		}
		if !slices.IsSorted(all) || len(slices.Compact(all)) != bursts*burst*3/4 {
			t.Error("the packets are not each once and in order")
		}
		testenv.Eventually(t, waitLimit, "what is unwanted", func() bool { return wg.discards.Load() == int64(unwanted) })
		wg.finish()
		r.checkArrivals()
	})
}

// TestWireguardPorts: when another program takes the port between the two binds, the IPv6 one fails with the status on
// which the client tries again; with a port of its own choice it gives up.
//
// Checklist items 22 and 24.
func TestWireguardPorts(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		wg := newWgDevice(t, r)
		wg.consumed = func(*wgPacket) {}
		var taken []int
		defer func() {
			for _, fd := range taken {
				unix.Close(fd)
			}
		}()
		var tried []uint16
		steal := func(port uint16) {
			tried = append(tried, port)
			if len(tried) > 3 {
				return
			}
			fd, err := r.lab.A.NS.Socket(unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
			if err != nil {
				t.Fatal(err)
			}
			taken = append(taken, fd)
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
				t.Fatal(err)
			}
			if err := unix.Bind(fd, &unix.SockaddrInet6{Port: int(port)}); err != nil {
				t.Fatal(err)
			}
		}
		if status := wg.socketInit(0, steal); status != wsk.STATUS_SUCCESS || wg.retries != 3 {
			t.Errorf("%v after %d retries", status, wg.retries)
		}
		for _, port := range tried {
			if port < 49152 {
				t.Errorf("port %d is not of the dynamic range", port)
			}
		}
		stolen := tried[0]
		if status := wg.socketInit(stolen, nil); status != wsk.STATUS_ADDRESS_ALREADY_EXISTS || wg.retries != 0 {
			t.Errorf("port %d again: %v after %d retries", stolen, status, wg.retries)
		}
		unix.Close(taken[0])
		taken = taken[1:]
		if status := wg.socketInit(stolen, nil); status != wsk.STATUS_SUCCESS || wg.port != stolen {
			t.Errorf("port %d once it is free: %v", stolen, status)
		}
		wg.finish()
	})
}

// TestWireguardFailures: the routine of a send that fails frees everything, also when the call itself returns the
// failure; and the transport list is asked for with too little room.
//
// Checklist items 13 to 16 and 20.
func TestWireguardFailures(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		wg := newWgDevice(t, r)
		wg.consumed = func(*wgPacket) {}
		for _, entries := range []int{0, 1} {
			if wg.queryTransports(entries); wg.queries != 2 || !wg.has4 || !wg.has6 {
				t.Errorf("room for %d: %d queries, IPv4 %v, IPv6 %v", entries, wg.queries, wg.has4, wg.has6)
			}
		}
		if status := wg.socketInit(0, nil); !status.Success() {
			t.Fatal(status)
		}
		endpoint := func(to netip.AddrPort, source netip.Addr) (e wgEndpoint) {
			copy(e.address[:], wsk.NewSockaddr(to))
			level, empty := int32(wsk.IPPROTO_IP), int32(wsk.IP_OPTIONS)
			if to.Addr().Is6() {
				level, empty = wsk.IPPROTO_IPV6, wsk.IPV6_RTHDR
			}
			control := wsk.AppendPktinfo(e.control[:0], source, uint32(r.lab.A.If.Index()))
			e.length = len(wsk.AppendCMsg(control, level, empty, nil))
			return e
		}
		for _, six := range []bool{false, true} {
			good, foreign := netip.AddrPortFrom(r.b(six), 9), netip.MustParseAddr("192.0.2.9")
			if six {
				foreign = netip.MustParseAddr("2001:db8::9")
			}
			for name, e := range map[string]wgEndpoint{
				"no port":                   endpoint(netip.AddrPortFrom(r.b(six), 0), r.a(six)),
				"a source that is not ours": endpoint(good, foreign),
				"cut control data":          func() wgEndpoint { e := endpoint(good, r.a(six)); e.length -= 17; return e }(),
				"control data of the other family": func() wgEndpoint {
					e := endpoint(netip.AddrPortFrom(r.b(!six), 9), r.a(!six))
					copy(e.address[:], wsk.NewSockaddr(good))
					return e
				}(),
			} {
				peer := &wgPeer{endpoint: e}
				made := wg.contexts.Load()
				wg.sendToPeer(peer, newNet(pattern(100, 0), 7), newNet(pattern(200, 1)))
				wg.sendBuffer(peer, pattern(148, 2))
				testenv.Eventually(t, waitLimit, name+": the contexts to be freed", func() bool {
					return wg.contextsFreed.Load() == made+2
				})
			}
		}
		wg.finish()
	})
}
