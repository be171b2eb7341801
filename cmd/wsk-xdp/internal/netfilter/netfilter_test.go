// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/firewall"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestRead: chains are told with their hook and what their rules do, those of devices for these alone, and those that rules jump to
// with the chain that they are reached from.
func TestRead(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	ns := lab.A.NS
	read := func(family nftables.TableFamily, chains ...firewall.Chain) Rules {
		t.Helper()
		if err := firewall.Apply(ns, family, chains...); err != nil {
			t.Fatal(err)
		}
		var r Rules
		_ = ns.Do(func() error {
			r = Read()
			return nil
		})
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r
	}
	if r := read(nftables.TableFamilyINet); len(r.Chains) != 0 {
		t.Errorf("without rules: %+v", r)
	}
	other := netip.MustParseAddr("10.77.0.77")
	r := read(nftables.TableFamilyINet, firewall.Stateful(),
		firewall.Chain{Hook: nftables.ChainHookOutput, Rules: []firewall.Rule{firewall.DropPort(9)}},
		firewall.Chain{Hook: nftables.ChainHookPostrouting, NAT: true, Rules: []firewall.Rule{firewall.SourceNAT(9, other)}},
		firewall.Chain{Hook: nftables.ChainHookPrerouting, Jump: []firewall.Rule{firewall.Established(), firewall.DropPort(7)}})
	for _, want := range []Chain{
		{Name: "chain0", Hook: Input, Rules: 2, Drops: true, Policy: true, Conntrack: true},
		{Name: "chain1", Hook: Output, Rules: 1, Drops: true},
		{Name: "chain2", Hook: Postrouting, Rules: 1, NAT: true},
		{Name: "chain3", Hook: Prerouting, Rules: 3, Drops: true, Conntrack: true},
	} {
		want.Family, want.Table = "inet", "host"
		got := r.At(want.Hook, "wsk0")
		if len(got) != 1 || got[0].String() != want.String() || got[0].Rules != want.Rules || got[0].Drops != want.Drops ||
			got[0].Policy != want.Policy || got[0].Conntrack != want.Conntrack || got[0].NAT != want.NAT {
			t.Errorf("%s: %+v, want %+v", want.Hook, got, want)
		}
	}
	r = read(nftables.TableFamilyNetdev, firewall.Chain{Hook: nftables.ChainHookIngress, Device: "wsk0", Rules: []firewall.Rule{firewall.DropPort(9)}})
	if got := r.At(Ingress, "wsk0"); len(got) != 1 || !got[0].Drops || len(r.At(Ingress, "lo")) != 0 {
		t.Errorf("ingress of a device: %+v", r)
	}
}

// TestReadWithoutPrivilege: what is not known is not taken for nothing.
func TestReadWithoutPrivilege(t *testing.T) {
	testenv.Require(t, testenv.Root)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	regain, err := testenv.DropCapabilities(unix.CAP_NET_ADMIN)
	if err != nil {
		t.Fatal(err)
	}
	r := Read()
	if err := regain(); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(r.Err, unix.EPERM) {
		t.Errorf("%+v", r)
	}
}

// FuzzParse: whatever the kernel answers, nothing is read beyond it, and chains that lead in a circle come to an end.
func FuzzParse(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 6, 0, 1, 0, 'h', 0, 0, 0}, []byte{1, 0, 0, 0, 6, 0, 1, 0, 'h', 0, 0, 0})
	for _, x := range []string{
		"cmp", "range", "bitwise", "byteorder", "payload", "meta", "ct", "nat", "masq", "match", "target", "immediate",
		"objref", "dynset", "exthdr", "inner", "fib", "queue", "reject", "fwd", "notrack", "of a later kernel",
	} {
		f.Add([]byte{2, 0, 0, 0, 6, 0, 1, 0, 'h', 0, 0, 0}, aRule(x))
	}
	f.Fuzz(func(_ *testing.T, chain, rule []byte) {
		r := ruleset{}
		r.addChain(chain)
		r.addRule(rule)
		for name, c := range r {
			c.base = true
			c.jumps = append(c.jumps, name.name)
		}
		r.unhook(sleepers{})
		r.chains(sets{})
		rules := Rules{raw: r, sets: sets{}}
		for _, d := range []Datagram{away, back, {Destination: netip.MustParseAddr("10.77.0.2")},
			{Source: netip.MustParseAddr("10.77.0.1"), Destination: netip.MustParseAddr("fe80::1%wsk0")}, {Source: netip.MustParseAddr("fe80::1"), Destination: away.Destination}} {
			rules.Judge(d, Ingress, Prerouting, Input, Output, Postrouting, Egress)
		}
	})
}

// FuzzElements: whatever the kernel answers about a set, a key is looked up in it, and in a map that it may be.
func FuzzElements(f *testing.F) {
	key := func(typ uint16, b ...byte) []byte {
		return nlattr(listElement, nlattr(typ, nlattr(unix.NFTA_DATA_VALUE, b)))
	}
	f.Add(word(unix.NFTA_SET_FLAGS, unix.NFT_SET_INTERVAL), key(unix.NFTA_SET_ELEM_KEY, 0, 9), []byte{0, 9})
	f.Add(slices.Concat(word(unix.NFTA_SET_FLAGS, unix.NFT_SET_INTERVAL), nlattr(unix.NFTA_SET_DESC, nlattr(setConcat, slices.Concat(
		nlattr(listElement, word(setFieldLength, 4)), nlattr(listElement, word(setFieldLength, 2)))))),
		slices.Concat(key(unix.NFTA_SET_ELEM_KEY, 10, 77, 0, 0, 0, 9, 0, 0), key(elementKeyEnd, 10, 77, 0, 9, 0, 9, 0, 0)), []byte{10, 77, 0, 1, 0, 9, 0, 0})
	f.Fuzz(func(_ *testing.T, desc, elements, key []byte) {
		s := &set{}
		var ends []setRange
		s.addElements(attr{unix.NFTA_SET_ELEM_LIST_ELEMENTS, elements}, &ends)
		each(desc, s.describe)
		s.close(ends)
		s.has(key, make([]byte, len(key)), func(element, Certainty) {})
		s.has(key, ones(len(key)), func(element, Certainty) {})
		s.verdicts(func(verdict) {})
		r := host(output(rule(expression{"lookup", slices.Concat(attribute(unix.NFTA_LOOKUP_SET, "s"), word(unix.NFTA_LOOKUP_SREG, 1), word(unix.NFTA_LOOKUP_DREG, 0))})))
		r.sets[setName{unix.NFPROTO_IPV4, "host", "s"}] = s
		r.Judge(away, Output)
	})
}

// aRule is a rule of one expression.
func aRule(name string) []byte {
	nested := func(typ uint16, b []byte) []byte {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		return append(binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, uint16(4+len(b))), typ), b...)
	}
	x := append(attribute(expressionName, name), nested(expressionData, make([]byte, 64))...)
	return append([]byte{2, 0, 0, 0, 6, 0, 1, 0, 'h', 0, 0, 0}, nested(unix.NFTA_RULE_EXPRESSIONS, nested(listElement, x))...)
}
