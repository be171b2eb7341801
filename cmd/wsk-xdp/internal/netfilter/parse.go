// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ruleset is what the kernel lists: the chains by name, each with what is known of its own rules.
type ruleset map[chainName]*rawChain

type chainName struct {
	family      uint8
	table, name string
}

type rawChain struct {
	base     bool
	hook     uint32
	priority int32
	devices  []string
	typ      string
	drop     bool // the policy
	rules    int
	contents
	jumps []string       // to chains of the same table
	maps  []string       // of verdicts
	raw   [][]expression // of each rule
}

// expression is one step of a rule: its name and its attributes.
type expression struct {
	name string
	data []byte
}

// contents is what rules do.
type contents struct{ drops, conntrack, nat bool }

// attr is a netlink attribute.
type attr struct {
	typ   uint16
	value []byte
}

// number is a number in network byte order, as nftables has them all.
func (a attr) number() uint32 {
	if len(a.value) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(a.value)
}

// text is a string that may end in a zero byte.
func (a attr) text() string {
	if i := slices.Index(a.value, 0); i >= 0 {
		return string(a.value[:i])
	}
	return string(a.value)
}

// each visits attributes until one is cut off.
func each(b []byte, visit func(attr)) {
	for len(b) >= unix.SizeofNlAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofNlAttr || n > len(b) {
			return
		}
		visit(attr{binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER), b[unix.SizeofNlAttr:n]})
		b = b[min(len(b), (n+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1)):]
	}
}

const nfgenmsgLen = 4

// sleepers are tables that are dormant, by their family and name.
type sleepers map[chainName]bool

// addTable takes an answer to NFT_MSG_GETTABLE.
func (s sleepers) addTable(b []byte) {
	if len(b) < nfgenmsgLen {
		return
	}
	if f := fields(b[nfgenmsgLen:]); f.number(unix.NFTA_TABLE_FLAGS)&unix.NFT_TABLE_F_DORMANT != 0 {
		s[chainName{family: b[0], table: f.text(unix.NFTA_TABLE_NAME)}] = true
	}
}

// unhook takes what is hooked nowhere from among the base chains: those of dormant tables, and those of devices that have none.
func (r ruleset) unhook(asleep sleepers) {
	for name, c := range r {
		if asleep[chainName{family: name.family, table: name.table}] || len(c.devices) == 0 && c.wantsDevice(name.family) {
			c.base = false
		}
	}
}

func (c *rawChain) wantsDevice(family uint8) bool {
	return family == unix.NFPROTO_NETDEV || family == unix.NFPROTO_INET && c.hook == inetIngress
}

// serves is whether one of a chain's devices is the one, or has a name that the one begins with.
func serves(devices []string, device string) bool {
	return slices.ContainsFunc(devices, func(d string) bool {
		prefix, open := strings.CutSuffix(d, "*")
		return d == device || open && strings.HasPrefix(device, prefix)
	})
}

// Of linux/netfilter/nf_tables.h, where package unix lacks them.
const (
	hookDevices    = 4 // NFTA_HOOK_DEVS
	devicePrefix   = 2 // NFTA_DEVICE_PREFIX
	inetIngress    = 5 // NF_INET_INGRESS, a hook of the family inet
	targetName     = 1 // NFTA_TARGET_NAME
	matchName      = 1 // NFTA_MATCH_NAME
	ctKey          = 2 // NFTA_CT_KEY
	listElement    = 1 // NFTA_LIST_ELEM
	expressionName = 1 // NFTA_EXPR_NAME
	expressionData = 2 // NFTA_EXPR_DATA
	immediateData  = 2 // NFTA_IMMEDIATE_DATA
	dataVerdict    = 2 // NFTA_DATA_VERDICT
	verdictCode    = 1 // NFTA_VERDICT_CODE
	verdictChain   = 2 // NFTA_VERDICT_CHAIN
	verdictDrop    = 0 // NF_DROP
)

// addChain takes an answer to NFT_MSG_GETCHAIN.
func (r ruleset) addChain(b []byte) {
	if len(b) < nfgenmsgLen {
		return
	}
	name, c := chainName{family: b[0]}, &rawChain{}
	each(b[nfgenmsgLen:], func(a attr) {
		switch a.typ {
		case unix.NFTA_CHAIN_TABLE:
			name.table = a.text()
		case unix.NFTA_CHAIN_NAME:
			name.name = a.text()
		case unix.NFTA_CHAIN_TYPE:
			c.typ = a.text()
		case unix.NFTA_CHAIN_POLICY:
			c.drop = a.number() == verdictDrop
		case unix.NFTA_CHAIN_HOOK:
			c.base = true
			c.setHook(a.value)
		}
	})
	r[name] = c
}

func (c *rawChain) setHook(b []byte) {
	each(b, func(a attr) {
		switch a.typ {
		case unix.NFTA_HOOK_HOOKNUM:
			c.hook = a.number()
		case unix.NFTA_HOOK_PRIORITY:
			c.priority = int32(a.number())
		case unix.NFTA_HOOK_DEV:
			c.devices = append(c.devices, a.text())
		case hookDevices:
			each(a.value, func(a attr) {
				if a.typ == devicePrefix {
					c.devices = append(c.devices, a.text()+"*")
				} else {
					c.devices = append(c.devices, a.text())
				}
			})
		}
	})
	slices.Sort(c.devices)
	c.devices = slices.Compact(c.devices)
}

// addRule takes an answer to NFT_MSG_GETRULE, which comes after the chains.
func (r ruleset) addRule(b []byte) {
	if len(b) < nfgenmsgLen {
		return
	}
	name := chainName{family: b[0]}
	var expressions []byte
	each(b[nfgenmsgLen:], func(a attr) {
		switch a.typ {
		case unix.NFTA_RULE_TABLE:
			name.table = a.text()
		case unix.NFTA_RULE_CHAIN:
			name.name = a.text()
		case unix.NFTA_RULE_EXPRESSIONS:
			expressions = a.value
		}
	})
	c := r[name]
	if c == nil {
		return // made meanwhile
	}
	c.rules++
	var rule []expression
	each(expressions, func(a attr) {
		if a.typ == listElement {
			x := parseExpression(a.value)
			c.addExpression(x.name, x.data)
			rule = append(rule, x)
		}
	})
	c.raw = append(c.raw, rule)
}

func parseExpression(b []byte) (x expression) {
	each(b, func(a attr) {
		switch a.typ {
		case expressionName:
			x.name = a.text()
		case expressionData:
			x.data = slices.Clone(a.value)
		}
	})
	return x
}

// addExpression looks at one expression of a rule.
func (c *rawChain) addExpression(name string, data []byte) {
	switch name {
	case "immediate":
		c.addVerdict(data)
	case "reject", "fwd":
		c.drops = true
	case "lookup":
		if f := fields(data); f[unix.NFTA_LOOKUP_DREG] != nil && f.number(unix.NFTA_LOOKUP_DREG) == 0 {
			c.maps = append(c.maps, f.text(unix.NFTA_LOOKUP_SET))
		}
	case "nat", "masq", "redir":
		c.nat = true
	case "ct":
		each(data, func(a attr) {
			if a.typ == ctKey && a.number() == unix.NFT_CT_STATE {
				c.conntrack = true
			}
		})
	case "match":
		each(data, func(a attr) {
			if text := a.text(); a.typ == matchName && (text == "conntrack" || text == "state") {
				c.conntrack = true
			}
		})
	case "target":
		each(data, func(a attr) { c.addTarget(a) })
	}
}

// addTarget looks at the target of a rule of iptables-nft.
func (c *rawChain) addTarget(a attr) {
	if a.typ != targetName {
		return
	}
	switch a.text() {
	case "REJECT", "DROP":
		c.drops = true
	case "SNAT", "DNAT", "MASQUERADE", "REDIRECT", "NETMAP":
		c.nat = true
	}
}

func (c *rawChain) addVerdict(b []byte) {
	each(b, func(a attr) {
		if a.typ != immediateData {
			return
		}
		each(a.value, func(a attr) {
			if a.typ != dataVerdict {
				return
			}
			each(a.value, func(a attr) {
				switch {
				case a.typ == verdictCode && len(a.value) == 4 && a.number() == verdictDrop:
					c.drops = true
				case a.typ == verdictChain:
					c.jumps = append(c.jumps, a.text())
				}
			})
		})
	})
}

// attributes are those of an expression, by type.
type attributes map[uint16][]byte

func fields(b []byte) attributes {
	f := attributes{}
	each(b, func(a attr) { f[a.typ] = a.value })
	return f
}

func (f attributes) number(typ uint16) uint32 { return attr{typ, f[typ]}.number() }

func (f attributes) text(typ uint16) string { return attr{typ, f[typ]}.text() }
