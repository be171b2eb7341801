// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// group is a GROUP_REQ, or with a source a GROUP_SOURCE_REQ.
func group(ifIndex uint32, group, source string) []byte {
	b := make([]byte, 136, 264)
	binary.LittleEndian.PutUint32(b, ifIndex)
	copy(b[8:], wsk.NewSockaddr(netip.AddrPortFrom(netip.MustParseAddr(group), 0)))
	if source != "" {
		b = b[:264]
		copy(b[136:], wsk.NewSockaddr(netip.AddrPortFrom(netip.MustParseAddr(source), 0)))
	}
	return b
}

func mreq6(group string, ifIndex uint32) []byte {
	a := netip.MustParseAddr(group).As16()
	return binary.LittleEndian.AppendUint32(a[:], ifIndex)
}

// Every form of joining, recognised by what arrives: a stranger's datagram, the friend's, and the friend's through
// another interface.
func TestMemberships(t *testing.T) {
	type step struct {
		level, code uint32
		input       []byte
		status      wsk.NTSTATUS
		got         string // of stranger, friend, friend through interface 4
	}
	const ok, exists, missing = wsk.STATUS_SUCCESS, wsk.STATUS_ADDRESS_ALREADY_EXISTS, wsk.STATUS_NOT_FOUND
	group4 := []byte{239, 1, 2, 3}
	friend4 := []byte{198, 51, 100, 7}
	cat := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	any4, index3, third := []byte{0, 0, 0, 0}, []byte{0, 0, 0, 3}, []byte{192, 0, 2, 12}
	for name, steps := range map[string][]step{
		"mreq": {
			{ip, wsk.IP_DROP_MEMBERSHIP, cat(group4, any4), missing, "---"},
			{ip, wsk.IP_ADD_MEMBERSHIP, cat(group4, any4), ok, "sff"},
			{ip, wsk.IP_ADD_MEMBERSHIP, cat(group4, any4), exists, "sff"},
			{ip, wsk.IP_BLOCK_SOURCE, cat(group4, friend4, any4), ok, "s--"},
			{ip, wsk.IP_UNBLOCK_SOURCE, cat(group4, friend4, any4), ok, "sff"},
			{ip, wsk.IP_DROP_MEMBERSHIP, cat(group4, any4), ok, "---"},
		},
		"mreq-interface": {
			{ip, wsk.IP_ADD_MEMBERSHIP, cat(group4, index3), ok, "sf-"},
			{ip, wsk.IP_DROP_MEMBERSHIP, cat(group4, index3), ok, "---"},
			{ip, wsk.IP_ADD_MEMBERSHIP, cat(group4, third), ok, "sf-"}, // the third address of the host is on interface 3
			{ip, wsk.IP_ADD_MEMBERSHIP, cat(group4, []byte{192, 0, 2, 99}), wsk.STATUS_INVALID_ADDRESS_COMPONENT, "sf-"},
		},
		"mreq-source": {
			{ip, wsk.IP_ADD_SOURCE_MEMBERSHIP, cat(group4, friend4, any4), ok, "-ff"},
			{ip, wsk.IP_ADD_SOURCE_MEMBERSHIP, cat(group4, friend4, any4), exists, "-ff"},
			{ip, wsk.IP_DROP_SOURCE_MEMBERSHIP, cat(group4, friend4, any4), ok, "---"},
		},
		"mcast": {
			{ip, wsk.MCAST_JOIN_GROUP, group(3, "239.1.2.3", ""), ok, "sf-"},
			{ip, wsk.MCAST_BLOCK_SOURCE, group(3, "239.1.2.3", "198.51.100.7"), ok, "s--"},
			{ip, wsk.MCAST_UNBLOCK_SOURCE, group(3, "239.1.2.3", "198.51.100.7"), ok, "sf-"},
			{ip, wsk.MCAST_LEAVE_GROUP, group(3, "239.1.2.3", ""), ok, "---"},
			{ip, wsk.MCAST_JOIN_SOURCE_GROUP, group(0, "239.1.2.3", "198.51.100.7"), ok, "-ff"},
			{ip, wsk.MCAST_LEAVE_SOURCE_GROUP, group(0, "239.1.2.3", "198.51.100.7"), ok, "---"},
		},
		"refused": {
			{ip, wsk.IP_ADD_MEMBERSHIP, cat(friend4, any4), wsk.STATUS_INVALID_PARAMETER, "---"}, // no group
			{ip, wsk.IP_ADD_MEMBERSHIP, group4, wsk.STATUS_INVALID_PARAMETER, "---"},
			{ip, wsk.IP_ADD_MEMBERSHIP, cat(group4, any4, any4), wsk.STATUS_INVALID_PARAMETER, "---"},
			{ip, wsk.IP_ADD_SOURCE_MEMBERSHIP, cat(group4, group4, any4), wsk.STATUS_INVALID_PARAMETER, "---"},
			{ip, wsk.IP_ADD_SOURCE_MEMBERSHIP, cat(group4, any4, any4), wsk.STATUS_INVALID_PARAMETER, "---"},
			{ip, wsk.MCAST_JOIN_GROUP, group(0, "ff02::1", ""), wsk.STATUS_INVALID_PARAMETER, "---"},
			{ip, wsk.MCAST_JOIN_GROUP, make([]byte, 136), wsk.STATUS_INVALID_PARAMETER, "---"},
			{ip, wsk.MCAST_JOIN_SOURCE_GROUP, group(0, "239.1.2.3", ""), wsk.STATUS_INVALID_PARAMETER, "---"},
			{ip6, wsk.IPV6_ADD_MEMBERSHIP, mreq6("ff02::1", 0), wsk.STATUS_NOT_SUPPORTED, "---"}, // an AF_INET socket
		},
		"six": {
			{ip6, wsk.IPV6_ADD_MEMBERSHIP, mreq6("ff05::1:3", 3), ok, "sf-"},
			{ip6, wsk.IPV6_ADD_MEMBERSHIP, mreq6("2001:db8::1", 3), wsk.STATUS_INVALID_PARAMETER, "sf-"},
			{ip6, wsk.IPV6_ADD_MEMBERSHIP, mreq6("::ffff:239.1.2.3", 3), wsk.STATUS_INVALID_PARAMETER, "sf-"}, // the other level is for it
			{ip6, wsk.MCAST_JOIN_GROUP, group(0, "239.1.2.3", ""), wsk.STATUS_INVALID_PARAMETER, "sf-"},
			{ip6, wsk.IPV6_DROP_MEMBERSHIP, mreq6("ff05::1:3", 3), ok, "---"},
			{ip6, wsk.MCAST_JOIN_SOURCE_GROUP, group(0, "ff05::1:3", "2001:db8::7"), ok, "-ff"},
			{ip6, wsk.MCAST_LEAVE_SOURCE_GROUP, group(0, "ff05::1:3", "2001:db8::7"), ok, "---"},
			{ip, wsk.IP_ADD_MEMBERSHIP, cat(group4, any4), ok, "---"}, // the level of the other version works as well
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.transport.SetLocal(addrs("192.0.2.10", "192.0.2.11", "192.0.2.12")...)
			local, stranger, friend, to := "0.0.0.0:1000", "198.51.100.8:9", peer, "239.1.2.3:1000"
			if name == "six" {
				local, stranger, friend, to = "[::]:1000", "[2001:db8::8]:9", "[2001:db8::7]:9", "[ff05::1:3]:1000"
			}
			s := h.bound(local, map[bool][]option{true: {dualStack}}[name == "six"]...)
			for i, st := range steps {
				want(t, fmt.Sprintf("step %d", i), h.setBytes(s, st.level, st.code, st.input), st.status)
				got := ""
				for _, c := range []struct {
					sender, mark string
					ifIndex      uint32
				}{{stranger, "s", 3}, {friend, "f", 3}, {friend, "f", 4}} {
					a := from(c.sender, c.mark)
					a.To, a.IfIndex = netip.MustParseAddrPort(to), c.ifIndex
					if h.transport.Arrive(a) == 0 {
						got += "-"
					} else {
						r := h.receive(s, 8)
						got += r.payload()
						if r.flags != wsk.MSG_MCAST {
							t.Errorf("flags %#x", r.flags)
						}
					}
				}
				if got != st.got {
					t.Errorf("step %d: %s arrived, want %s", i, got, st.got)
				}
			}
		})
	}
	h := newHost(t)
	basic, _ := h.trySocket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_BASIC_SOCKET)
	join := cat(group4, any4)
	want(t, "unbound", h.setBytes(h.socket(2), ip, wsk.IP_ADD_MEMBERSHIP, join), wsk.STATUS_INVALID_DEVICE_STATE)
	want(t, "basic", h.setBytes(basic, ip, wsk.IP_ADD_MEMBERSHIP, join), wsk.STATUS_INVALID_DEVICE_REQUEST)
	_, status := h.get(basic, ip, wsk.IP_ADD_MEMBERSHIP)
	want(t, "get", status, wsk.STATUS_NOT_SUPPORTED)
}
