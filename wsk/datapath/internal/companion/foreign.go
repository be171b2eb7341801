// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// refuseForeign refuses a bind where a socket which is not among the known ones is on the address of one that had
// SO_REUSEADDR set, too: it had set the option as well, and so the kernel let one of the two in. A kernel without sock_diag
// can't be asked; then only its own rule holds.
func refuseForeign(log *slog.Logger, open []*socket, known []socketID) error {
	port := open[0].at.Local.Port()
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		found, err := diagnose(family, port)
		if err != nil {
			log.Debug("look for other sockets on a shared port", "port", port, "err", err)
			continue
		}
		for _, stranger := range found {
			if slices.Contains(known, stranger.id) {
				continue
			}
			for _, s := range open {
				if s.at.Overlaps(&stranger.bind) {
					return fmt.Errorf("%v is held by another program with SO_REUSEADDR: %w", stranger.bind.Local, unix.EADDRINUSE)
				}
			}
		}
	}
	return nil
}

// diagSocket is a UDP socket as sock_diag reports it.
type diagSocket struct {
	id   socketID
	bind wsk.BindRequest // as if it had been one
}

// Layout of struct inet_diag_req_v2 and inet_diag_msg of linux/inet_diag.h.
const (
	diagRequestLen = 56
	diagSportAt    = 8 // of the request
	diagMessageLen = 72
	diagAddrAt     = 8 // of the message: the source address
	diagDeviceAt   = 40
	diagInodeAt    = 68
	// inetDiagSkV6Only is the attribute INET_DIAG_SKV6ONLY.
	inetDiagSkV6Only = 11
)

// isScoped says of an address of the kernel's that it means something on one interface only.
func isScoped(a netip.Addr) bool {
	b := a.As16()
	return ipaddr.Load(&b).IsScoped()
}

var errTruncatedDiag = errors.New("sock_diag message cut short")

// diagnose lists the UDP sockets of a family on a local port, in the namespace of the calling thread.
func diagnose(family uint8, port uint16) ([]diagSocket, error) {
	req := nl.NewNetlinkRequest(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	body := make([]byte, diagRequestLen)
	body[0], body[1] = family, unix.IPPROTO_UDP
	binary.NativeEndian.PutUint32(body[4:], 0xffff_ffff) // every state
	binary.BigEndian.PutUint16(body[diagSportAt:], port)
	req.AddRawData(body)
	messages, err := req.Execute(unix.NETLINK_INET_DIAG, 0)
	if err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	var out []diagSocket
	for _, m := range messages {
		if len(m) < diagMessageLen {
			return nil, errTruncatedDiag
		}
		a := netip.AddrFrom16([16]byte(m[diagAddrAt:]))
		if m[0] == unix.AF_INET {
			a = netip.AddrFrom4([4]byte(m[diagAddrAt:]))
		}
		if device := binary.NativeEndian.Uint32(m[diagDeviceAt:]); device != 0 && isScoped(a) {
			a = a.WithZone(zoneOf(device))
		}
		only := false
		attrs, _ := nl.ParseRouteAttr(m[diagMessageLen:])
		for _, at := range attrs {
			if at.Attr.Type == inetDiagSkV6Only && len(at.Value) > 0 {
				only = at.Value[0] != 0
			}
		}
		out = append(out, diagSocket{
			id:   socketID(binary.NativeEndian.Uint32(m[diagInodeAt:])),
			bind: wsk.BindRequest{Local: netip.AddrPortFrom(a, port), DualStack: !only},
		})
	}
	return out, nil
}
