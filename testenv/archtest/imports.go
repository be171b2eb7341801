// SPDX-License-Identifier: Apache-2.0

package archtest

import "slices"

// Imports has a row for every package; a package that is not here fails. Layers are read from the bottom of
// ARCHITECTURE.md's diagram: frame, xdp, bpf and wsk/route know nothing of each other or of wsk, and wsk/datapath is
// where they meet.
var Imports = []ImportRow{
	{
		Package: "bpf",
		May:     []string{"bpf/memlock", ebpf, netlink, sys},
		Tests:   []string{"frame", "xdp"},
		Why:     "the program and its maps; sockets, flows and wsk are what others make of it",
	},
	{Package: "bpf/memlock", May: []string{sys}},

	{
		Package: "cmd/wsk-xdp",
		May: slices.Concat(cmdBase, bench, tool("admin", "bench", "bench/footprint", "bench/latency", "bench/receive", "blast",
			"client", "completion", "daemon", "daemondemo", "demo", "doctor", "exit", "flows", "frames", "icmp", "manual", "payload", "peer", "recv", "report", "send", "session",
			"stamp"),
			[]string{"frame", "internal/ipaddr", "wsk/client", "wsk/datapath", "wsk/ipc", "xdp", "xdp/nic", "github.com/spf13/cobra",
				"github.com/spf13/pflag"}),
		Tests: []string{nft},
		Why:   "flags and their errors; what a verb does is in cmd/wsk-xdp/internal",
	},
	{Package: "cmd/wsk-xdp/internal/account", May: tool("stamp"), Why: "arithmetic: a bit for each number"},
	{Package: "cmd/wsk-xdp/internal/admin"},
	{
		Package: "cmd/wsk-xdp/internal/bench",
		May: slices.Concat(cmdBase, bench, tool("admin", "blast", "daemon", "exit", "session"),
			[]string{"frame", "wsk/route", otherXDP, netlink, nsfd, "golang.org/x/net", sys}),
		Tests: tool("bench/benchtest"),
		Why:   "asavie/xdp and x/net are rivals that are measured, and one engine has a daemon",
	},
	{
		Package: "cmd/wsk-xdp/internal/bench/benchtest",
		May:     slices.Concat(tool("bench/proc"), []string{"testenv", gocmp}),
		Why:     "is for the tests of the measurements",
	},
	{Package: "cmd/wsk-xdp/internal/bench/check", May: tool("blast"), Why: "names and bounds"},
	{
		Package: "cmd/wsk-xdp/internal/bench/footprint",
		May:     slices.Concat(cmdBase, bench, tool("bench/provider", "client"), []string{"wsk/datapath", sys}),
		Tests:   tool("bench/benchtest"),
	},
	{
		Package: "cmd/wsk-xdp/internal/bench/latency",
		May: slices.Concat(cmdBase, bench, tool("bench/provider", "blast"),
			[]string{"wsk/datapath", "wsk/netconn", histograms, sys}),
		Tests: tool("bench/benchtest"),
	},
	{Package: "cmd/wsk-xdp/internal/bench/proc", May: []string{sys}},
	{Package: "cmd/wsk-xdp/internal/bench/provider", May: append(tool("client"), "wsk", "wsk/datapath")},
	{
		Package: "cmd/wsk-xdp/internal/bench/receive",
		May: slices.Concat(cmdBase, bench, tool("bench", "bench/provider", "blast"),
			[]string{"frame", "wsk/datapath", "wsk/netconn", ebpf, sys}),
		Tests: tool("bench/benchtest"),
	},
	{Package: "cmd/wsk-xdp/internal/bench/stats", Why: "arithmetic"},
	{
		Package: "cmd/wsk-xdp/internal/blast",
		May:     append(tool("host", "icmp", "output", "peer", "session", "stamp", "units"), "wsk", "wsk/datapath", histograms),
		Tests:   append(tool("client"), "frame", "wsk/wsktest"),
	},
	{Package: "cmd/wsk-xdp/internal/client", May: []string{"wsk"}, Tests: []string{"wsk/wsktest"}},
	{
		Package: "cmd/wsk-xdp/internal/completion",
		May:     []string{"github.com/spf13/cobra", "github.com/spf13/pflag"},
	},
	{
		Package: "cmd/wsk-xdp/internal/daemon",
		May: slices.Concat(tool("admin", "netns"), []string{"wsk/datapath", "wsk/ipc", "wsk/policy", "wsk/service", "xdp",
			"github.com/coreos/go-systemd/v22", "github.com/pelletier/go-toml/v2", "github.com/prometheus/client_golang", sys}),
		Tests: []string{"testenv/unit", "wsk", "wsk/client", "wsk/netconn", "wsk/wsktest"},
		Why:   "the one place where a service gets a datapath",
	},
	{
		Package: "cmd/wsk-xdp/internal/daemondemo",
		May:     slices.Concat(tool("admin"), []string{"testenv", "wsk", "wsk/client", "wsk/netconn", sys}),
		Why:     "its programs know nothing but the client; the daemon is this binary again",
	},
	{
		Package: "cmd/wsk-xdp/internal/demo",
		May:     slices.Concat(cmdBase, tool("blast", "exit", "send", "session"), []string{"xdp"}),
	},
	{
		Package: "cmd/wsk-xdp/internal/doctor",
		May: slices.Concat(tool("blast", "host", "netfilter", "netns", "session", "units"),
			[]string{"bpf", "internal/netns", "testenv", "wsk/route/conntrack", "xdp", "xdp/nic", ebpf, ethtool, netlink, sys}),
		Tests: []string{nft},
		Why:   "tries what the kernel and a device can do",
	},
	{Package: "cmd/wsk-xdp/internal/exit"},
	{Package: "cmd/wsk-xdp/internal/flows", May: tool("units"), Why: "arithmetic: it keeps no list of flows"},
	{
		Package: "cmd/wsk-xdp/internal/frames",
		May:     append(tool("blast", "flows", "stamp", "units"), "frame", "wsk", "xdp"), Tests: []string{"xdp/xdptest"},
	},
	{Package: "cmd/wsk-xdp/internal/host", May: slices.Concat(tool("units"), []string{sys})},
	{Package: "cmd/wsk-xdp/internal/icmp", May: append(tool("client", "units"), "wsk")},
	{
		Package: "cmd/wsk-xdp/internal/manual",
		May:     append(tool("exit"), "github.com/spf13/cobra", "github.com/spf13/pflag"),
		Why:     "cobra's own writer of manual pages takes two modules more",
	},
	{Package: "cmd/wsk-xdp/internal/netfilter", May: []string{netlink, sys}, Tests: []string{nft}},
	{Package: "cmd/wsk-xdp/internal/netns", May: []string{"internal/netns", sys}},
	{Package: "cmd/wsk-xdp/internal/output", May: []string{"golang.org/x/term"}},
	{Package: "cmd/wsk-xdp/internal/payload"},
	{Package: "cmd/wsk-xdp/internal/peer", May: tool("netns", "stamp"), Why: "messages and their bounds"},
	{
		Package: "cmd/wsk-xdp/internal/recv",
		May: slices.Concat(tool("account", "client", "host", "netns", "output", "peer", "stamp", "units"),
			[]string{"wsk", "wsk/datapath", histograms, sys}),
		Tests: append(tool("blast"), "wsk/wsktest"),
	},
	{
		Package: "cmd/wsk-xdp/internal/report",
		May:     tool("bench", "bench/receive", "blast", "host", "output", "peer", "recv", "units"),
		Why:     "reads the documents that these packages make",
	},
	{Package: "cmd/wsk-xdp/internal/schema", Why: "is for tests and for whoever makes the files of docs/schema: types and text"},
	{Package: "cmd/wsk-xdp/internal/send", May: []string{"wsk"}},
	{
		Package: "cmd/wsk-xdp/internal/session",
		May: slices.Concat(tool("client", "exit", "host", "icmp", "netns", "units"),
			[]string{"internal/netns", "wsk", "wsk/client", "wsk/datapath", "wsk/route", "xdp", "xdp/nic", sys}),
		Tests: tool("send"),
	},
	{Package: "cmd/wsk-xdp/internal/stamp", May: []string{sys}},
	{Package: "cmd/wsk-xdp/internal/units"},

	{
		Package: "frame",
		Tests:   []string{packets},
		Why:     "bytes: standard library only, on any system",
	},

	{Package: "internal/inflight", Why: "below everything that is closed while calls are in it"},
	{Package: "internal/ipaddr", Why: "standard library only, on any system"},
	{Package: "internal/lockrank", Why: "below everything that locks"},
	{Package: "internal/netns", May: []string{sys}},

	{Package: "scripts/testsum", May: []string{netlink}},
	{
		Package: "scripts/vm",
		May:     []string{"testenv/vm", "testenv/vm/job", "testenv/vm/row", sys},
		Why:     "runs on the host, where nothing of the datapath does",
	},

	{
		Package: "testenv",
		May:     []string{"bpf/memlock", otherXDP, ebpf, packets, ethtool, netlink, nsfd, sys},
		Why:     "judges the datapath, so it has a decoder, sums and an AF_XDP peer that are not ours",
	},
	{
		Package: "testenv/account",
		May:     []string{"bpf/memlock", "testenv", "wsk", ebpf, ethtool, netlink, sys},
		Why:     "judges what the datapath has done by what the kernel and the IRPs say",
	},
	{Package: "testenv/archtest"},
	{Package: "testenv/archtest/circles", May: []string{"testenv/archtest"}},
	{Package: "testenv/cmd/faults", May: []string{"testenv", "testenv/faults", sys}},
	{Package: "testenv/cmd/wire", May: []string{"bpf", "testenv", "testenv/wire", sys}},
	{
		Package: "testenv/faults",
		May:     []string{"bpf", "testenv", "testenv/account", "wsk", "wsk/datapath", "xdp", ebpf, netlink, sys},
		Why:     "breaks what the datapath stands on, as its clients see it; xdp holds a queue, bpf names a program",
	},
	{Package: "testenv/firewall", May: []string{"testenv", nft, sys}, Why: "rules of a host, made as their own tools make them"},
	{Package: "testenv/unit", May: []string{sys}, Why: "what a systemd unit grants, for a program of a test"},
	{Package: "testenv/vm", May: []string{"testenv/vm/cable", "testenv/vm/job", netlink, sys}},
	{Package: "testenv/vm/agent", May: []string{"testenv/vm/cable", "testenv/vm/job", netlink, sys}},
	{Package: "testenv/vm/cable"},
	{Package: "testenv/vm/job"},
	{Package: "testenv/vm/row"},
	{
		Package: "testenv/wire",
		May:     []string{"bpf", "testenv", "wsk", "wsk/datapath", "wsk/netconn", sys},
		Why:     "compares what a client is given; its frames are its own, not those of package frame",
	},

	{
		Package: "wsk",
		May:     []string{"internal/inflight", "internal/ipaddr"},
		Tests:   []string{"wsk/wsktest"},
		Why:     "meaning without I/O, on any system: it declares the Transport that it sends through and knows none",
	},
	{
		Package: "wsk/client",
		May:     []string{"internal/ipaddr", "wsk", "wsk/ipc"},
		Tests:   []string{"wsk/netconn", "wsk/netconn/pctest", "wsk/wsktest"},
		Why:     "sends through a daemon: it knows no datapath",
	},
	{
		Package: "wsk/datapath",
		May: slices.Concat(lower, room("companion", "device", "offload", "ops", "receive", "send"),
			[]string{netlink, sys}),
		Tests: []string{"bpf/memlock", "xdp/xdptest", ebpf, ethtool, nft},
		Why:   "ties the six rooms together",
	},
	{
		Package: "wsk/datapath/internal/companion",
		May:     slices.Concat(lower, room("ops", "receive"), []string{netlink, sys}),
	},
	{
		Package: "wsk/datapath/internal/device",
		May:     slices.Concat(lower, room("offload", "receive", "send"), []string{netlink, sys}),
		Tests:   slices.Concat(room("ops"), []string{"xdp/xdptest"}),
	},
	{Package: "wsk/datapath/internal/locks", May: []string{"internal/lockrank"}, Why: "a table"},
	{
		Package: "wsk/datapath/internal/offload",
		May:     slices.Concat(lower, []string{sys}),
		Why:     "no other room: the sending of a probe comes as a function",
	},
	{
		Package: "wsk/datapath/internal/ops",
		May:     []string{"internal/inflight", "internal/lockrank", "wsk", "wsk/datapath/internal/locks"},
		Why:     "no other room, no goroutine and no system call",
	},
	{
		Package: "wsk/datapath/internal/receive",
		May:     slices.Concat(lower, []string{sys}),
		Tests:   []string{"xdp/xdptest", ebpf},
		Why:     "no other room: send and receive know nothing of each other",
	},
	{
		Package: "wsk/datapath/internal/send",
		May:     slices.Concat(lower, room("offload", "ops"), []string{sys}),
		Tests:   []string{"xdp/xdptest", ebpf, ethtool},
		Why:     "send and receive know nothing of each other",
	},
	{
		Package: "wsk/ipc",
		May:     []string{"internal/ipaddr"},
		Tests:   []string{"wsk"},
		Why:     "bytes of a protocol, for clients on any system: it does no I/O and is not built on wsk",
	},
	{
		Package: "wsk/netconn",
		May:     []string{"wsk"},
		Tests: []string{"bpf", "testenv/account", "wsk/client", "wsk/datapath", "wsk/netconn/pctest", "wsk/service/servicetest",
			"wsk/wsktest", "github.com/miekg/dns", netlink, sys},
		Why: "built on the public API alone, over any Transport",
	},
	{Package: "wsk/netconn/pctest", Why: "judges any net.PacketConn, so it must know none of ours"},
	{
		Package: "wsk/policy",
		May:     []string{"internal/ipaddr", "wsk/ipc", "github.com/gaissmai/bart", "github.com/pelletier/go-toml/v2"},
		Why:     "answers, on any system, and asks nobody; of wsk/ipc it has the reasons of refusals",
	},
	{
		Package: "wsk/replay",
		Tests:   []string{"wsk", "wsk/datapath", "wsk/service/servicetest", "xdp"},
		Why:     "is tests alone",
	},
	{
		Package: "wsk/route",
		May: []string{"internal/ipaddr", "internal/netns", "wsk/route/internal/mirror", "wsk/route/internal/rtattr",
			"wsk/route/ipsec", netlink, nsfd, sys},
		Tests: []string{"frame", "xdp"},
		Why:   "what the kernel says of routes; nothing of frames and rings",
	},
	{Package: "wsk/route/conntrack", May: []string{netlink, nsfd, sys}, Tests: []string{nft}, Why: "what the kernel says of connections"},
	{
		Package: "wsk/route/internal/mirror",
		May:     []string{"wsk/route/internal/rtattr", "github.com/gaissmai/bart", sys},
		Why:     "what the kernel's tables say, without asking about a destination",
	},
	{Package: "wsk/route/internal/rtattr", Why: "bytes"},
	{Package: "wsk/route/ipsec", May: []string{netlink, nsfd, sys}, Why: "what the kernel says of IPsec policies"},
	{
		Package: "wsk/service",
		May: []string{"internal/ipaddr", "wsk", "wsk/ipc", "wsk/policy", "wsk/service/internal/inbox",
			"wsk/service/internal/peer", "wsk/service/internal/quota", "wsk/service/internal/turns", sys},
		Tests: []string{"testenv/unit", "wsk/datapath", "wsk/wsktest"},
		Why:   "serves whatever Transport it is given, so it knows no datapath",
	},
	{Package: "wsk/service/internal/inbox", May: []string{"wsk", "wsk/ipc", "wsk/service/internal/quota"}},
	{Package: "wsk/service/internal/peer", May: []string{"wsk/policy", sys}},
	{Package: "wsk/service/internal/quota", May: []string{"wsk/policy"}},
	{Package: "wsk/service/internal/turns", Why: "an order of turns, whatever they are for"},
	{
		Package: "wsk/service/servicetest",
		May:     []string{"wsk", "wsk/client", "wsk/policy", "wsk/service"},
		Why:     "is for the tests of what runs over any Transport",
	},
	{Package: "wsk/wsktest", May: []string{"internal/ipaddr", "wsk"}, Why: "a Transport without I/O"},

	{
		Package: "xdp",
		May:     []string{"internal/inflight", "xdp/internal/hook", "xdp/nic", sys},
		Tests:   []string{"xdp/xdptest", ethtool},
		Why:     "frames are byte slices; what is in them is for others",
	},
	{Package: "xdp/internal/hook", Why: "what xdp lets xdptest do, and nobody else"},
	{
		Package: "xdp/nic",
		May:     []string{ethtool, netlink, sys},
		Tests:   []string{"xdp"},
		Why:     "what can be asked of an interface, without a socket on it: it is below xdp",
	},
	{Package: "xdp/xdptest", May: []string{"xdp", "xdp/internal/hook", "xdp/nic", sys}, Why: "a kernel made up"},
}
