// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// wayFlags are the flags that send and blast share: how datagrams leave and what their headers say.
type wayFlags struct {
	via    string // --via
	socket string // of the daemon that it names

	version        versionFlags
	ttl, tos, dscp int
	source         string
	iface          string
	df             bool
	mode           session.Mode
	require        session.Require
	checksum       session.Checksum
	assumeNoIPsec  bool

	flags *pflag.FlagSet // of the command: what was given
	pin   bool           // everything leaves through the interface of the destination
}

func (w *wayFlags) add(f *pflag.FlagSet) {
	w.flags = f
	w.version.add(f)
	f.IntVar(&w.ttl, "ttl", 0, "TTL or hop limit, 1 to 255 (default 128)")
	f.IntVar(&w.tos, "tos", -1, "the whole TOS or traffic class byte, 0 to 255")
	f.IntVar(&w.dscp, "dscp", -1, "DSCP, 0 to 63: the upper six bits of the TOS byte")
	f.StringVar(&w.source, "source", "", "source `address[:port]` (default: the route's choice, a free port)")
	f.StringVarP(&w.iface, "interface", "i", "", "leave through this interface (default: the route's)")
	f.BoolVar(&w.df, "df", false, "never fragment: a datagram above the path MTU fails")
	f.Var(&w.mode, "mode", "AF_XDP bind mode; auto is zero-copy if possible")
	f.Var(&w.checksum, "checksum", "who computes UDP checksums; auto is a zero-copy NIC that can")
	f.BoolVar(&w.assumeNoIPsec, "assume-no-ipsec", false,
		"the host has no IPsec policies, which this user may not read (CAP_NET_ADMIN)")
	f.Var(&w.require, "require", "refuse to run without this, with exit code 3, instead of falling back aloud")
	for _, name := range []string{"ttl", "tos", "dscp"} {
		f.Lookup(name).DefValue = "0" // shows no default: the value stands for "not given"
	}
}

// header is the flags checked and ready for use.
type header struct {
	to     netip.AddrPort
	name   string // of the host, where one was looked up
	source netip.AddrPort
	tos    uint8
	setTOS bool
}

// named is a line of the start block about a host that was looked up, empty where none was.
func (h header) named() string {
	if h.name == "" {
		return ""
	}
	return fmt.Sprintf("  %s is %v", h.name, h.to.Addr())
}

func (w *wayFlags) parse(ctx context.Context, destination string) (h header, err error) {
	source, wrong := parseSource(w.source)
	if h.to, h.name, err = w.version.destination(ctx, destination, source.Addr()); err != nil {
		return h, err
	}
	if h.source = source; wrong != nil {
		return h, wrong
	}
	if a := h.source.Addr(); a.IsValid() && a.Is4() != h.to.Addr().Is4() {
		return h, exit.Usagef("--source %v and destination %v are of different IP versions", a, h.to.Addr())
	}
	tos, dscp := w.flags.Changed("tos"), w.flags.Changed("dscp")
	switch {
	case w.flags.Changed("ttl") && (w.ttl < 1 || w.ttl > 255):
		return h, exit.Usagef("--ttl %d is outside 1..255", w.ttl)
	case tos && dscp:
		return h, exit.Usagef("--tos and --dscp set the same byte: give one")
	case tos && (w.tos < 0 || w.tos > 255):
		return h, exit.Usagef("--tos %d is outside 0..255", w.tos)
	case dscp && (w.dscp < 0 || w.dscp > 63):
		return h, exit.Usagef("--dscp %d is outside 0..63", w.dscp)
	case tos:
		h.tos, h.setTOS = uint8(w.tos), true
	case dscp:
		h.tos, h.setTOS = uint8(w.dscp)<<2, true
	}
	if w.require == session.RequireZeroCopy && w.mode == session.Mode(xdp.ModeCopy) {
		return h, exit.Usagef("--mode copy contradicts --require zerocopy")
	}
	return h, nil
}

// checkPayload refuses what no datagram to the destination can hold.
func (h header) checkPayload(bytes int) error {
	if most := payload.MaxOf(h.to.Addr().Is4()); bytes > most {
		return exit.Usagef("a payload of %d bytes is more than a UDP datagram over %s can hold: %d bytes", bytes, ipVersion(h.to), most)
	}
	return nil
}

// checkFragments refuses what --df forbids to cut and the path does not take whole. bytes is the payload of the largest
// datagram.
func (w *wayFlags) checkFragments(h header, s *session.Session, bytes int) error {
	if !w.df || s.WayErr != nil {
		return nil
	}
	most := s.Way.MTU - blast.Overhead(h.to.Addr().Is4())
	if bytes <= most {
		return nil
	}
	return exit.Usagef("--df: a payload of %d bytes would have to be cut, the path over %s with its MTU of %d takes %d: send less, or leave --df out",
		bytes, s.Way.Interface.Name, s.Way.MTU, max(most, 0))
}

// session returns the options for opening a session.
func (w *wayFlags) session(h header) session.Options {
	return session.Options{
		Via: w.socket, Destination: h.to, Source: h.source, Interface: w.iface, TOS: h.tos, DontFragment: w.df,
		Mode: xdp.Mode(w.mode), Require: w.require, Checksum: datapath.ChecksumMode(w.checksum),
		AssumeNoIPsec: w.assumeNoIPsec,
	}
}

// control is the control data of each send (WSK cmsg objects).
func (w *wayFlags) control(h header, s *session.Session, segment int) []byte {
	b := w.plainControl(h, segment)
	if w.iface != "" || w.pin {
		wildcard := netip.IPv6Unspecified()
		if h.to.Addr().Is4() {
			wildcard = netip.IPv4Unspecified()
		}
		b = wsk.AppendPktinfo(b, wildcard, uint32(s.Way.Interface.Index))
	}
	return b
}

// plainControl is the control data that names no interface.
func (w *wayFlags) plainControl(h header, segment int) []byte {
	is4 := h.to.Addr().Is4()
	var b []byte
	if w.ttl > 0 {
		b = wsk.AppendTTL(b, is4, uint8(w.ttl))
	}
	if h.setTOS {
		b = wsk.AppendTOS(b, is4, h.tos)
	}
	if segment > 0 {
		b = wsk.AppendSendMsgSize(b, uint32(segment))
	}
	return b
}

func parseSource(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), 0), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		why := "is no IP address, with or without a port: write 10.77.0.1 or [fd77::1]:5000"
		if strings.Contains(s, ":") {
			why = notAnEndpoint(s)
		}
		return ap, exit.Usagef("--source %q %s", s, why)
	}
	return ipaddr.Unmap(ap), nil
}
