// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Rules of these tests are written as the kernel lists them, and no kernel is asked.

func value(typ uint16, b ...byte) []byte { return nlattr(typ, nlattr(unix.NFTA_DATA_VALUE, b)) }

func decide(code int32, chain string) []byte {
	b := word(verdictCode, uint32(code))
	if chain != "" {
		b = append(b, attribute(verdictChain, chain)...)
	}
	return nlattr(unix.NFTA_IMMEDIATE_DATA, nlattr(dataVerdict, b))
}

func then(code int32, chain ...string) expression {
	return expression{"immediate", slices.Concat(word(unix.NFTA_IMMEDIATE_DREG, 0), decide(code, slices.Concat(chain, []string{""})[0]))}
}

func put(register uint32, b ...byte) expression {
	return expression{"immediate", slices.Concat(word(unix.NFTA_IMMEDIATE_DREG, register), value(unix.NFTA_IMMEDIATE_DATA, b...))}
}

func compare(op uint32, b ...byte) expression {
	return expression{"cmp", slices.Concat(word(unix.NFTA_CMP_SREG, 1), word(unix.NFTA_CMP_OP, op), value(unix.NFTA_CMP_DATA, b...))}
}

func is(b ...byte) expression { return compare(unix.NFT_CMP_EQ, b...) }

func meta(key uint32) expression {
	return expression{"meta", slices.Concat(word(unix.NFTA_META_DREG, 1), word(unix.NFTA_META_KEY, key))}
}

func payload(base, offset, length uint32) expression {
	return expression{"payload", slices.Concat(word(unix.NFTA_PAYLOAD_DREG, 1), word(unix.NFTA_PAYLOAD_BASE, base), word(unix.NFTA_PAYLOAD_OFFSET, offset), word(unix.NFTA_PAYLOAD_LEN, length))}
}

// stateIs matches ct state of these kinds.
func stateIs(s State) []expression {
	mask := binary.NativeEndian.AppendUint32(nil, uint32(s))
	return []expression{
		{"ct", slices.Concat(word(unix.NFTA_CT_DREG, 1), word(unix.NFTA_CT_KEY, unix.NFT_CT_STATE))},
		{"bitwise", slices.Concat(word(unix.NFTA_BITWISE_SREG, 1), word(unix.NFTA_BITWISE_DREG, 1), word(unix.NFTA_BITWISE_LEN, 4),
			value(unix.NFTA_BITWISE_MASK, mask...), value(unix.NFTA_BITWISE_XOR, 0, 0, 0, 0))},
		compare(unix.NFT_CMP_NEQ, 0, 0, 0, 0),
	}
}

func target(name string, info ...byte) expression {
	return expression{"target", slices.Concat(attribute(targetName, name), nlattr(matchInfo, info))}
}

var (
	portIs9 = []expression{payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), is(0, 9)}
	drop    = then(codeDrop)
	accept  = then(codeAccept)
)

func rule(parts ...any) (out []expression) {
	for _, x := range parts {
		switch x := x.(type) {
		case expression:
			out = append(out, x)
		case []expression:
			out = append(out, x...)
		}
	}
	return out
}

// at is a base chain of a hook.
func at(hook uint32, priority int32, typ string, rules ...[]expression) *rawChain {
	return &rawChain{base: true, hook: hook, priority: priority, typ: typ, raw: rules, rules: len(rules)}
}

func output(rules ...[]expression) *rawChain {
	return at(unix.NF_INET_LOCAL_OUT, 0, "filter", rules...)
}

// host are chains of a table of family ip, named by their number; chains that are no base chains are in the order of their names.
func host(chains ...*rawChain) Rules {
	r := Rules{raw: ruleset{}, sets: sets{}}
	for i, c := range chains {
		r.raw[chainName{unix.NFPROTO_IPV4, "host", strconv.Itoa(i)}] = c
	}
	return r
}

var (
	away = Datagram{Source: netip.MustParseAddr("10.77.0.1"), Destination: netip.MustParseAddr("10.77.0.2"), SourcePort: 4567, DestinationPort: 9,
		Out: "wsk0", OutIndex: 3, State: New, Owner: 0}
	back = Datagram{Source: netip.MustParseAddr("10.77.0.2"), Destination: netip.MustParseAddr("10.77.0.1"), SourcePort: 9, DestinationPort: 4567,
		In: "wsk0", InIndex: 3, State: Established, Owner: -1}
)

// TestDrops: what rules of every kind do to a datagram to port 9, where that is not known it is not said.
func TestDrops(t *testing.T) {
	named := func(kind uint32) expression {
		return expression{"objref", slices.Concat(word(unix.NFTA_OBJREF_IMM_TYPE, kind), attribute(unix.NFTA_OBJREF_IMM_NAME, "x"))}
	}
	later := expression{"of a later kernel", word(1, 1)}
	marked := expression{"meta", slices.Concat(word(unix.NFTA_META_SREG, 1), word(unix.NFTA_META_KEY, unix.NFT_META_MARK))}
	write := func(base, offset, length uint32) expression {
		return expression{"payload", slices.Concat(word(unix.NFTA_PAYLOAD_SREG, 1), word(unix.NFTA_PAYLOAD_BASE, base), word(unix.NFTA_PAYLOAD_OFFSET, offset), word(unix.NFTA_PAYLOAD_LEN, length))}
	}
	destination := slices.Concat([]expression{payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 16, 4)}, []expression{is(10, 77, 0, 2)})
	outName := []expression{meta(unix.NFT_META_OIFNAME), is(name("wsk0")...)}
	for _, tc := range []struct {
		name  string
		rules [][]expression
		drops Certainty
	}{
		{"an expression that nobody knows, and then drop", [][]expression{rule(later, drop)}, Maybe},
		{"an expression that nobody knows may decide", [][]expression{rule(later), rule(drop)}, Maybe},
		{"an expression that nobody knows takes the registers", [][]expression{rule(meta(unix.NFT_META_L4PROTO), is(unix.IPPROTO_UDP), later, is(unix.IPPROTO_TCP), drop)}, Maybe},
		{"and alone it may drop", [][]expression{rule(later)}, Maybe},
		{"a rule before it that accepts", [][]expression{rule(accept), rule(later)}, No},
		{"synproxy is for TCP", [][]expression{rule(expression{"synproxy", nil}), rule(accept)}, No},
		{"a limit by name", [][]expression{rule(named(unix.NFT_OBJECT_LIMIT), drop)}, Maybe},
		{"a quota by name", [][]expression{rule(named(unix.NFT_OBJECT_QUOTA), drop)}, Maybe},
		{"a limit of connections by name", [][]expression{rule(named(unix.NFT_OBJECT_CONNLIMIT), drop)}, Maybe},
		{"synproxy by name", [][]expression{rule(named(unix.NFT_OBJECT_SYNPROXY), drop)}, No},
		{"a counter by name", [][]expression{rule(named(unix.NFT_OBJECT_COUNTER), drop)}, Yes},
		{"an object out of a map", [][]expression{rule(expression{"objref", slices.Concat(word(unix.NFTA_OBJREF_SET_SREG, 1), attribute(unix.NFTA_OBJREF_SET_NAME, "m"))}, drop)}, Maybe},
		{"a set that rules fill", [][]expression{rule(expression{"dynset", slices.Concat(attribute(unix.NFTA_DYNSET_SET_NAME, "s"), word(unix.NFTA_DYNSET_SREG_KEY, 1))}, drop)}, Maybe},
		{"rt breaks off without a route", [][]expression{rule(expression{"rt", slices.Concat(word(1, 1), word(2, 0))}, drop)}, Maybe},
		{"more bytes than one register has", [][]expression{rule(meta(unix.NFT_META_L4PROTO), payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 8, 32), is(unix.IPPROTO_UDP, 0, 0, 0), drop)}, Maybe},
		{"an order of bytes that can't be", [][]expression{rule(put(1, 0, 9), expression{"byteorder", slices.Concat(word(unix.NFTA_BYTEORDER_SREG, 1), word(unix.NFTA_BYTEORDER_DREG, 1), word(unix.NFTA_BYTEORDER_LEN, 3), word(unix.NFTA_BYTEORDER_SIZE, 2))}, is(0, 9), drop)}, Maybe},
		{"an address that was written over", [][]expression{rule(put(1, 10, 77, 0, 3), write(unix.NFT_PAYLOAD_NETWORK_HEADER, 16, 4)), rule(destination, drop)}, Maybe},
		{"a port that was written over", [][]expression{rule(put(1, 0, 8), write(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2)), rule(portIs9, drop)}, Maybe},
		{"TOS that was written over", [][]expression{rule(put(1, 8), write(unix.NFT_PAYLOAD_NETWORK_HEADER, 1, 1)), rule(payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 1, 1), is(8), drop)}, Maybe},
		{"TOS that iptables wrote over", [][]expression{rule(target("DSCP", 8)), rule(payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 1, 1), is(8), drop)}, Maybe},
		{"a mark that was kept with the connection", [][]expression{rule(target("CONNMARK", make([]byte, 16)...)), rule(meta(unix.NFT_META_MARK), is(0, 0, 0, 0), drop)}, Maybe},
		{"a mark that HMARK computes", [][]expression{rule(target("HMARK")), rule(meta(unix.NFT_META_MARK), is(0, 0, 0, 0), drop)}, Maybe},
		{"a target that nobody knows", [][]expression{rule(target("FOO"))}, Maybe},
		{"a target that nobody knows may accept", [][]expression{rule(target("FOO")), rule(drop)}, Maybe},
		{"a mark", [][]expression{rule(put(1, 1, 0, 0, 0), marked), rule(meta(unix.NFT_META_MARK), is(0, 0, 0, 0), drop)}, Maybe},
		{"a fragment", [][]expression{rule(payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 6, 2), expression{"bitwise", slices.Concat(word(unix.NFTA_BITWISE_SREG, 1), word(unix.NFTA_BITWISE_DREG, 1),
			word(unix.NFTA_BITWISE_LEN, 2), value(unix.NFTA_BITWISE_MASK, 0x1f, 0xff), value(unix.NFTA_BITWISE_XOR, 0, 0))}, compare(unix.NFT_CMP_NEQ, 0, 0), drop)}, No},
		{"the interface", [][]expression{rule(outName, drop)}, Yes},
		{"interfaces that begin so", [][]expression{rule(meta(unix.NFT_META_OIFNAME), is([]byte("wsk")...), drop)}, Yes},
		{"others", [][]expression{rule(meta(unix.NFT_META_OIFNAME), is([]byte("eth")...), drop)}, No},
		{"a chain that is not there", [][]expression{rule(then(codeJump, "nowhere"))}, Maybe},
		{"notrack comes too late", [][]expression{rule(expression{"notrack", nil}), rule(stateIs(New), drop)}, Yes},
		{"the state of an iptables of today", [][]expression{rule(expression{"match", slices.Concat(attribute(matchName, "conntrack"), nlattr(matchInfo, conntrackInfo(1|1<<13, New)))}, drop)}, Yes},
		{"what was translated, by iptables", [][]expression{rule(expression{"match", slices.Concat(attribute(matchName, "conntrack"), nlattr(matchInfo, conntrackInfo(1, 1<<7)))}, drop)}, No},
		{"addrtype of another kind", [][]expression{rule(expression{"match", slices.Concat(attribute(matchName, "addrtype"), nlattr(matchInfo, addressType(1<<unix.RTN_LOCAL)))}, drop)}, Maybe},
	} {
		r := host(output(tc.rules...))
		if got := r.Judge(away, Output); got.Drops != tc.drops || got.Drops == Maybe && len(got.DependsOn) == 0 {
			t.Errorf("%s: %+v, want %v", tc.name, got, tc.drops)
		}
	}
}

// conntrackInfo is struct xt_conntrack_mtinfo3.
func conntrackInfo(flags uint16, states State) []byte {
	b := make([]byte, 168)
	binary.NativeEndian.PutUint16(b[146:], flags)
	binary.NativeEndian.PutUint16(b[150:], uint16(states))
	return b
}

// addressType is struct xt_addrtype_info_v1.
func addressType(destination uint16) []byte {
	b := make([]byte, 8)
	binary.NativeEndian.PutUint16(b[2:], destination)
	return b
}

// TestConnections: rules before connection tracking see no connection, and those of NAT are asked about the first datagram of one alone,
// where NAT has its place among the hooks.
func TestConnections(t *testing.T) {
	const raw, before = -300, -250
	notrack := expression{"notrack", nil}
	nat := func(to ...byte) []expression {
		return rule(put(1, to...), expression{"nat", slices.Concat(word(natType, 1), word(2, unix.NFPROTO_IPV4), word(natAddress, 1))})
	}
	source := func(to ...byte) []expression {
		return rule(put(1, to...), expression{"nat", slices.Concat(word(natType, natSource), word(2, unix.NFPROTO_IPV4), word(natAddress, 1))})
	}
	post := func(typ string, priority int32, rules ...[]expression) *rawChain {
		return at(unix.NF_INET_POST_ROUTING, priority, typ, rules...)
	}
	outName := []expression{meta(unix.NFT_META_OIFNAME), is(name("wsk0")...)}
	oldSource := slices.Concat([]expression{payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 16, 4)}, []expression{is(10, 77, 0, 2)})
	in := func(priority int32, typ string, rules ...[]expression) *rawChain {
		return at(unix.NF_INET_LOCAL_IN, priority, typ, rules...)
	}
	for _, tc := range []struct {
		name              string
		d                 Datagram
		chains            []*rawChain
		drops, translates Certainty
	}{
		{"established, before connections are tracked", back, []*rawChain{at(unix.NF_INET_PRE_ROUTING, raw, "filter", rule(stateIs(Established), accept), rule(drop))}, Yes, No},
		{"new, before connections are tracked", away, []*rawChain{at(unix.NF_INET_LOCAL_OUT, raw, "filter", rule(stateIs(New), drop))}, No, No},
		{"established", back, []*rawChain{at(unix.NF_INET_PRE_ROUTING, 0, "filter", rule(stateIs(Established), accept), rule(drop))}, No, No},
		{"notrack, and then NAT", away, []*rawChain{at(unix.NF_INET_LOCAL_OUT, raw, "filter", rule(notrack)), post("nat", 100, source(10, 77, 0, 99))}, No, No},
		{"notrack at another hook", away, []*rawChain{output(rule(notrack)), post("nat", 100, source(10, 77, 0, 99))}, No, Yes},
		{"NAT of an answer", back, []*rawChain{at(unix.NF_INET_PRE_ROUTING, -100, "nat", nat(10, 77, 0, 99))}, No, No},
		{"a drop among the rules of NAT, and an answer", back, []*rawChain{in(100, "nat", rule(drop))}, No, No},
		{"a policy of NAT, and an answer", back, []*rawChain{{base: true, hook: unix.NF_INET_LOCAL_IN, typ: "nat", drop: true}}, No, No},
		{"a drop among the rules of NAT", away, []*rawChain{post("nat", 100, rule(drop))}, Yes, No},
		{"NAT of whatever priority is asked before filters", away, []*rawChain{at(unix.NF_INET_LOCAL_OUT, 10, "nat", nat(10, 77, 0, 99)), output(rule(oldSource, accept), rule(drop))}, Maybe, Yes},
		{"where DNAT leads to is not known", away, []*rawChain{at(unix.NF_INET_LOCAL_OUT, -100, "nat", nat(10, 77, 0, 99)), post("filter", 0, rule(outName, accept), rule(drop))}, Maybe, Yes},
		{"where a mark leads to is not known", away, []*rawChain{
			at(unix.NF_INET_LOCAL_OUT, -150, "route", rule(put(1, 1, 0, 0, 0), expression{"meta", slices.Concat(word(unix.NFTA_META_SREG, 1), word(unix.NFTA_META_KEY, unix.NFT_META_MARK))})),
			post("filter", 0, rule(outName, accept), rule(drop))}, Maybe, No},
		{"the first that translates is the last that is asked", away, []*rawChain{post("nat", 100, source(10, 77, 0, 99)), post("nat", 101, rule(drop))}, No, Yes},
		{"NAT of another family", away, []*rawChain{post("nat", 100, rule(put(1, make([]byte, 16)...), expression{"nat", slices.Concat(word(natType, natSource), word(2, unix.NFPROTO_IPV6), word(natAddress, 1))}), rule(drop))}, Yes, No},
		{"a range that has the address", away, []*rawChain{post("nat", 100, rule(put(1, 10, 77, 0, 1), put(2, 10, 77, 0, 9), expression{"nat", slices.Concat(word(natType, natSource), word(2, unix.NFPROTO_IPV4), word(natAddress, 1), word(4, 2))}))}, No, Maybe},
		{"a range that has not", away, []*rawChain{post("nat", 100, rule(put(1, 10, 77, 0, 8), put(2, 10, 77, 0, 9), expression{"nat", slices.Concat(word(natType, natSource), word(2, unix.NFPROTO_IPV4), word(natAddress, 1), word(4, 2))}))}, No, Yes},
		{"a prefix for a prefix", away, []*rawChain{post("nat", 100, rule(put(1, 10, 77, 0, 0), put(2, 10, 77, 0, 255), expression{"nat", slices.Concat(word(natType, natSource), word(2, unix.NFPROTO_IPV4), word(natAddress, 1), word(4, 2), word(7, 64))}))}, No, Maybe},
		{"iptables SNAT to the address that it has", away, []*rawChain{post("nat", 100, rule(target("SNAT", rangeOf(1, 10, 77, 0, 1)...)))}, No, No},
		{"iptables SNAT", away, []*rawChain{post("nat", 100, rule(target("SNAT", rangeOf(1, 10, 77, 0, 99)...)))}, No, Yes},
		{"iptables SNAT of ports", away, []*rawChain{post("nat", 100, rule(target("SNAT", rangeOf(2, 0, 0, 0, 0)...)))}, No, Maybe},
		{"iptables DNAT", away, []*rawChain{at(unix.NF_INET_LOCAL_OUT, -100, "nat", rule(target("DNAT", rangeOf(1, 10, 77, 0, 99)...)))}, No, Yes},
		{"TOS of an answer", back, []*rawChain{in(0, "filter", rule(payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 1, 1), compare(unix.NFT_CMP_NEQ, 0), drop))}, Maybe, No},
		{"forwarded elsewhere at ingress", back, []*rawChain{{base: true, hook: inetIngress, raw: [][]expression{rule(expression{"fwd", word(1, 1)})}, devices: []string{"wsk0"}}}, Yes, No},
	} {
		r := host(tc.chains...)
		got := r.Judge(tc.d, Output, Postrouting)
		if tc.d.In != "" {
			got = r.Judge(tc.d, Ingress, Prerouting, Input)
		}
		if got.Drops != tc.drops || got.Translates != tc.translates {
			t.Errorf("%s: %+v, want %v and %v", tc.name, got, tc.drops, tc.translates)
		}
	}
}

// rangeOf is struct nf_nat_ipv4_multi_range_compat with one range of one address.
func rangeOf(flags uint32, a ...byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, 1)
	b = binary.NativeEndian.AppendUint32(b, flags)
	return append(append(append(b, a...), a...), 0, 0, 0, 0)
}

// TestLooksUp: what is in a set, and what a map of verdicts leads to.
func TestLooksUp(t *testing.T) {
	in := func(name string) []expression {
		return rule(payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 16, 4), expression{"payload", slices.Concat(word(unix.NFTA_PAYLOAD_DREG, 9), word(unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_TRANSPORT_HEADER),
			word(unix.NFTA_PAYLOAD_OFFSET, 2), word(unix.NFTA_PAYLOAD_LEN, 2))}, expression{"lookup", slices.Concat(attribute(unix.NFTA_LOOKUP_SET, name), word(unix.NFTA_LOOKUP_SREG, 1))})
	}
	key := func(typ uint16, b ...byte) []byte { return nlattr(typ, nlattr(unix.NFTA_DATA_VALUE, b)) }
	concatenated := slices.Concat(word(unix.NFTA_SET_FLAGS, unix.NFT_SET_INTERVAL), word(unix.NFTA_SET_KEY_LEN, 8), nlattr(unix.NFTA_SET_DESC, nlattr(setConcat, slices.Concat(
		nlattr(listElement, word(setFieldLength, 4)), nlattr(listElement, word(setFieldLength, 2))))))
	long := slices.Concat(word(unix.NFTA_SET_FLAGS, unix.NFT_SET_INTERVAL), nlattr(unix.NFTA_SET_DESC, nlattr(setConcat, slices.Concat(
		nlattr(listElement, word(setFieldLength, 8))))))
	limit := nlattr(elementExpression, attribute(expressionName, "limit"))
	count := nlattr(elementExpression, attribute(expressionName, "counter"))
	for _, tc := range []struct {
		name        string
		desc        []byte
		elements    [][]byte
		drops, port Certainty // with the port known, and without
	}{
		{"no elements", concatenated, nil, No, No},
		{"one of a concatenation without an end", concatenated, [][]byte{key(unix.NFTA_SET_ELEM_KEY, 10, 77, 0, 2, 0, 9, 0, 0)}, Yes, Maybe},
		{"another", concatenated, [][]byte{key(unix.NFTA_SET_ELEM_KEY, 10, 77, 0, 1, 0, 9, 0, 0)}, No, No},
		{"ranges of fields", concatenated, [][]byte{slices.Concat(key(unix.NFTA_SET_ELEM_KEY, 10, 77, 0, 0, 0, 8, 0, 0), key(elementKeyEnd, 10, 77, 0, 255, 0, 10, 0, 0))}, Yes, Maybe},
		{"of which one does not fit", concatenated, [][]byte{slices.Concat(key(unix.NFTA_SET_ELEM_KEY, 10, 77, 0, 0, 0, 10, 0, 0), key(elementKeyEnd, 10, 77, 0, 255, 0, 10, 0, 0))}, No, Maybe},
		{"a range of one long field", long, [][]byte{slices.Concat(key(unix.NFTA_SET_ELEM_KEY, 10, 77, 0, 1, 0, 5, 0, 0), key(elementKeyEnd, 10, 77, 0, 3, 0, 5, 0, 0))}, Yes, Yes},
		{"fields that are not told", nil, [][]byte{slices.Concat(key(unix.NFTA_SET_ELEM_KEY, 10, 77, 0, 1, 0, 5, 0, 0), key(elementKeyEnd, 10, 77, 0, 3, 0, 5, 0, 0))}, Maybe, Maybe},
		{"a limit for each element", concatenated, [][]byte{slices.Concat(key(unix.NFTA_SET_ELEM_KEY, 10, 77, 0, 2, 0, 9, 0, 0), limit)}, Maybe, Maybe},
		{"a counter for each element", concatenated, [][]byte{slices.Concat(key(unix.NFTA_SET_ELEM_KEY, 10, 77, 0, 2, 0, 9, 0, 0), count)}, Yes, Maybe},
		{"a key that is cut off", concatenated, [][]byte{key(unix.NFTA_SET_ELEM_KEY, 10, 77)}, Maybe, Maybe},
	} {
		s := &set{}
		var list []byte
		for _, x := range tc.elements {
			list = append(list, nlattr(listElement, x)...)
		}
		var ends []setRange
		s.addElements(attr{unix.NFTA_SET_ELEM_LIST_ELEMENTS, list}, &ends)
		each(tc.desc, s.describe)
		s.close(ends)
		r := host(output(rule(in("s"), drop)))
		r.sets[setName{unix.NFPROTO_IPV4, "host", "s"}] = s
		portless := away
		portless.DestinationPort = 0
		if got := r.Judge(away, Output); got.Drops != tc.drops {
			t.Errorf("%s: %+v, want %v", tc.name, got, tc.drops)
		}
		if got := r.Judge(portless, Output); got.Drops != tc.port || got.Drops == Maybe && len(got.DependsOn) == 0 {
			t.Errorf("%s, without a port: %+v, want %v", tc.name, got, tc.port)
		}
	}
}

// TestMapsIntoItsKey: a map whose value takes the place of the key, as nft has every map of addresses, is asked for the key alone.
func TestMapsIntoItsKey(t *testing.T) {
	one, two := []byte{10, 77, 0, 2}, []byte{10, 77, 0, 99}
	swaps := []setRange{{from: one, element: element{value: two, verdict: verdict{code: codeNone}}}, {from: two, element: element{value: one, verdict: verdict{code: codeNone}}}}
	r := host(at(unix.NF_INET_LOCAL_OUT, -100, "nat", rule(payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 16, 4),
		expression{"lookup", slices.Concat(attribute(unix.NFTA_LOOKUP_SET, "m"), word(unix.NFTA_LOOKUP_SREG, 1), word(unix.NFTA_LOOKUP_DREG, 1))},
		expression{"nat", slices.Concat(word(natType, 1), word(natFamily, unix.NFPROTO_IPV4), word(natAddress, 1))})))
	r.sets[setName{unix.NFPROTO_IPV4, "host", "m"}] = &set{length: 4, ranges: swaps}
	if got := r.Judge(away, Output); got.Translates != Yes {
		t.Errorf("%+v", got)
	}
}

// TestTellsMapsOfVerdicts: what a chain does that only a map of verdicts decides, or leads to, is told of it.
func TestTellsMapsOfVerdicts(t *testing.T) {
	look := expression{"lookup", slices.Concat(attribute(unix.NFTA_LOOKUP_SET, "m"), word(unix.NFTA_LOOKUP_SREG, 1), word(unix.NFTA_LOOKUP_DREG, 0))}
	for name, tc := range map[string]struct {
		set   *set
		drops bool
		rules int
	}{
		"drops":         {&set{ranges: []setRange{{from: []byte{0, 9}, element: element{verdict: verdict{code: codeDrop}}}}}, true, 1},
		"accepts":       {&set{ranges: []setRange{{from: []byte{0, 9}, element: element{verdict: verdict{code: codeAccept}}}}}, false, 1},
		"jumps":         {&set{ranges: []setRange{{from: []byte{0, 9}, element: element{verdict: verdict{code: codeJump, chain: "1"}}}}}, true, 2},
		"all others":    {&set{otherwise: &element{verdict: verdict{code: codeGoto, chain: "1"}}}, true, 2},
		"can't be read": {&set{err: unix.EPERM}, true, 1},
	} {
		r := ruleset{}
		r.addChain(slices.Concat([]byte{unix.NFPROTO_IPV4, 0, 0, 0}, attribute(unix.NFTA_CHAIN_TABLE, "host"), attribute(unix.NFTA_CHAIN_NAME, "0"),
			nlattr(unix.NFTA_CHAIN_HOOK, slices.Concat(word(unix.NFTA_HOOK_HOOKNUM, unix.NF_INET_LOCAL_IN), word(unix.NFTA_HOOK_PRIORITY, 0)))))
		r.addChain(slices.Concat([]byte{unix.NFPROTO_IPV4, 0, 0, 0}, attribute(unix.NFTA_CHAIN_TABLE, "host"), attribute(unix.NFTA_CHAIN_NAME, "1")))
		r.addRule(listed("0", look))
		r.addRule(listed("1", drop))
		got := r.chains(sets{setName{unix.NFPROTO_IPV4, "host", "m"}: tc.set})
		if len(got) != 1 || got[0].Drops != tc.drops || got[0].Rules != tc.rules {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// listed is a rule as the kernel lists it.
func listed(chain string, rule ...expression) []byte {
	var list []byte
	for _, x := range rule {
		list = append(list, nlattr(listElement, slices.Concat(attribute(expressionName, x.name), nlattr(expressionData, x.data)))...)
	}
	return slices.Concat([]byte{unix.NFPROTO_IPV4, 0, 0, 0}, attribute(unix.NFTA_RULE_TABLE, "host"), attribute(unix.NFTA_RULE_CHAIN, chain), nlattr(unix.NFTA_RULE_EXPRESSIONS, list))
}

// TestHooked: chains of tables that sleep and of devices that are gone are hooked nowhere, and a device may be named by how it begins.
func TestHooked(t *testing.T) {
	chain := func(hook uint32, family byte, rest ...byte) []byte {
		return slices.Concat([]byte{family, 0, 0, 0}, attribute(unix.NFTA_CHAIN_TABLE, "host"), attribute(unix.NFTA_CHAIN_NAME, "0"), word(unix.NFTA_CHAIN_POLICY, 0),
			nlattr(unix.NFTA_CHAIN_HOOK, slices.Concat(word(unix.NFTA_HOOK_HOOKNUM, hook), word(unix.NFTA_HOOK_PRIORITY, 0), rest)))
	}
	table := func(family byte, flags uint32) []byte {
		return slices.Concat([]byte{family, 0, 0, 0}, attribute(unix.NFTA_TABLE_NAME, "host"), word(unix.NFTA_TABLE_FLAGS, flags))
	}
	of := func(typ uint16, name string) []byte {
		return nlattr(hookDevices, slices.Concat(attribute(1, "lo"), nlattr(typ, []byte(name))))
	}
	const netdev, ip = unix.NFPROTO_NETDEV, unix.NFPROTO_IPV4
	for name, tc := range map[string]struct {
		chain, table []byte
		hook         Hook
		drops        Certainty
	}{
		"awake":                 {chain(unix.NF_INET_LOCAL_IN, ip), table(ip, 0), Input, Yes},
		"asleep":                {chain(unix.NF_INET_LOCAL_IN, ip), table(ip, unix.NFT_TABLE_F_DORMANT), Input, No},
		"asleep in another way": {chain(unix.NF_INET_LOCAL_IN, ip), table(unix.NFPROTO_IPV6, unix.NFT_TABLE_F_DORMANT), Input, Yes},
		"no device":             {chain(unix.NF_NETDEV_INGRESS, netdev), table(netdev, 0), Ingress, No},
		"its device":            {chain(unix.NF_NETDEV_INGRESS, netdev, of(1, "wsk0")...), table(netdev, 0), Ingress, Yes},
		"another device":        {chain(unix.NF_NETDEV_INGRESS, netdev, of(1, "wsk")...), table(netdev, 0), Ingress, No},
		"devices that begin so": {chain(unix.NF_NETDEV_INGRESS, netdev, of(2, "wsk")...), table(netdev, 0), Ingress, Yes},
		"and others":            {chain(unix.NF_NETDEV_INGRESS, netdev, of(2, "eth")...), table(netdev, 0), Ingress, No},
	} {
		r, asleep := ruleset{}, sleepers{}
		r.addChain(tc.chain)
		asleep.addTable(tc.table)
		r.unhook(asleep)
		rules := Rules{raw: r, sets: sets{}}
		rules.Chains = r.chains(rules.sets)
		if got := rules.Judge(back, Ingress, Prerouting, Input); got.Drops != tc.drops || (len(rules.At(tc.hook, "wsk0")) > 0) != (tc.drops == Yes) {
			t.Errorf("%s: %+v, %+v", name, got, rules.Chains)
		}
	}
}

// TestComesToAnEnd: rules that lead to each other more often than anybody can follow are given up.
func TestComesToAnEnd(t *testing.T) {
	r := Rules{raw: ruleset{}, sets: sets{}}
	for i := range mostJumps {
		c := &rawChain{base: i == 0, hook: unix.NF_INET_LOCAL_OUT}
		for range 64 {
			c.raw = append(c.raw, rule(then(codeJump, strconv.Itoa(i+1))))
		}
		r.raw[chainName{unix.NFPROTO_IPV4, "host", strconv.Itoa(i)}] = c
	}
	r.raw[chainName{unix.NFPROTO_IPV4, "host", strconv.Itoa(mostJumps)}] = &rawChain{raw: [][]expression{rule(portIs9, drop)}}
	portless := away
	portless.DestinationPort = 10
	if got := r.Judge(portless, Output); got.Drops != Maybe || !slices.Contains(got.DependsOn, "more rules than are followed") {
		t.Errorf("%+v", got)
	}
	for i := range mostJumps {
		r.raw[chainName{unix.NFPROTO_IPV4, "host", strconv.Itoa(i)}].jumps = slices.Repeat([]string{strconv.Itoa(i + 1)}, 64)
	}
	if got := r.raw.chains(r.sets); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestLooksThroughSoMany: sets of millions that are looked into again and again are given up, too.
func TestLooksThroughSoMany(t *testing.T) {
	look := rule(payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), expression{"lookup", slices.Concat(attribute(unix.NFTA_LOOKUP_SET, "s"), word(unix.NFTA_LOOKUP_SREG, 1))}, drop)
	r := host(output(slices.Repeat([][]expression{look}, 300)...))
	r.sets[setName{unix.NFPROTO_IPV4, "host", "s"}] = &set{ranges: slices.Repeat([]setRange{{from: []byte{0, 8}}}, 1<<18)}
	if got := r.Judge(away, Output); got.Drops != Maybe || !slices.Contains(got.DependsOn, "more rules than are followed") {
		t.Errorf("%+v", got)
	}
}

// TestOfTwoFamilies: a source of another family than the destination's, which only a mistake can be, is one that is not known.
func TestOfTwoFamilies(t *testing.T) {
	d := away
	d.Source = netip.MustParseAddr("2001:db8::1")
	r := host(output(rule(payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 12, 4), is(10, 77, 0, 1), drop)))
	if got := r.Judge(d, Output); got.Drops != Maybe {
		t.Errorf("%+v", got)
	}
}
