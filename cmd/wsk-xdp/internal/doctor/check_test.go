// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netfilter"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

var yes, no, unknown = Answer{Answer: "yes"}, Answer{"no", "the kernel lacks it"}, Answer{"unknown", "not permitted"}

// healthy is root on a new machine with a good NIC and a resolved destination.
func healthy() Facts {
	return Facts{
		Host: host.Info{Kernel: "6.18.0"},
		Privilege: PrivilegeFacts{
			NetRaw: true, NetAdmin: true, BPF: true, PerfMon: true, IPCLock: true, InitialUserNS: true, OwnNetNS: true, Unlimited: true,
			MemlockNeed: 4 << 20,
		},
		SocketFacts: SocketFacts{AFXDP: yes, TxBudget: yes, Metadata: yes, BusyPoll: yes},
		UserNS:      yes,
		Trial: &TrialFacts{
			Where: trialHere, Copy: yes, ZeroCopy: no, MultiBuffer: yes, Remap: yes, Statistics: yes, Program: yes, Frags: yes,
			Native: yes, Generic: yes, Features: yes, Queues: yes, Taken: yes, Diag: yes,
		},
		Interface: &InterfaceFacts{
			Name: "eth1", Kind: "device", Driver: "ice", MTU: 1500, Up: true, Carrier: true, Ethernet: true, TxQueues: 8, RxQueues: 8,
			QueuesExact: true, FeaturesKnown: true, Native: true, ZeroCopy: true, TakenKnown: true, TxRing: 1024, RxRing: 1024,
		},
		Rules: &RuleFacts{Nftables: yes, Iptables: yes, ReversePath: "off"},
		Path: &PathFacts{
			Destination: "192.0.2.7", Interface: "eth1", Device: "eth1", Source: "192.0.2.1", NextHop: "192.0.2.7", OnLink: true,
			MAC: "02:00:00:00:00:01", AskNeeded: true, MTU: 1500, InterfaceMTU: 1500, DeviceMTU: 1500, Kind: unicast,
		},
		Proof: &Proof{Sent: 1000, Completed: 1000, Received: 1000, Elapsed: 1e7},
	}
}

func find(t *testing.T, findings []Finding, id string) Finding {
	t.Helper()
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.ID == id })
	if i < 0 {
		t.Fatalf("no finding %s", id)
	}
	return findings[i]
}

func TestHealthyMachine(t *testing.T) {
	f := healthy()
	findings := Check(&f)
	ids := map[string]bool{}
	for _, x := range findings {
		if x.Level != OK {
			t.Errorf("%+v", x)
		}
		if ids[x.ID] {
			t.Errorf("%s twice", x.ID)
		}
		ids[x.ID] = true
	}
	s := Conclude(&f)
	if !s.TXPossible || !strings.HasPrefix(s.TX, "yes") || !strings.HasPrefix(s.ZeroCopy, "announced") {
		t.Errorf("%+v", s)
	}
}

// TestFindings changes one fact at a time and looks for the finding that reports it, and for its remedy.
func TestFindings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Facts)
		id     string
		level  Level
		text   string // in title, detail or remedy
	}{
		{"old-kernel", func(f *Facts) { f.Host.Kernel = "5.3.1" }, "WX-KERNEL-01", Fail, "5.4"},
		{"never-tried", func(f *Facts) { f.Host.Kernel = "5.8.1" }, "WX-KERNEL-01", Warn, "5.10"},
		{"no-cmpxchg", func(f *Facts) { f.Host.Kernel = "5.10.0-33-amd64" }, "WX-KERNEL-03", Note, "Linux 5.12"},
		{"no-live-frames", func(f *Facts) { f.Host.Kernel = "5.15.0-1-generic" }, "WX-KERNEL-03", Note, "Linux 5.18"},
		{"panics", func(f *Facts) { f.Host.Kernel = "6.16.12+deb13-amd64" }, "WX-KERNEL-02", Warn, "Linux 6.18"},
		{"odd-kernel", func(f *Facts) { f.Host.Kernel = "custom" }, "WX-KERNEL-01", Note, "custom"},
		{"no-afxdp", func(f *Facts) { f.AFXDP = no }, "WX-AFXDP-01", Fail, "CONFIG_XDP_SOCKETS"},
		{"not-permitted", func(f *Facts) { f.AFXDP = unknown }, "WX-AFXDP-01", Warn, "not permitted"},
		{"no-userns", func(f *Facts) { f.UserNS = no }, "WX-USERNS-01", Note, "sudo wsk-xdp demo"},
		{"no-policies", func(f *Facts) { f.Privilege.NetAdmin, f.Privilege.Policies = false, "not permitted" }, "WX-IPSEC-01", Warn, "assume-no-ipsec"},
		{"no-net-raw", func(f *Facts) { f.Privilege.NetRaw = false }, "WX-CAP-TX-01", Warn, "cap_net_raw"},
		{"foreign-netns", func(f *Facts) { f.Privilege.NetRaw, f.Privilege.OwnNetNS = false, false }, "WX-CAP-TX-01", Warn, "another user namespace"},
		{"no-bpf", func(f *Facts) { f.Privilege.BPF = false }, "WX-CAP-RX-01", Note, "cap_bpf"},
		{"in-userns", func(f *Facts) { f.Privilege.BPF, f.Privilege.InitialUserNS = false, false }, "WX-CAP-RX-01", Note, "user namespace"},
		{"no-perfmon", func(f *Facts) { f.Privilege.PerfMon = false }, "WX-CAP-RX-01", Note, "barriers"},
		{"no-perfmon-and-refused", func(f *Facts) { f.Privilege.PerfMon, f.Trial.Program = false, no }, "WX-CAP-RX-01", Note, "pointer -= pointer"},
		{"little-memlock", func(f *Facts) { f.Privilege.Unlimited, f.Privilege.Memlock = false, 64<<10 }, "WX-MEMLOCK-01", Warn, "ulimit -l 4096"},
		{"memlock-for-one", func(f *Facts) { f.Privilege.Unlimited, f.Privilege.Memlock = false, 5<<20 }, "WX-MEMLOCK-01", Note, "one queue"},
		{"memlock-for-two", func(f *Facts) { f.Privilege.Unlimited, f.Privilege.Memlock = false, 8<<20 }, "WX-MEMLOCK-01", OK, "2 queues"},
		{"no-budget", func(f *Facts) { f.TxBudget = no }, "WX-BUDGET-01", Note, "32 frames"},
		{"metadata-unknown", func(f *Facts) { f.Metadata = unknown }, "WX-METADATA-01", Note, "not known"},
		{"no-busy-poll", func(f *Facts) { f.BusyPoll = no }, "WX-BUSYPOLL-01", Note, "the kernel lacks it"},
		{"busy-poll-since", func(f *Facts) { f.BusyPoll = Answer{"no", "x: not supported (needs Linux 5.11)"} }, "WX-BUSYPOLL-01", Note, "Linux 5.11 or later"},
		{"no-pair", func(f *Facts) { f.Trial = &TrialFacts{Where: trialHere, Error: "not permitted"} }, "WX-TRIAL-01", Note, "not permitted"},
		{"pair-in-userns", func(f *Facts) { f.Trial.Where = trialUserNS }, "WX-TRIAL-01", OK, "user namespace"},
		{"no-copy", func(f *Facts) { f.Trial.Copy = no }, "WX-TRIAL-01", Fail, "the kernel lacks it"},
		{"no-program", func(f *Facts) { f.Trial.Program = no }, "WX-PROGRAM-01", Note, "UDP socket"},
		{"program-unknown", func(f *Facts) { f.Trial.Program = unknown }, "WX-PROGRAM-01", Note, "not permitted"},
		{"no-frags", func(f *Facts) { f.Trial.Frags = no }, "WX-FRAGS-01", Note, "large MTU"},
		{"no-native-veth", func(f *Facts) { f.Trial.Native = no }, "WX-ATTACH-01", Note, "generic mode"},
		{"no-generic", func(f *Facts) { f.Trial.Generic = no }, "WX-ATTACH-02", Note, "UDP socket"},
		{"no-multi-buffer", func(f *Facts) { f.Trial.MultiBuffer = no }, "WX-MULTIBUF-01", Note, "above 4010"},
		{"no-statistics", func(f *Facts) { f.Trial.Statistics = no }, "WX-STATS-01", Note, "not counted"},
		{"no-genl", func(f *Facts) { f.Trial.Features = no }, "WX-NETDEV-01", Note, "--try"},
		{"no-genl-queues", func(f *Facts) { f.Trial.Queues = no }, "WX-NETDEV-02", Note, "a bound"},
		{"no-genl-taken", func(f *Facts) { f.Trial.Taken, f.Trial.Diag = no, no }, "WX-NETDEV-03", Note, "EBUSY"},
		{"no-genl-taken-but-diag", func(f *Facts) { f.Trial.Taken = no }, "WX-NETDEV-03", Note, "sock_diag is asked"},
		{"no-remap", func(f *Facts) { f.Trial.Remap = no }, "WX-REMAP-01", Note, "another process"},
		{"veth-native-tried", func(f *Facts) { f.Interface.FeaturesKnown, f.Interface.Kind = false, "veth" }, "WX-NATIVE-01", OK, "tried"},
		{"veth-no-zero-copy", func(f *Facts) {
			f.Interface.FeaturesKnown, f.Interface.ZeroCopy, f.Interface.Kind = false, false, "veth"
		}, "WX-ZEROCOPY-01", Note, "copy mode"},
		{"not-ethernet", func(f *Facts) { f.Interface.Ethernet = false }, "WX-DRIVER-01", Fail, "Ethernet"},
		{"no-native", func(f *Facts) { f.Interface.Native = false }, "WX-NATIVE-01", Note, "generic"},
		{"down", func(f *Facts) { f.Interface.Up = false }, "WX-LINK-01", Fail, "ip link set eth1 up"},
		{"no-carrier", func(f *Facts) { f.Interface.Carrier = false }, "WX-LINK-01", Fail, "cable"},
		{"veth-peer-down", func(f *Facts) { f.Interface.Carrier, f.Interface.Kind, f.Interface.Peer = false, "veth", "wsk1" }, "WX-LINK-01", Fail, "(wsk1) up"},
		{"no-tx-queue", func(f *Facts) { f.Interface.TxQueues = 0 }, "WX-QUEUE-01", Fail, "ethtool -L"},
		{"more-rx-queues", func(f *Facts) { f.Interface.TxQueues = 2 }, "WX-QUEUE-01", Note, "sends nothing"},
		{"no-diag", func(f *Facts) { f.Trial.Diag = no }, "WX-DIAG-01", Note, "CONFIG_XDP_SOCKETS_DIAG"},
		{"diag-unknown", func(f *Facts) { f.Trial.Diag = unknown }, "WX-DIAG-01", Note, "not permitted"},
		{"queue-0-taken", func(f *Facts) { f.Interface.hold(nil, 0, 3) }, "WX-QUEUE-02", Warn, "queue 0 3: held by pid 7 (server)"},
		{"queue-3-taken", func(f *Facts) { f.Interface.hold(nil, 3) }, "WX-QUEUE-02", Note, "EBUSY"},
		{"taken-by-unknown", func(f *Facts) {
			f.Interface.hold(errors.New("no diagnostics"), 1)
			f.Interface.TakenQueues = []int{1, 2}
		}, "WX-QUEUE-02", Note, "queue 1: held by pid 7 (server); queue 2: who holds it is not known: no diagnostics"},
		{"taken-unknown", func(f *Facts) {
			f.Interface.hold(errors.New("no diagnostics"))
			f.Interface.held.Candidates = []nic.Process{{PID: 9, Name: "other"}}
			f.Interface.TakenKnown = false
		}, "WX-QUEUE-02", Note, "no diagnostics; with AF_XDP sockets, in this network namespace or another: pid 9 (other)"},
		{"jumbo", func(f *Facts) { f.Interface.MTU, f.Trial.MultiBuffer = 9000, no }, "WX-MTU-01", Warn, "ip link set eth1 mtu"},
		{"jumbo-in-several", func(f *Facts) { f.Interface.MTU, f.Trial.MultiBuffer = 9000, yes }, "WX-MTU-01", OK, "several chunks"},
		{"program", func(f *Facts) { f.Interface.Program = &Program{7, "xdp_drop", "native"} }, "WX-XDP-01", Note, "program 7 (xdp_drop)"},
		{"program-nameless", func(f *Facts) { f.Interface.Program = &Program{7, "", "generic"} }, "WX-XDP-01", Note, "needs privilege"},
		{"dispatcher", func(f *Facts) { f.Interface.Program = &Program{7, "xdp_dispatcher", "native"} }, "WX-XDP-01", Note, "xdp-loader"},
		{"no-zero-copy", func(f *Facts) { f.Interface.ZeroCopy = false }, "WX-ZEROCOPY-01", Note, "copy mode"},
		{"zero-copy-refused", func(f *Facts) { f.Interface.Tried = &TriedFacts{ZeroCopy: no, MultiBuffer: yes} }, "WX-ZEROCOPY-01", Warn, "refused"},
		{"zero-copy-granted", func(f *Facts) { f.Interface.Tried = &TriedFacts{ZeroCopy: yes, MultiBuffer: yes} }, "WX-ZEROCOPY-01", OK, "granted"},
		{"zero-copy-granted-with-program", func(f *Facts) {
			f.Interface.Tried = &TriedFacts{WithProgram: true, LinkDown: 470, ZeroCopy: yes, MultiBuffer: yes}
		}, "WX-ZEROCOPY-01", OK, "granted"},
		{"hash-of-addresses", func(f *Facts) { f.Interface.RxQueues, f.Interface.FlowHash = 4, "sd" }, "WX-HASH-01", Note, "without ports"},
		{"hash-of-ports", func(f *Facts) {
			f.Interface.RxQueues, f.Interface.FlowHash, f.Interface.FlowHashPorts = 4, "sdfn", true
		}, "WX-HASH-01", OK, "by port too"},
		{"no-sg", func(f *Facts) { f.Interface.Tried = &TriedFacts{ZeroCopy: yes, MultiBuffer: no} }, "WX-SG-01", Note, "not granted"},
		{"obstacle", func(f *Facts) { f.Interface.Obstacle = "tap0 (gretap): no" }, "WX-CARRY-01", Warn, "no AF_XDP"},
		{"bond", func(f *Facts) { f.Interface.Master, f.Interface.MasterKind = "bond0", "bond" }, "WX-MASTER-01", Note, "active port"},
		{"bridge", func(f *Facts) { f.Interface.Master, f.Interface.MasterKind = "br0", "bridge" }, "WX-MASTER-01", Note, "name the bridge"},
		{"vlan", func(f *Facts) { f.Interface.Kind, f.Interface.Lower = "vlan", "eth0" }, "WX-STACK-01", Note, "vlan on eth0"},
		{"ssh", func(f *Facts) { f.Interface.SSH = true }, "WX-SSH-01", Warn, "wsk-xdp lab"},
		{"default-route", func(f *Facts) { f.Interface.DefaultRoute = true }, "WX-SSH-01", Note, "default route"},
		{"tracked", func(f *Facts) { f.Rules.Connections = true }, "WX-CT-01", OK, "first datagram"},
		{"stateful", func(f *Facts) { f.chain(netfilter.Input, netfilter.Chain{Drops: true, Conntrack: true}) }, "WX-NFT-IN-01", Note, "insert rule inet filter x udp dport PORT accept"},
		{"drops", func(f *Facts) { f.chain(netfilter.Prerouting, netfilter.Chain{Drops: true}) }, "WX-NFT-IN-01", Warn, "nft list chain inet filter x"},
		{"ingress-elsewhere", func(f *Facts) { f.chain(netfilter.Ingress, netfilter.Chain{Drops: true, Device: []string{"eth7"}}) }, "WX-NFT-IN-01", OK, ""},
		{"output", func(f *Facts) { f.chain(netfilter.Output, netfilter.Chain{Rules: 1}) }, "WX-NFT-OUT-01", Warn, "asks none of them"},
		{"output-tracked", func(f *Facts) {
			f.Rules.Connections = true
			f.chain(netfilter.Output, netfilter.Chain{Rules: 1})
		}, "WX-NFT-OUT-01", Warn, "first datagram"},
		{"egress", func(f *Facts) { f.chain(netfilter.Egress, netfilter.Chain{Rules: 1, Device: []string{"eth1"}}) }, "WX-NFT-OUT-01", Warn, "KernelStack"},
		{"nat", func(f *Facts) { f.chain(netfilter.Postrouting, netfilter.Chain{NAT: true}) }, "WX-NFT-NAT-01", Note, "left to the kernel"},
		{"nat-unseen", func(f *Facts) {
			f.Privilege.NetAdmin = false
			f.chain(netfilter.Postrouting, netfilter.Chain{NAT: true})
		}, "WX-NFT-NAT-01", Warn, "CAP_NET_ADMIN"},
		{"nft-unknown", func(f *Facts) { f.Rules.Nftables = unknown }, "WX-NFT-01", Note, "nft list ruleset"},
		{"iptables", func(f *Facts) { f.Rules.IptablesTables = []string{"filter"} }, "WX-IPT-01", Note, "iptables-legacy-save"},
		{"iptables-unknown", func(f *Facts) { f.Rules.Iptables = unknown }, "WX-IPT-01", Note, "not known"},
		{"ipsec", func(f *Facts) { f.Rules.IPsecPolicies, f.Path.IPsec = true, true }, "WX-IPSEC-01", Warn, "ip xfrm policy"},
		{"ipsec-elsewhere", func(f *Facts) { f.Rules.IPsecPolicies = true }, "WX-IPSEC-01", OK, "192.0.2.7"},
		{"ipsec-somewhere", func(f *Facts) { f.Rules.IPsecPolicies, f.Path = true, nil }, "WX-IPSEC-01", Note, "name a destination"},
		{"rp-filter", func(f *Facts) { f.Rules.ReversePath = "strict" }, "WX-RPF-01", OK, "asks the kernel"},
		{"vrf", func(f *Facts) { f.Rules.VRF = "red" }, "WX-VRF-01", Note, "ip vrf exec red"},
		{"vrf-open", func(f *Facts) { f.Rules.VRF, f.Rules.FromVRFs = "red", true }, "WX-VRF-01", Note, "sockets outside get"},
		{"shaped", func(f *Facts) { f.Rules.Qdisc = "tbf" }, "WX-TC-01", Warn, "queueing discipline tbf"},
		{"filtered", func(f *Facts) { f.Rules.EgressFilters = 2 }, "WX-TC-01", Warn, "2 filters of tc"},
		{"carried", func(f *Facts) {}, "WX-CARRY-02", OK, "AF_XDP on eth1 carries what goes to 192.0.2.7"},
		{"carried-tracked", func(f *Facts) { f.Rules.Connections = true }, "WX-CARRY-02", OK, "first datagram of each flow"},
		{"no-route", func(f *Facts) { f.Path.Error = "network is unreachable" }, "WX-ROUTE-01", Fail, "ip route get 192.0.2.7"},
		{"local", func(f *Facts) { f.Path.SlowReason = "an address of this host" }, "WX-ROUTE-01", Warn, "no AF_XDP"},
		{"no-source", func(f *Facts) { f.Path.Source = "" }, "WX-SOURCE-01", Fail, "ip addr add"},
		{"no-neighbour", func(f *Facts) { f.Path.MAC = "" }, "WX-NEIGH-01", Note, "STATUS_HOST_UNREACHABLE"},
		{"nobody-carries", func(f *Facts) { f.Path.LinkDown = true }, "WX-CARRY-02", Fail, "STATUS_NETWORK_UNREACHABLE"},
		{"queues-taken", func(f *Facts) { f.Path.Taken = true }, "WX-CARRY-02", Warn, "hold all queues of eth1"},
		{"kernel-for-want-of-privilege", func(f *Facts) { f.Privilege.NetRaw = false }, "WX-CARRY-02", Warn, "see WX-CAP-TX-01"},
		{"silent", func(f *Facts) { f.Path.MAC, f.Path.Silent = "", true }, "WX-NEIGH-01", Warn, "did not answer"},
		{"path-mtu", func(f *Facts) { f.Path.MTU = 1400 }, "WX-PMTU-01", Note, "up to 1372 bytes"},
		{"rules-by-port", func(f *Facts) { f.Path.ByRules = []string{byPort} }, "WX-RULE-01", Note, "doctor 192.0.2.7:PORT"},
		{"rules-by-port-named", func(f *Facts) { f.Path.ByRules, f.Path.Port = []string{byPort}, 9 }, "WX-RULE-01", OK, "destination port"},
		{"rules-by-source-port", func(f *Facts) { f.Path.ByRules = []string{bySourcePort} }, "WX-RULE-01", Note, "no source port"},
		{"rules-by-mark", func(f *Facts) { f.Path.ByRules = []string{"mark"} }, "WX-RULE-01", OK, "no mark"},
		{"next-hops", func(f *Facts) { f.Path.NextHops = 3 }, "WX-ROUTE-01", OK, "one of 3"},
		{"answers-refused", func(f *Facts) { f.Path.AnswersRefused = true }, "WX-ANSWER-01", Warn, "net.ipv4.conf.eth1.rp_filter=2"},
		{"answers-dropped", func(f *Facts) { f.Rules.Answers = &netfilter.Judgement{Drops: netfilter.Yes, DroppedBy: "ip a b"} }, "WX-ANSWER-01", Warn, "insert rule ip a b"},
		{"answers-may-be-dropped", func(f *Facts) {
			f.Rules.Answers = &netfilter.Judgement{Drops: netfilter.Maybe, DroppedBy: "ip a b", DependsOn: []string{"a port"}}
		}, "WX-ANSWER-01", Note, "depends on a port"},
		{"answers-get-in", func(f *Facts) { f.Rules.Answers = &netfilter.Judgement{} }, "WX-ANSWER-01", OK, "get in"},
		{"judged-drops", func(f *Facts) { f.judgedTo(netfilter.Judgement{Drops: netfilter.Yes, DroppedBy: "ip a b"}) }, "WX-NFT-OUT-01", Warn, "ip a b drop what goes to 192.0.2.7"},
		{"judged-may-drop", func(f *Facts) { f.judgedTo(netfilter.Judgement{Drops: netfilter.Maybe, DependsOn: []string{"a port"}}) }, "WX-NFT-OUT-01", Warn, "depends on a port"},
		{"judged-changes", func(f *Facts) { f.judgedTo(netfilter.Judgement{Changes: netfilter.Yes, ChangedBy: "ip a b"}) }, "WX-NFT-OUT-01", Warn, "change, mark or hand over"},
		{"judged-passes", func(f *Facts) { f.judgedTo(netfilter.Judgement{}) }, "WX-NFT-OUT-01", OK, "drops or changes what goes to 192.0.2.7"},
		{"judged-not-translated", func(f *Facts) { f.judgedTo(netfilter.Judgement{}) }, "WX-NFT-NAT-01", OK, "not translated"},
		{"judged-not-translated-legacy", func(f *Facts) {
			f.judgedTo(netfilter.Judgement{})
			f.Rules.IptablesTables = []string{"nat"}
		}, "WX-NFT-NAT-01", Note, "old iptables (nat), which are not read, may"},
		{"judged-translated", func(f *Facts) { f.judgedTo(netfilter.Judgement{Translates: netfilter.Yes, TranslatedBy: "ip a n"}) }, "WX-NFT-NAT-01", Note, "translated by ip a n"},
		{"judged-may-be-translated", func(f *Facts) { f.judgedTo(netfilter.Judgement{Translates: netfilter.Maybe, TranslatedBy: "ip a n"}) }, "WX-NFT-NAT-01", Note, "maybe those"},
		{"judged-may-change", func(f *Facts) {
			f.judgedTo(netfilter.Judgement{Changes: netfilter.Maybe, ChangedBy: "ip a b", DependsOn: []string{"a mark"}})
		}, "WX-NFT-OUT-01", Warn, "ip a b may change, mark or hand over what goes to 192.0.2.7, which depends on a mark"},
		{"carried-legacy", func(f *Facts) { f.Rules.Connections, f.Rules.IptablesTables = true, []string{"nat"} }, "WX-CARRY-02", Note, "old iptables (nat), which are not read, drop it or translate it"},
		{"kernel-legacy", func(f *Facts) { f.Privilege.NetRaw, f.Rules.IptablesTables = false, []string{"filter"} }, "WX-CARRY-02", Warn, "old iptables (filter), which are not read, drop it"},
		{"kernel-legacy-unknown", func(f *Facts) { f.Privilege.NetRaw, f.Rules.Iptables = false, unknown }, "WX-CARRY-02", Warn, "not known whether there are any, drop it"},
		{"carried-past-legacy", func(f *Facts) { f.Rules.IptablesTables = []string{"filter"} }, "WX-CARRY-02", OK, ""},
		{"carried-filtered", func(f *Facts) { f.Rules.Connections, f.Rules.EgressFilters = true, 1 }, "WX-CARRY-02", Note, "unless 1 filter of tc at egress, not followed, drop it"},
		{"carried-tcx", func(f *Facts) { f.Rules.Connections, f.Rules.LinkPrograms = true, []string{"cil"} }, "WX-CARRY-02", Note, "programs at egress (cil), which are not followed, drop it"},
		{"carried-groups", func(f *Facts) { f.Privilege.NetRaw, f.Rules.GroupPrograms = false, []string{"sd_fw_egress"} }, "WX-CARRY-02", Warn, "(sd_fw_egress), which are not followed, drop it"},
		{"carried-egress", func(f *Facts) {
			f.Rules.Connections = true
			f.chain(netfilter.Egress, netfilter.Chain{Rules: 1})
		}, "WX-CARRY-02", Note, "rules at egress (inet filter x), which are not followed, drop it"},
		{"egress-of-the-interface", func(f *Facts) {
			f.Path.Interface = "eth1.5"
			f.judgedTo(netfilter.Judgement{})
			f.chain(netfilter.Egress, netfilter.Chain{Rules: 1, Device: []string{"eth1.5"}})
		}, "WX-NFT-OUT-01", Warn, "does not meet the rules of"},
		{"ingress-of-the-interface", func(f *Facts) {
			f.Path.Interface = "eth1.5"
			f.chain(netfilter.Ingress, netfilter.Chain{Drops: true, Device: []string{"eth1.5"}})
		}, "WX-NFT-IN-01", Warn, "nft list chain inet filter x"},
		{"answers-groups", func(f *Facts) { f.Rules.Answers, f.Rules.groupIngress = &netfilter.Judgement{}, []string{"x"} }, "WX-ANSWER-01", Note, "programs of this control group"},
		{"carried-egress-below", func(f *Facts) {
			f.Rules.Connections, f.Path.stacked = true, true
			f.chain(netfilter.Egress, netfilter.Chain{Rules: 1, Device: []string{"eth9"}})
		}, "WX-CARRY-02", Note, "rules at egress (inet filter x), which are not followed, drop it"},
		{"frames-egress-below", func(f *Facts) {
			f.Path.stacked, f.Path.passesOthers = true, true
			f.chain(netfilter.Egress, netfilter.Chain{Rules: 1, Device: []string{"eth9"}})
		}, "WX-CARRY-02", Note, "egress of devices below (inet filter x), which are not followed, drop it"},
		{"carried-egress-elsewhere", func(f *Facts) {
			f.Rules.Connections = true
			f.chain(netfilter.Egress, netfilter.Chain{Rules: 1, Device: []string{"eth9"}})
		}, "WX-CARRY-02", OK, ""},
		{"answers-below", func(f *Facts) {
			f.Rules.Answers, f.Path.stacked = &netfilter.Judgement{}, true
			f.chain(netfilter.Ingress, netfilter.Chain{Rules: 1, Device: []string{"eth9"}})
		}, "WX-ANSWER-01", Note, "ingress of devices below (inet filter x)"},
		{"answers-legacy", func(f *Facts) { f.Rules.Answers, f.Rules.IptablesTables = &netfilter.Judgement{}, []string{"filter"} }, "WX-ANSWER-01", Note, "which are not read, drop them"},
		{"answers-legacy-unknown", func(f *Facts) { f.Rules.Answers, f.Rules.Iptables = &netfilter.Judgement{}, unknown }, "WX-ANSWER-01", Note, "whether there are any, drop them"},
		{"answers-filtered", func(f *Facts) { f.Rules.Answers, f.Rules.IngressFilters = &netfilter.Judgement{}, 2 }, "WX-ANSWER-01", Note, "2 filters of tc at ingress"},
		{"answers-tcx", func(f *Facts) { f.Rules.Answers, f.Rules.IngressPrograms = &netfilter.Judgement{}, []string{"cil"} }, "WX-ANSWER-01", Note, "programs at ingress (cil)"},
		{"answers-xdp", func(f *Facts) { f.Rules.Answers, f.Interface.Program = &netfilter.Judgement{}, &Program{ID: 7} }, "WX-ANSWER-01", Note, "the XDP program of eth1"},
		{"filters-not-followed", func(f *Facts) { f.Rules.EgressFilters = 2 }, "WX-TC-01", Warn, "is not followed"},
		{"filters-unknown", func(f *Facts) { f.Rules.Traffic, f.Privilege.NetAdmin = unknown, false }, "WX-TC-01", Note, "not known whether filters of tc or programs"},
		{"groups-not-followed", func(f *Facts) { f.Rules.Groups, f.Rules.GroupPrograms = yes, []string{"x"} }, "WX-CGROUP-01", Warn, "is not followed"},
		{"iptables-not-followed", func(f *Facts) { f.Rules.IptablesTables = []string{"filter"} }, "WX-IPT-01", Note, "not known whether they drop or translate"},
		{"groups", func(f *Facts) { f.Rules.Groups, f.Rules.GroupPrograms = yes, []string{"sd_fw_egress"} }, "WX-CGROUP-01", Warn, "sd_fw_egress"},
		{"no-groups", func(f *Facts) { f.Rules.Groups = yes }, "WX-CGROUP-01", OK, "no program"},
		{"groups-unknown", func(f *Facts) { f.Rules.Groups, f.Privilege.NetAdmin = unknown, false }, "WX-CGROUP-01", Note, "sudo"},
		{"tcx", func(f *Facts) { f.Rules.LinkPrograms = []string{"cil_to_netdev"} }, "WX-TC-01", Warn, "cil_to_netdev"},
		{"proof-short", func(f *Facts) { f.Proof.Received = 999 }, "WX-PROVE-01", Fail, "999 received"},
		{"proof-error", func(f *Facts) { f.Proof.Error = "no lab" }, "WX-PROVE-01", Fail, "no lab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := healthy()
			c.change(&f)
			x := find(t, Check(&f), c.id)
			if all := x.Title + "\n" + x.Detail + "\n" + x.Remedy; x.Level != c.level || !strings.Contains(all, c.text) {
				t.Errorf("%+v, want level %s and %q", x, c.level, c.text)
			}
			if (x.Level == Warn || x.Level == Fail) && x.Remedy == "" && c.id != "WX-ROUTE-01" {
				t.Errorf("%+v has no remedy", x)
			}
		})
	}
}

// chain has the host have a chain of nftables.
func (f *Facts) chain(hook netfilter.Hook, c netfilter.Chain) {
	c.Family, c.Table, c.Name, c.Hook = "inet", "filter", "x", hook
	f.Rules.netfilter.Chains = append(f.Rules.netfilter.Chains, c)
	f.Rules.Chains = f.Rules.netfilter.Chains
}

// hold lets process 7 hold queues; err is why there may be others.
func (f *InterfaceFacts) hold(err error, queues ...uint32) {
	f.held.Err = err
	for _, q := range queues {
		f.TakenQueues = append(f.TakenQueues, int(q))
		f.held.Bound = append(f.held.Bound, nic.Holder{Queue: q, Processes: []nic.Process{{PID: 7, Name: "server"}}})
	}
}

// Which queues are taken is known if the kernel's netdev-genl reports it, or if sock_diag has listed all sockets.
func TestSettleTaken(t *testing.T) {
	for _, c := range []struct {
		listed  bool // by netdev-genl
		taken   Answer
		holders Answer
		want    bool
	}{{true, yes, no, true}, {true, no, no, false}, {true, unknown, no, false}, {false, yes, no, false}, {false, no, yes, true}, {true, no, unknown, false}} {
		f := InterfaceFacts{TakenKnown: c.listed, HoldersKnown: c.holders}
		f.settleTaken(&TrialFacts{Taken: c.taken})
		if f.TakenKnown != c.want {
			t.Errorf("%+v: known %v", c, f.TakenKnown)
		}
	}
}

func TestConclude(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Facts)
		tx     string
		rx     string
		zc     string
		can    bool
	}{
		{"no-afxdp", func(f *Facts) { f.AFXDP = no }, "no:", "through XDP no", "", false},
		{"old-kernel", func(f *Facts) { f.Host.Kernel = "4.19" }, "no:", "", "", false},
		{"ordinary-user", func(f *Facts) { f.AFXDP, f.Privilege = unknown, PrivilegeFacts{InitialUserNS: true} },
			"not as this user here", "needs CAP_BPF", "needs CAP_BPF", true},
		{"ordinary-user-no-userns", func(f *Facts) { f.AFXDP, f.UserNS, f.Privilege = unknown, no, PrivilegeFacts{InitialUserNS: true} },
			"setcap cap_net_raw,cap_net_admin", "", "", true},
		{"memlock", func(f *Facts) { f.Privilege.Unlimited = false }, "locked memory", "", "", true},
		{"net-raw-only", func(f *Facts) { f.Privilege.NetAdmin, f.Privilege.Policies = false, "not permitted" }, "--assume-no-ipsec", "needs CAP_BPF", "", true},
		{"no-perfmon", func(f *Facts) { f.Privilege.PerfMon = false }, "yes", "CAP_PERFMON makes it faster", "not tried", true},
		{"no-program", func(f *Facts) { f.Trial.Program = no }, "yes", "WX-PROGRAM-01", "", true},
		{"program-refused", func(f *Facts) { f.Trial.Program = unknown }, "yes", "through XDP no", "", true},
		{"link-down", func(f *Facts) { f.Interface.Carrier = false }, "not now", "", "", true},
		{"generic-only", func(f *Facts) { f.Interface.Native = false }, "yes", "generic", "", true},
		{"veth", func(f *Facts) { f.Interface.ZeroCopy, f.Interface.Driver = false, "veth" }, "yes", "too", "no: veth", true},
		{"no-interface", func(f *Facts) { f.Interface, f.Others = nil, []OtherFacts{{Name: "eth9", ZeroCopy: true}} }, "yes", "", "eth9", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := healthy()
			c.change(&f)
			s := Conclude(&f)
			if !strings.Contains(s.TX, c.tx) || !strings.Contains(s.RX, c.rx) || !strings.Contains(s.ZeroCopy, c.zc) || s.TXPossible != c.can {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestWriteShowsWhatMatters(t *testing.T) {
	f := healthy()
	f.Interface.Up = false
	r := Report{Findings: Check(&f), Summary: Conclude(&f), Interface: "eth1", Dst: "192.0.2.7"}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"machine\n", "interface eth1\n", "path to 192.0.2.7\n", "FAIL  eth1 is administratively down  [WX-LINK-01]\n",
		"→ ip link set eth1 up\n", "\nTX: ", "\nRX: ", "\nZero-copy: "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}

// judgedTo gives the host rules that were judged so for the destination.
func (f *Facts) judgedTo(j netfilter.Judgement) {
	f.chain(netfilter.Output, netfilter.Chain{Rules: 1})
	f.Rules.Chains = append(f.Rules.Chains, netfilter.Chain{Family: "ip", Table: "a", Name: "n", NAT: true})
	f.Rules.Judged = &j
}
