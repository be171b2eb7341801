// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

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
}

// Tunnel is wireguard-go on two hosts.
type Tunnel struct{ a, b tunnelEnd }

// NewTunnel starts it, with the sockets of a and b below and an address in the tunnel for either host.
func NewTunnel(a, b *End) (*Tunnel, error) {
	t := &Tunnel{
		a: tunnelEnd{End: a, inside: netip.MustParseAddr("10.99.0.1")}, b: tunnelEnd{End: b, inside: netip.MustParseAddr("10.99.0.2")},
	}
	for _, e := range []*tunnelEnd{&t.a, &t.b} {
		var err error
		if e.key, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(t.a.start(&t.b), t.b.start(&t.a)); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

const listenPort = 51820

// start starts the device of an end, whose peer is the other end.
func (e *tunnelEnd) start(peer *tunnelEnd) error {
	config := fmt.Sprintf("private_key=%s\nlisten_port=%d\npublic_key=%s\nendpoint=%s\nallowed_ip=%s/32\n",
		hex.EncodeToString(e.key.Bytes()), listenPort, hex.EncodeToString(peer.key.PublicKey().Bytes()),
		netip.AddrPortFrom(peer.Host.IPv4(), listenPort), peer.inside)
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
	if err == nil {
		err = iface.AddAddr(netip.PrefixFrom(e.inside, 24))
	}
	if err == nil {
		err = iface.StartUp()
	}
	return err
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
		return net.Listen("tcp", netip.AddrPortFrom(t.b.inside, 0).String())
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
	want := data(size)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		sent <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes came back, not those %d that were sent", len(got), size)
	}
	return nil
}
