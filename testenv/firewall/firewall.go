// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package firewall gives the namespaces of tests nftables rules of the kinds that hosts have.
package firewall

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Chain is a base chain with its rules.
type Chain struct {
	Hook *nftables.ChainHook
	// Drop is the policy; without it the chain accepts.
	Drop  bool
	Rules []Rule
	// Jump are rules of another chain that this one jumps to after its own.
	Jump []Rule
	// NAT makes it a chain of type nat.
	NAT bool
	// Device is that of a chain of the family netdev.
	Device string
}

// Rule is one rule.
type Rule []expr.Any

// Apply replaces all rules of a namespace by a table of a family with these chains.
func Apply(ns *testenv.Namespace, family nftables.TableFamily, chains ...Chain) error {
	c, err := nftables.New(nftables.WithNetNSFd(ns.FD()))
	if err != nil {
		return fmt.Errorf("apply rules: %w", err)
	}
	c.FlushRuleset()
	table := c.AddTable(&nftables.Table{Family: family, Name: "host"})
	for i, x := range chains {
		policy := nftables.ChainPolicyAccept
		if x.Drop {
			policy = nftables.ChainPolicyDrop
		}
		chain := &nftables.Chain{
			Name: fmt.Sprintf("chain%d", i), Table: table, Type: nftables.ChainTypeFilter, Hooknum: x.Hook,
			Priority: nftables.ChainPriorityFilter, Policy: &policy, Device: x.Device,
		}
		if x.NAT {
			chain.Type, chain.Priority = nftables.ChainTypeNAT, nftables.ChainPriorityNATSource
			if *x.Hook == *nftables.ChainHookOutput {
				chain.Priority = nftables.ChainPriorityNATDest
			}
		}
		c.AddChain(chain)
		rules := x.Rules
		if len(x.Jump) > 0 {
			inner := c.AddChain(&nftables.Chain{Name: chain.Name + "-inner", Table: table})
			for _, r := range x.Jump {
				c.AddRule(&nftables.Rule{Table: table, Chain: inner, Exprs: r})
			}
			rules = append(rules, Rule{&expr.Verdict{Kind: expr.VerdictJump, Chain: inner.Name}})
		}
		for _, r := range rules {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: r})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("apply rules: %w", err)
	}
	return nil
}

// Stateful is what most hosts have: what comes in is dropped unless it belongs to a connection that began here, or is ICMPv6, which
// IPv6 finds its neighbours with.
func Stateful() Chain {
	icmp6 := Rule{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_ICMPV6}}, accept(),
	}
	return Chain{Hook: nftables.ChainHookInput, Drop: true, Rules: []Rule{Established(), icmp6}}
}

// Established accepts what belongs to a connection (ct state established,related accept).
func Established() Rule {
	bits := binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	return Rule{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: bits, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
		accept(),
	}
}

func accept() expr.Any { return &expr.Verdict{Kind: expr.VerdictAccept} }

// udpPort matches the destination port of UDP.
func udpPort(port uint16) Rule { return portAt(2, port) }

// portAt matches the port at an offset of the header of UDP.
func portAt(offset uint32, port uint16) Rule {
	return Rule{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
	}
}

// AcceptPort accepts UDP to a port, DropPort drops it.
func AcceptPort(port uint16) Rule { return append(udpPort(port), accept()) }

// AcceptSourcePort accepts UDP from a port.
func AcceptSourcePort(port uint16) Rule { return append(portAt(0, port), accept()) }

// DropPort drops UDP to a port.
func DropPort(port uint16) Rule { return append(udpPort(port), &expr.Verdict{Kind: expr.VerdictDrop}) }

// SourceNAT gives UDP to a port another IPv4 source (snat to).
func SourceNAT(port uint16, to netip.Addr) Rule { return nat(port, to, expr.NATTypeSourceNAT) }

// DestinationNAT sends UDP to a port to another IPv4 destination (dnat to).
func DestinationNAT(port uint16, to netip.Addr) Rule { return nat(port, to, expr.NATTypeDestNAT) }

func nat(port uint16, to netip.Addr, typ expr.NATType) Rule {
	return append(udpPort(port), &expr.Immediate{Register: 1, Data: to.AsSlice()},
		&expr.NAT{Type: typ, Family: unix.NFPROTO_IPV4, RegAddrMin: 1})
}

// NoTrack exempts everything from connection tracking.
func NoTrack() Rule { return Rule{&expr.Notrack{}} }
