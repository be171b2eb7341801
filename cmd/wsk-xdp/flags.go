// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// wayFlags are the flags that send and blast share: how datagrams leave and what their headers say.
type wayFlags struct {
	ttl, tos, dscp int
	source         string
	iface          string
	df             bool
	mode           session.Mode
	require        session.Require
	checksum       session.Checksum

	flags *pflag.FlagSet // of the command: what was given
}

func (w *wayFlags) add(f *pflag.FlagSet) {
	w.flags = f
	f.IntVar(&w.ttl, "ttl", 0, "TTL or hop limit, 1 to 255 (default 128)")
	f.IntVar(&w.tos, "tos", -1, "the whole TOS or traffic class byte, 0 to 255")
	f.IntVar(&w.dscp, "dscp", -1, "DSCP, 0 to 63: the upper six bits of the TOS byte")
	f.StringVar(&w.source, "source", "", "source `address[:port]` (default: the route's choice, a free port)")
	f.StringVarP(&w.iface, "interface", "i", "", "leave through this interface (default: the route's)")
	f.BoolVar(&w.df, "df", false, "never fragment: a datagram above the path MTU fails")
	f.Var(&w.mode, "mode", "AF_XDP bind mode; auto is zero-copy if possible")
	f.Var(&w.checksum, "checksum", "who computes UDP checksums; auto is a zero-copy NIC that can")
	f.Var(&w.require, "require", "refuse to run without this, with exit code 3, instead of falling back aloud")
	for _, name := range []string{"ttl", "tos", "dscp"} {
		f.Lookup(name).DefValue = "0" // shows no default: the value stands for "not given"
	}
}

// header is the flags checked and ready for use.
type header struct {
	to     netip.AddrPort
	source netip.AddrPort
	tos    uint8
	setTOS bool
}

func (w *wayFlags) parse(destination string) (h header, err error) {
	if h.to, err = parseDestination(destination); err != nil {
		return h, err
	}
	if h.source, err = parseSource(w.source); err != nil {
		return h, err
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

// session returns the options for opening a session.
func (w *wayFlags) session(h header) session.Options {
	return session.Options{
		Destination: h.to, Source: h.source, Interface: w.iface, TOS: h.tos, DontFragment: w.df,
		Mode: xdp.Mode(w.mode), Require: w.require, Checksum: datapath.ChecksumMode(w.checksum),
	}
}

// control is the control data of each send (WSK cmsg objects).
func (w *wayFlags) control(h header, s *session.Session, segment int) []byte {
	is4 := h.to.Addr().Is4()
	var b []byte
	if w.ttl > 0 {
		b = wsk.AppendTTL(b, is4, uint8(w.ttl))
	}
	if h.setTOS {
		b = wsk.AppendTOS(b, is4, h.tos)
	}
	if w.iface != "" {
		wildcard := netip.IPv6Unspecified()
		if is4 {
			wildcard = netip.IPv4Unspecified()
		}
		b = wsk.AppendPktinfo(b, wildcard, uint32(s.Way.Interface.Index))
	}
	if segment > 0 {
		b = wsk.AppendSendMsgSize(b, uint32(segment))
	}
	return b
}

// parseDestination parses DST:PORT; an IPv6 address stands in brackets.
func parseDestination(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		hint := "write 10.77.0.2:9000 or [fd77::2]:9000"
		if a, e := netip.ParseAddr(strings.Trim(s, "[]")); e == nil {
			hint = fmt.Sprintf("the port is missing: write %v", netip.AddrPortFrom(a, 9000))
			// An IPv6 address with a port and no brackets is another address.
			if i := strings.LastIndexByte(s, ':'); a.Is6() && s[0] != '[' {
				if host, e := netip.ParseAddr(s[:i]); e == nil {
					hint = fmt.Sprintf("write [%v]:%s or %v", host, s[i+1:], netip.AddrPortFrom(a, 9000))
				}
			}
		}
		return ap, exit.Usagef("destination %q is no IP address with a port: %s", s, hint)
	}
	ap = ipaddr.Unmap(ap)
	switch {
	case ap.Port() == 0:
		return ap, exit.Usagef("destination %q: nothing listens on port 0", s)
	case ap.Addr().IsUnspecified():
		return ap, exit.Usagef("destination %q is the wildcard address: name a host", s)
	}
	return ap, nil
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
		return ap, exit.Usagef("--source %q is no IP address, with or without a port: write 10.77.0.1 or [fd77::1]:5000", s)
	}
	return ipaddr.Unmap(ap), nil
}
