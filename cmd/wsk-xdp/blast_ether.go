// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// etherFlags are what engines that prepare frames write below IP.
type etherFlags struct {
	srcMAC, dstMAC string
	vlan           string

	src, dst frame.MAC
	tag      *frame.VLANTag
}

func (e *etherFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&e.srcMAC, "src-mac", "", "source `MAC` of engines frames, xdp and packet (default: the interface's)")
	fl.StringVar(&e.dstMAC, "dst-mac", "", "destination `MAC` of engines frames, xdp and packet (default: the next hop's)")
	fl.StringVar(&e.vlan, "vlan", "", "VLAN tag of engines frames, xdp and packet, `ID[:PRIORITY]`: four bytes more than --size")
}

// parse reads the flags.
func (e *etherFlags) parse() (err error) {
	if e.srcMAC != "" {
		if e.src, err = parseMAC(e.srcMAC); err == nil && e.src.IsGroup() {
			err = fmt.Errorf("%s is a group's", e.srcMAC)
		}
		if err != nil {
			return exit.Usagef("--src-mac: %w", err)
		}
	}
	if e.dstMAC != "" {
		if e.dst, err = parseMAC(e.dstMAC); err != nil {
			return exit.Usagef("--dst-mac: %w", err)
		}
	}
	if e.vlan == "" {
		return nil
	}
	id, priority, _ := strings.Cut(e.vlan+":0", ":")
	priority, _, _ = strings.Cut(priority, ":")
	n, err1 := strconv.ParseUint(id, 10, 16)
	p, err2 := strconv.ParseUint(priority, 10, 8)
	if err1 != nil || err2 != nil || n < 1 || n > 4094 || p > 7 || strings.Count(e.vlan, ":") > 1 {
		return exit.Usagef("--vlan %q: write an ID of 1 to 4094, with a priority of 0 to 7 behind it if you like: 42 or 42:5", e.vlan)
	}
	e.tag = &frame.VLANTag{ID: uint16(n), PCP: uint8(p)}
	return nil
}

// neighbourTime is how long it is waited for the MAC of the next hop.
const neighbourTime = 3 * time.Second

// find finds out who gets the frames, unless that was given.
func (e *etherFlags) find(ctx context.Context, s *session.Session) error {
	if e.dstMAC != "" {
		return nil
	}
	mac, err := s.FindMAC(ctx, neighbourTime)
	if err != nil {
		return err
	}
	e.dst, _ = frame.MACFromSlice(mac)
	return nil
}

// from is the source MAC.
func (e *etherFlags) from(s *session.Session) frame.MAC {
	if e.srcMAC != "" {
		return e.src
	}
	return frame.MAC(s.Way.Interface.MAC)
}

// tags are those of the way, and behind them the one that was given.
func (e *etherFlags) tags(s *session.Session) (out []frame.VLANTag) {
	for _, v := range s.Way.VLANs {
		out = append(out, frame.VLANTag{TPID: v.Proto, ID: v.ID, PCP: v.Priority})
	}
	if e.tag != nil {
		out = append(out, *e.tag)
	}
	return out
}

// describe enters them into the configuration of the report.
func (e *etherFlags) describe(c *blast.ConfigReport, s *session.Session) {
	c.SourceMAC, c.DestinationMAC = macText(e.from(s)), macText(e.dst)
	for _, tag := range e.tags(s) {
		c.VLANs = append(c.VLANs, int(tag.ID))
	}
}

// parseMAC reads a MAC of six bytes.
func parseMAC(s string) (frame.MAC, error) {
	b, err := net.ParseMAC(s)
	mac, ok := frame.MACFromSlice(b)
	if err != nil || !ok {
		return mac, fmt.Errorf("%q is no MAC: write 02:00:00:00:00:01", s)
	}
	return mac, nil
}

// macText is how a MAC is shown, or nothing for none.
func macText(m frame.MAC) string { return strings.ToLower(m.String()) }
