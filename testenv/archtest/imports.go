// SPDX-License-Identifier: Apache-2.0

package archtest

import "slices"

// Imports has a row for every package; a package that is not here fails. Layers are read from the bottom of
// ARCHITECTURE.md's diagram: frame, xdp, bpf and wsk/route know nothing of each other or of wsk, and wsk/datapath is
// where they meet.
var Imports = slices.Concat([]ImportRow{
	{
		Package: "bpf",
		May:     []string{"bpf/memlock", ebpf, netlink, sys},
		Tests:   []string{"frame", "xdp"},
		Why:     "the program and its maps; sockets, flows and wsk are what others make of it",
	},
	{Package: "bpf/memlock", May: []string{sys}},
}, toolImports, []ImportRow{
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
	{Package: "testenv/cmd/frames", May: []string{"testenv"}},
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
		Tests:   []string{"wsk/service/servicetest", "wsk/wsktest"},
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
		May:     []string{"wsk", "golang.org/x/net"},
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
	{
		Package: "wsk/wsknet",
		May:     []string{"wsk", "wsk/client", "wsk/datapath", "wsk/netconn", sys},
		Tests:   []string{"wsk/netconn/pctest", "wsk/service/servicetest", nft, "github.com/vishvananda/netlink", "golang.org/x/net", sys},
		Why:     "opens what a program without a provider would have to: it is above both transports",
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
})
