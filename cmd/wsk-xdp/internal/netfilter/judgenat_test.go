// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestJudgesNATAsTheKernel: where chains of type nat have their turn, and when they have none, is as the kernel's socket meets it.
func TestJudgesNATAsTheKernel(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	spare := netip.MustParseAddr("10.77.0.9")
	for _, host := range judgeHosts {
		must(t, lab.A.If.SetNeighbour(host, lab.B.If.MAC()))
	}
	must(t, lab.A.If.AddAddr(netip.PrefixFrom(spare, 24)))
	type chain struct {
		typ      nftables.ChainType
		hook     *nftables.ChainHook
		priority nftables.ChainPriority
		rule     []expr.Any
	}
	gives := func(kind expr.NATType, to netip.Addr) []expr.Any {
		return []expr.Any{&expr.Immediate{Register: 1, Data: to.AsSlice()}, &expr.NAT{Type: kind, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}}
	}
	goesTo := func(host netip.Addr, verdict expr.VerdictKind) []expr.Any {
		return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: host.AsSlice()}, &expr.Verdict{Kind: verdict}}
	}
	refuse := []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}
	const nat, filter = nftables.ChainTypeNAT, nftables.ChainTypeFilter
	out, post := nftables.ChainHookOutput, nftables.ChainHookPostrouting
	for i, tc := range []struct {
		name   string
		chains []chain
		drops  bool
		unsure bool // it is not said for certain
	}{
		{"drops among NAT", []chain{{nat, out, -100, refuse}}, true, false},
		{"drops among NAT what is not tracked", []chain{{filter, out, -300, []expr.Any{&expr.Notrack{}}}, {nat, out, -100, refuse}}, false, false},
		{"has decided", []chain{{nat, post, 100, gives(expr.NATTypeSourceNAT, spare)}, {nat, post, 101, refuse}}, false, false},
		{"has decided for the same address", []chain{{nat, post, 100, gives(expr.NATTypeSourceNAT, lab.A.IPv4())}, {nat, post, 101, refuse}}, false, false},
		{"is decided before", []chain{{nat, post, 101, gives(expr.NATTypeSourceNAT, spare)}, {nat, post, 100, refuse}}, true, false},
		{"has decided at another hook", []chain{{nat, out, -100, gives(expr.NATTypeDestNAT, judgeHosts[1])}, {nat, post, 100, refuse}}, true, false},
		{"comes before filters whatever its priority is", []chain{{nat, out, 10, gives(expr.NATTypeDestNAT, judgeHosts[1])}, {filter, out, 0, goesTo(judgeHosts[1], expr.VerdictDrop)}}, true, true},
		{"drops before filters whatever its priority is", []chain{{nat, out, 10, refuse}, {filter, out, 0, goesTo(judgeHosts[0], expr.VerdictAccept)}}, true, false},
	} {
		c, err := nftables.New(nftables.WithNetNSFd(lab.A.NS.FD()))
		must(t, err)
		c.FlushRuleset()
		table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "host"})
		tracks := chain{filter, nftables.ChainHookInput, 0, []expr.Any{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}}} // a chain of type nat alone does not
		for n, x := range append(tc.chains, tracks) {
			base := c.AddChain(&nftables.Chain{Name: string(rune('a' + n)), Table: table, Type: x.typ, Hooknum: x.hook, Priority: &x.priority})
			c.AddRule(&nftables.Rule{Table: table, Chain: base, Exprs: x.rule})
		}
		must(t, c.Flush())
		to := netip.AddrPortFrom(judgeHosts[0], uint16(3000+i)) // a connection that nothing was decided of before
		must(t, lab.A.NS.Do(func() error {
			r := Read()
			if r.Err != nil {
				return r.Err
			}
			is := r.Judge(Datagram{Source: lab.A.IPv4(), Destination: to.Addr(), SourcePort: judgeSource, DestinationPort: to.Port(), Out: "wsk0",
				OutIndex: lab.A.If.Index(), State: New, Owner: int64(os.Getuid())}, Output, Postrouting)
			dropped, err := kernelDrops(lab.A.IPv4(), to)
			if dropped != tc.drops || (is.Drops == Maybe) != tc.unsure || !tc.unsure && (is.Drops == Yes) != dropped {
				t.Errorf("%s: %+v, and the kernel drops: %v", tc.name, is, dropped)
			}
			return err
		}))
	}
}
