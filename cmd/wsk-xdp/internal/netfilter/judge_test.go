// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// The ports and addresses that the rules of the test look at, and that its datagrams have.
var (
	judgePorts = []uint16{999, 1000, 1001, 1500, 2000, 2001}
	judgeHosts = []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.77"), netip.MustParseAddr("10.77.1.2")}
)

const judgeSource = 4567

// dice makes rules.
type dice struct {
	*rand.Rand
	t     *testing.T
	conn  *nftables.Conn
	table *nftables.Table
}

func (d *dice) port() uint16 { return judgePorts[d.IntN(len(judgePorts))] }

func be(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

// set adds a set or map of ports.
func (d *dice) set(interval bool, verdicts func() *expr.Verdict) *nftables.Set {
	s := &nftables.Set{Table: d.table, Anonymous: true, Constant: true, Interval: interval, KeyType: nftables.TypeInetService}
	if verdicts != nil {
		s.IsMap, s.DataType = true, nftables.TypeVerdict
	}
	var elements []nftables.SetElement
	add := func(key uint16, end bool) {
		e := nftables.SetElement{Key: be(key), IntervalEnd: end}
		if verdicts != nil && !end {
			e.VerdictData = verdicts()
		}
		elements = append(elements, e)
	}
	if interval {
		add(0, true)
		add(1000, false)
		add(1002, true)
		add(2000, false)
		add(uint16(2001+d.IntN(2)), true)
	} else {
		add(999, false)
		add(1500, false)
		add(2001, false)
	}
	if err := d.conn.AddSet(s, elements); err != nil {
		d.t.Fatal(err)
	}
	return s
}

// pairs adds a set of addresses with ports, with ranges of both.
func (d *dice) pairs() *nftables.Set {
	s := &nftables.Set{Table: d.table, Anonymous: true, Constant: true, Interval: true, Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)}
	pair := func(host netip.Addr, port uint16) []byte {
		return slices.Concat(host.AsSlice(), be(port), []byte{0, 0})
	}
	from, to := d.port(), d.port()
	elements := []nftables.SetElement{{Key: pair(judgeHosts[0], min(from, to)), KeyEnd: pair(judgeHosts[1], max(from, to))}, {Key: pair(judgeHosts[2], from), KeyEnd: pair(judgeHosts[2], from)}}
	if err := d.conn.AddSet(s, elements); err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *dice) verdict(chains ...string) *expr.Verdict {
	switch n := d.IntN(8); {
	case n < 2:
		return &expr.Verdict{Kind: expr.VerdictDrop}
	case n == 2:
		return &expr.Verdict{Kind: expr.VerdictReturn}
	case n < 7 && len(chains) > 0:
		return &expr.Verdict{Kind: []expr.VerdictKind{expr.VerdictJump, expr.VerdictGoto}[d.IntN(2)], Chain: chains[d.IntN(len(chains))]}
	}
	return &expr.Verdict{Kind: expr.VerdictAccept}
}

func (d *dice) payload(transport bool, offset, length uint32) expr.Any {
	base := expr.PayloadBaseNetworkHeader
	if transport {
		base = expr.PayloadBaseTransportHeader
	}
	return &expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: length}
}

// match is what a rule looks at.
func (d *dice) match() []expr.Any {
	ops := []expr.CmpOp{expr.CmpOpEq, expr.CmpOpNeq, expr.CmpOpLt, expr.CmpOpLte, expr.CmpOpGt, expr.CmpOpGte}
	udp := []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}}}
	switch d.IntN(12) {
	case 0: // udp dport OP PORT
		return append(udp, d.payload(true, 2, 2), &expr.Cmp{Op: ops[d.IntN(len(ops))], Register: 1, Data: be(d.port())})
	case 1: // udp dport 1000-1500, or not
		return append(udp, d.payload(true, 2, 2), &expr.Range{Op: []expr.CmpOp{expr.CmpOpEq, expr.CmpOpNeq}[d.IntN(2)], Register: 1,
			FromData: be(1000), ToData: be(1500)})
	case 2: // udp dport { … }
		s := d.set(d.IntN(2) == 0, nil)
		return append(udp, d.payload(true, 2, 2), &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID, Invert: d.IntN(2) == 0})
	case 3: // ip daddr HOST
		return []expr.Any{d.payload(false, 16, 4), &expr.Cmp{Op: ops[d.IntN(2)], Register: 1, Data: judgeHosts[d.IntN(len(judgeHosts))].AsSlice()}}
	case 4: // ip daddr 10.77.0.0/24
		return []expr.Any{d.payload(false, 16, 4), &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: []byte{255, 255, 255, 0}, Xor: make([]byte, 4)},
			&expr.Cmp{Op: ops[d.IntN(2)], Register: 1, Data: []byte{10, 77, byte(d.IntN(2)), 0}}}
	case 5: // ct state new
		bits := uint32(expr.CtStateBitNEW)
		if d.IntN(2) == 0 {
			bits = expr.CtStateBitESTABLISHED
		}
		return []expr.Any{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}}
	case 6: // oifname
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, &expr.Cmp{Op: ops[d.IntN(2)], Register: 1, Data: name([]string{"wsk0", "lo"}[d.IntN(2)])}}
	case 7: // skuid
		return []expr.Any{&expr.Meta{Key: expr.MetaKeySKUID, Register: 1},
			&expr.Cmp{Op: ops[d.IntN(2)], Register: 1, Data: binaryutil.NativeEndian.PutUint32(uint32(os.Getuid() + d.IntN(2)))}}
	case 8: // udp sport
		return append(udp, d.payload(true, 0, 2), &expr.Cmp{Op: ops[d.IntN(2)], Register: 1, Data: be(judgeSource)})
	case 9: // ip daddr . udp dport { … }
		s := d.pairs()
		return append(udp, d.payload(false, 16, 4), &expr.Payload{DestRegister: 9, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID, Invert: d.IntN(2) == 0})
	case 10: // ip frag-off, ip dscp
		return []expr.Any{d.payload(false, []uint32{1, 6}[d.IntN(2)], 1), &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0x3f}, Xor: []byte{0}},
			&expr.Cmp{Op: ops[d.IntN(2)], Register: 1, Data: []byte{0}}}
	}
	return nil
}

// rules fills a chain.
func (d *dice) rules(chain *nftables.Chain, chains ...string) {
	for range 1 + d.IntN(4) {
		rule := &nftables.Rule{Table: d.table, Chain: chain, Exprs: d.match()}
		switch d.IntN(5) {
		case 0: // udp dport vmap { … }
			s := d.set(d.IntN(2) == 0, func() *expr.Verdict { return d.verdict(chains...) })
			rule.Exprs = append(rule.Exprs, d.payload(true, 2, 2), &expr.Lookup{SourceRegister: 1, DestRegister: 0, IsDestRegSet: true, SetName: s.Name, SetID: s.ID})
		case 1:
			rule.Exprs = append(rule.Exprs, &expr.Counter{})
		default:
			rule.Exprs = append(rule.Exprs, d.verdict(chains...))
		}
		d.conn.AddRule(rule)
	}
}

// apply replaces the rules of a namespace.
func (d *dice) apply(ns *testenv.Namespace) error {
	var err error
	if d.conn, err = nftables.New(nftables.WithNetNSFd(ns.FD())); err != nil {
		return err
	}
	d.conn.FlushRuleset()
	d.table = d.conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "host"})
	policy := nftables.ChainPolicyDrop
	asleep := d.conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "asleep"})
	d.conn.AddChain(&nftables.Chain{Name: "base", Table: asleep, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput,
		Priority: nftables.ChainPriorityFilter, Policy: &policy})
	inner := d.conn.AddChain(&nftables.Chain{Name: "inner", Table: d.table})
	other := d.conn.AddChain(&nftables.Chain{Name: "other", Table: d.table})
	for i, hook := range []*nftables.ChainHook{nftables.ChainHookOutput, nftables.ChainHookPostrouting, nftables.ChainHookOutput} {
		policy := nftables.ChainPolicyAccept
		if d.IntN(3) == 0 {
			policy = nftables.ChainPolicyDrop
		}
		d.rules(d.conn.AddChain(&nftables.Chain{Name: "base" + strconv.Itoa(i), Table: d.table, Type: nftables.ChainTypeFilter, Hooknum: hook,
			Priority: nftables.ChainPriorityRef(nftables.ChainPriority(i)), Policy: &policy}), "inner", "other")
	}
	raw := d.conn.AddChain(&nftables.Chain{Name: "raw", Table: d.table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput,
		Priority: nftables.ChainPriorityRef([]nftables.ChainPriority{-300, -199}[d.IntN(2)])})
	d.rules(raw)
	if d.IntN(2) == 0 {
		d.conn.AddRule(&nftables.Rule{Table: d.table, Chain: raw, Exprs: append(d.match(), &expr.Notrack{})})
	}
	d.rules(inner, "other")
	d.rules(other)
	return d.conn.Flush()
}

// putToSleep makes the table asleep dormant, which the library has no word for.
func putToSleep() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	message := func(typ, flags uint16, body ...byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
		b = binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(b, typ), unix.NLM_F_REQUEST|flags)
		return append(append(b, 1, 0, 0, 0, 0, 0, 0, 0), body...)
	}
	const subsystem = unix.NFNL_SUBSYS_NFTABLES
	table := slices.Concat([]byte{unix.NFPROTO_IPV4, 0, 0, 0}, attribute(unix.NFTA_TABLE_NAME, "asleep"), word(unix.NFTA_TABLE_FLAGS, unix.NFT_TABLE_F_DORMANT))
	batch := slices.Concat(message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, 0, 0, subsystem), message(subsystem<<8|unix.NFT_MSG_NEWTABLE, unix.NLM_F_ACK, table...),
		message(unix.NFNL_MSG_BATCH_END, 0, 0, 0, 0, subsystem))
	if err := unix.Sendto(fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 1<<12)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil || n < unix.SizeofNlMsghdr+4 {
		return fmt.Errorf("answer of %d bytes: %w", n, err)
	}
	if errno := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(-errno)
	}
	return nil
}

// TestJudgesAsTheKernel: what rules made at random do to datagrams is what the kernel's socket meets, where it is said for certain; with
// everything known it always is, and with the port not known it holds for every port.
func TestJudgesAsTheKernel(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	seed, rounds := testenv.Seed(t), 300
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	for _, host := range judgeHosts[1:] {
		if err := lab.A.If.SetNeighbour(host, lab.B.If.MAC()); err != nil {
			t.Fatal(err)
		}
	}
	if err := lab.A.If.AddRoute(netip.MustParsePrefix("10.77.1.0/24"), judgeHosts[0]); err != nil {
		t.Fatal(err)
	}
	d := &dice{Rand: rand.New(rand.NewPCG(seed, 0)), t: t}
	counts := map[Certainty]int{}
	for round := range rounds {
		if err := d.apply(lab.A.NS); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		must(t, lab.A.NS.Do(func() error {
			if err := putToSleep(); err != nil {
				return err
			}
			r := Read()
			if r.Err != nil {
				return r.Err
			}
			for _, host := range judgeHosts {
				portless := judged(&r, lab, host, 0)
				for _, port := range judgePorts {
					dropped, err := kernelDrops(lab.A.IPv4(), netip.AddrPortFrom(host, port))
					if err != nil {
						return err
					}
					is := judged(&r, lab, host, port)
					counts[is.Drops]++
					if is.Drops == Maybe || (is.Drops == Yes) != dropped {
						t.Errorf("round %d of seed %d: to %v port %d: %+v, and the kernel drops: %v", round, seed, host, port, is, dropped)
					}
					if portless.Drops != Maybe && (portless.Drops == Yes) != dropped || portless.Drops == Maybe && len(portless.DependsOn) == 0 {
						t.Errorf("round %d of seed %d: to %v without a port: %+v, and the kernel drops to %d: %v", round, seed, host, portless, port, dropped)
					}
				}
			}
			return nil
		}))
		if t.Failed() {
			return
		}
	}
	if counts[Yes] == 0 || counts[No] == 0 {
		t.Errorf("nothing was shown: %v", counts)
	}
}

func judged(r *Rules, lab *testenv.Lab, host netip.Addr, port uint16) Judgement {
	return r.Judge(Datagram{
		Source: lab.A.IPv4(), Destination: host, SourcePort: judgeSource, DestinationPort: port, Out: "wsk0", OutIndex: lab.A.If.Index(),
		State: New, Owner: int64(os.Getuid()),
	}, Output, Postrouting)
}

// kernelDrops sends a datagram, each by a socket of its own so that the kernel sees a new connection.
func kernelDrops(from netip.Addr, to netip.AddrPort) (bool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: judgeSource, Addr: from.As4()}); err != nil {
		return false, err
	}
	err = unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err != nil && !errors.Is(err, unix.EPERM) {
		return false, fmt.Errorf("send to %v: %w", to, err)
	}
	return err != nil, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What an expression loads that nobody knows here takes the place of what the register held, whichever of its attributes names that.
func TestUnknownTakesTheRegister(t *testing.T) {
	for name, data := range map[string][]byte{ // each into register 1
		"socket": slices.Concat(word(1, 3), word(2, 1)), // key, register
		"tunnel": slices.Concat(word(1, 0), word(2, 1)),
		"hash":   slices.Concat(word(1, 2), word(2, 1)), // register to read, register
		"xfrm":   slices.Concat(word(1, 1), word(2, 3)), // register, key
		"fib":    slices.Concat(word(1, 1), word(2, 3)),
		"rt":     slices.Concat(word(1, 1), word(2, 3)),
		"osf":    slices.Concat(word(1, 1), []byte{5, 0, 2, 0, 1, 0, 0, 0}),
		"inner":  slices.Concat(word(1, 0), word(2, 1)), // number, type
		"numgen": slices.Concat(word(1, 1), word(2, 7)),
	} {
		r := host(output(rule(meta(unix.NFT_META_L4PROTO), is(unix.IPPROTO_UDP), expression{name, data}, is(9, 9, 9, 9), drop)))
		if got := r.Judge(Datagram{Destination: judgeHosts[0], DestinationPort: 9000}, Output); got.Drops != Maybe || !slices.Equal(got.DependsOn, []string{name}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func nlattr(typ uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, typ), value...)
	return append(b, make([]byte, -len(b)&(unix.NLA_ALIGNTO-1))...)
}

func word(typ uint16, n uint32) []byte { return nlattr(typ, binary.BigEndian.AppendUint32(nil, n)) }
