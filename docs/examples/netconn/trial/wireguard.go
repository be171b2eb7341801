// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

const tunnelMTU = 1420

// tunnelEnd is one end of a tunnel: a key, and the device when that is up.
type tunnelEnd struct {
	*End
	key    *ecdh.PrivateKey
	inside netip.Addr
	device *device.Device
	more   string // configuration of the device
	allow  string // what is reached through the peer
}

// Tunnel is wireguard-go on two hosts.
type Tunnel struct {
	a, b   tunnelEnd
	target netip.Addr // where TCP listens, on b
}

// NewTunnel starts it, with the sockets of a and b below and an address in the tunnel for either host.
func NewTunnel(a, b *End) (*Tunnel, error) {
	t := newTunnel(a, b)
	return t, t.start()
}

func newTunnel(a, b *End) *Tunnel {
	one, two := netip.MustParseAddr("10.99.0.1"), netip.MustParseAddr("10.99.0.2")
	return &Tunnel{
		a:      tunnelEnd{End: a, inside: one, allow: two.String() + "/32"},
		b:      tunnelEnd{End: b, inside: two, allow: one.String() + "/32"},
		target: two,
	}
}

// NewFullTunnel is NewTunnel with everything that a sends going through the tunnel, by the rules of wg-quick: the tunnel's
// own packets have a mark, and what has none finds a default route that leads into the tunnel.
func NewFullTunnel(a, b *End) (*Tunnel, error) {
	t := newTunnel(a, b)
	t.a.more, t.a.allow = fmt.Sprintf("fwmark=%d\n", mark), "0.0.0.0/0"
	if err := t.start(); err != nil {
		return nil, err
	}
	t.target = netip.MustParseAddr("203.0.113.7") // there is no other route to it
	err := addAddr(t.b.Host, netip.PrefixFrom(t.target, 32))
	if err == nil {
		err = defaultRoute(a.Host)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// mark is the mark of the tunnel's own packets and the number of the table for all others, as with wg-quick.
const mark = 51820

// defaultRoute sends what has no mark, and what the main table has no route for but its default, through the tunnel.
func defaultRoute(host *testenv.Host) error {
	h, err := host.NS.Netlink()
	if err != nil {
		return err
	}
	wg, err := h.LinkByName("wg0")
	if err != nil {
		return err
	}
	_, all, _ := net.ParseCIDR("0.0.0.0/0")
	unmarked, specific := netlink.NewRule(), netlink.NewRule()
	unmarked.Family, unmarked.Invert, unmarked.Mark, unmarked.Table = netlink.FAMILY_V4, true, mark, mark
	specific.Family, specific.Table, specific.SuppressPrefixlen = netlink.FAMILY_V4, 254, 0
	return errors.Join(h.RouteAdd(&netlink.Route{LinkIndex: wg.Attrs().Index, Dst: all, Table: mark}),
		h.RuleAdd(unmarked), h.RuleAdd(specific))
}

// start starts both devices, or none.
func (t *Tunnel) start() error {
	for _, e := range []*tunnelEnd{&t.a, &t.b} {
		var err error
		if e.key, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			return err
		}
	}
	if err := errors.Join(t.a.start(&t.b), t.b.start(&t.a)); err != nil {
		return errors.Join(err, t.Close())
	}
	return nil
}

const listenPort = 51820

// start starts the device of an end, whose peer is the other end.
func (e *tunnelEnd) start(peer *tunnelEnd) error {
	config := fmt.Sprintf("private_key=%s\nlisten_port=%d\n%spublic_key=%s\nendpoint=%s\nallowed_ip=%s\n",
		hex.EncodeToString(e.key.Bytes()), listenPort, e.more, hex.EncodeToString(peer.key.PublicKey().Bytes()),
		netip.AddrPortFrom(peer.Host.IPv4(), listenPort), e.allow)
	err := e.Host.NS.Do(func() error {
		dev, err := tun.CreateTUN("wg0", tunnelMTU)
		if err != nil {
			return err
		}
		e.device = device.NewDevice(ofMTU{dev}, e.Bind(), device.NewLogger(device.LogLevelSilent, ""))
		if err := e.device.IpcSet(config); err != nil {
			return err
		}
		return e.device.Up()
	})
	if err != nil {
		return fmt.Errorf("start the tunnel on %v: %w", e.Host.IPv4(), err)
	}
	iface, err := testenv.FindIface(e.Host.NS, "wg0")
	if err != nil {
		return err
	}
	return errors.Join(addAddr(e.Host, netip.PrefixFrom(e.inside, 24)), iface.StartUp())
}

// addAddr gives an address to the tunnel's interface.
func addAddr(host *testenv.Host, addr netip.Prefix) error {
	iface, err := testenv.FindIface(host.NS, "wg0")
	if err != nil {
		return err
	}
	return iface.AddAddr(addr)
}

// ofMTU is a device that knows its MTU, for goroutines that are in another network namespace.
type ofMTU struct{ tun.Device }

func (ofMTU) MTU() (int, error) { return tunnelMTU, nil }

// Close ends both devices, and with them their interfaces and sockets.
func (t *Tunnel) Close() error {
	for _, e := range []*tunnelEnd{&t.a, &t.b} {
		if e.device != nil {
			e.device.Close()
		}
	}
	return nil
}

// TCP sends size bytes from a to b and back, over TCP of the kernel through the tunnel.
func (t *Tunnel) TCP(ctx context.Context, size int) error {
	listener, err := do(t.b.Host, func() (net.Listener, error) {
		return net.Listen("tcp", netip.AddrPortFrom(t.target, 0).String())
	})
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() {
		c, err := listener.Accept()
		if err == nil {
			defer c.Close()
			_, err = io.Copy(c, c)
		}
		served <- err
	}()
	err = echo(ctx, t.a.Dial, listener.Addr(), size)
	if e := listener.Close(); err == nil {
		err = e
	}
	return errors.Join(err, <-served)
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// echo sends size bytes to a server that sends them back.
func echo(ctx context.Context, dial dialer, to net.Addr, size int) error {
	c, err := dial(ctx, "tcp", to.String())
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	sent := make(chan error, 1)
	go func() {
		_, err := (&source{size: size}).WriteTo(c)
		sent <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	back := &sink{size: size}
	if _, err = io.Copy(back, c); err != nil {
		c.Close() // or the other goroutine might wait for ever
	}
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	return back.whole()
}
