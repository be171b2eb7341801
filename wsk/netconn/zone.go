// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// needsZone reports whether an address means something on an interface only and does not say which.
func needsZone(addr netip.Addr) bool {
	return addr.Is6() && !addr.Is4In6() && (addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast()) && addr.Zone() == ""
}

// refuseConnect is what connect of Linux says to an address without the zone that it needs.
func (c *Conn) refuseConnect(addr netip.Addr) error {
	if needsZone(addr) && c.local.Zone == "" {
		return os.NewSyscallError("connect", syscall.EINVAL)
	}
	return nil
}

// zoned gives a neighbour's address without a zone that of the interface with the lowest number that has such addresses. The kernel has a
// route to all of them for each interface, and takes the first. WSK refuses: so does Options.Strict.
func (c *Conn) zoned(addr netip.Addr) netip.Addr {
	if c.opts.Strict || !needsZone(addr) || addr.IsMulticast() || c.local.Zone != "" {
		return addr
	}
	first := 0
	for _, sa := range c.hostAddresses() {
		if ap, ok := sa.AddrPort(); ok && ap.Addr().IsLinkLocalUnicast() {
			n, err := strconv.Atoi(ap.Addr().Zone())
			if err == nil && (first == 0 || n < first) {
				first, addr = n, addr.WithZone(ap.Addr().Zone())
			}
		}
	}
	return addr
}

// namesInterface reports whether control messages of Linux say which interface a datagram leaves through.
func namesInterface(oob []byte) bool {
	for {
		m, rest, ok, _ := nextLinuxCMsg(oob)
		if !ok {
			return false
		}
		if m.level == linuxSolIPv6 && m.typ == linuxIPv6Pktinfo && len(m.data) >= sizeofIn6Pktinfo && [4]byte(m.data[16:]) != [4]byte{} {
			return true
		}
		oob = rest
	}
}

// hostAddresses are those of the socket's family.
func (c *Conn) hostAddresses() []wsk.SOCKADDR {
	for room := 1 << 10; ; {
		output := make([]byte, room)
		n, err := control(c.socket, wsk.WskIoctl, 0, wsk.SIO_ADDRESS_LIST_QUERY, nil, output)
		if err == nil {
			list, _ := wsk.ParseAddressList(output[:n])
			return list
		}
		if n <= room {
			return nil
		}
		room = n
	}
}
