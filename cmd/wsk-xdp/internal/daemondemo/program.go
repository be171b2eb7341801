// SPDX-License-Identifier: Apache-2.0

package daemondemo

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// programTime bounds each wait of a program.
const programTime = 10 * time.Second

// Program is one of the programs: it sends a datagram to each address, over the daemon at path, and says what comes back.
func Program(path string, to []netip.AddrPort, out io.Writer) (err error) {
	transport := client.Open(client.Options{Path: path})
	defer func() { err = errors.Join(err, transport.Close()) }()
	subsystem := new(wsk.Subsystem)
	if status := subsystem.Attach(transport, wsk.ProviderOptions{}); status != wsk.STATUS_SUCCESS {
		return status
	}
	defer subsystem.Detach()
	npi, release, err := netconn.Capture(subsystem)
	if err != nil {
		return err
	}
	defer release()
	if err := transport.Connect(); err != nil {
		return err
	}
	for _, addr := range to {
		if err := exchange(npi, addr, out); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends one datagram and waits for one.
func exchange(npi *wsk.ProviderNPI, to netip.AddrPort, out io.Writer) error {
	network, wildcard := "udp4", netip.IPv4Unspecified()
	if to.Addr().Is6() {
		network, wildcard = "udp6", netip.IPv6Unspecified()
	}
	c, err := netconn.Listen(npi, network, netip.AddrPortFrom(wildcard, 0), netconn.Options{Strict: true})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(programTime)); err != nil {
		return err
	}
	if err := c.SetControl(netconn.ControlPacketInfo|netconn.ControlTTL|netconn.ControlTOS, true); err != nil {
		return err
	}
	if _, _, err := c.WriteMsgUDPAddrPort([]byte("hello"), control(to.Addr()), to); err != nil {
		return err
	}
	buf, oob := make([]byte, 100), make([]byte, 200)
	n, m, _, from, err := c.ReadMsgUDPAddrPort(buf, oob)
	if err != nil {
		return err
	}
	h, err := parse(oob[:m])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, line(buf[:n], unmapped(from), h))
	return err
}

// line is what a program says of a datagram.
func line(payload []byte, from netip.AddrPort, h header) string {
	return fmt.Sprintf("%q from %v, TTL %d, TOS %#x, to %v on interface %d", payload, from, h.ttl, h.tos, h.to, h.ifindex)
}

func unmapped(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
