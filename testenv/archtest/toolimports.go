// SPDX-License-Identifier: Apache-2.0

package archtest

import "slices"

// toolImports are the rows of Imports for the command line tool and the packages that are its own.
var toolImports = []ImportRow{
	{
		Package: "cmd/wsk-xdp",
		May: slices.Concat(cmdBase, bench, tool("admin", "bench", "bench/footprint", "bench/latency", "bench/receive", "bench/scale", "blast",
			"capture", "client", "completion", "daemon", "daemondemo", "demo", "doctor", "echo", "exit", "flows", "frames", "icmp", "liveframes", "manual", "packetring", "payload", "peer", "ping", "preview", "recv",
			"replay", "report", "send", "session", "sockets",
			"stamp"),
			[]string{"frame", "internal/ipaddr", "wsk/client", "wsk/datapath", "wsk/ipc", "xdp", "xdp/nic", "github.com/spf13/cobra",
				"github.com/spf13/pflag"}),
		Tests: []string{"bpf", nft, packets},
		Why:   "flags and their errors; what a verb does is in cmd/wsk-xdp/internal",
	},
	{Package: "cmd/wsk-xdp/internal/account", May: tool("stamp"), Why: "arithmetic: a bit for each number"},
	{Package: "cmd/wsk-xdp/internal/admin"},
	{
		Package: "cmd/wsk-xdp/internal/bench",
		May: slices.Concat(cmdBase, bench, tool("admin", "bench/irps", "blast", "daemon", "exit", "flows", "frames", "liveframes", "packetring", "session", "stamp"),
			[]string{"frame", "wsk/route", "xdp", otherXDP, netlink, nsfd, "golang.org/x/net", sys}),
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
	{Package: "cmd/wsk-xdp/internal/bench/irps", May: []string{"wsk"}},
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
	{
		Package: "cmd/wsk-xdp/internal/bench/scale",
		May:     slices.Concat(cmdBase, bench, tool("bench/irps", "client"), []string{"wsk/datapath", sys}),
		Tests:   tool("bench/benchtest"),
	},
	{Package: "cmd/wsk-xdp/internal/bench/stats", Why: "arithmetic"},
	{
		Package: "cmd/wsk-xdp/internal/blast",
		May:     append(tool("host", "icmp", "output", "peer", "session", "stamp", "units"), "wsk", "wsk/datapath", histograms, sys),
		Tests:   append(tool("client"), "frame", "wsk/wsktest"),
	},
	{
		Package: "cmd/wsk-xdp/internal/capture",
		Tests:   []string{packets},
		Why:     "reads what anybody may have written: standard library only; pcapgo judges it",
	},
	{Package: "cmd/wsk-xdp/internal/client", May: []string{"wsk"}, Tests: []string{"wsk/wsktest"}},
	{
		Package: "cmd/wsk-xdp/internal/completion",
		May:     []string{"github.com/spf13/cobra", "github.com/spf13/pflag"},
	},
	{
		Package: "cmd/wsk-xdp/internal/daemon",
		May: slices.Concat(tool("admin", "netns"), []string{"wsk/datapath", "wsk/ipc", "wsk/policy", "wsk/service", "xdp",
			"github.com/coreos/go-systemd/v22", "github.com/pelletier/go-toml/v2", "github.com/prometheus/client_golang", "golang.org/x/net", sys}),
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
	{
		Package: "cmd/wsk-xdp/internal/echo",
		May:     append(tool("client", "host", "netns", "output", "recv", "stamp", "units"), "wsk", "wsk/datapath", sys),
		Tests:   tool("blast", "ping", "session"),
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
		Package: "cmd/wsk-xdp/internal/liveframes",
		May:     append(tool("blast", "flows", "frames", "stamp"), "bpf/memlock", "frame", "wsk", "xdp/nic", ebpf, sys),
		Tests:   tool("units"),
		Why:     "a program of its own in the kernel; what is in the frames is the plan of package frames",
	},
	{
		Package: "cmd/wsk-xdp/internal/manual",
		May:     append(tool("exit"), "github.com/spf13/cobra", "github.com/spf13/pflag"),
		Why:     "cobra's own writer of manual pages takes two modules more",
	},
	{Package: "cmd/wsk-xdp/internal/netfilter", May: []string{netlink, sys}, Tests: []string{nft}},
	{Package: "cmd/wsk-xdp/internal/netns", May: []string{"internal/netns", sys}},
	{Package: "cmd/wsk-xdp/internal/output", May: []string{"golang.org/x/term"}},
	{
		Package: "cmd/wsk-xdp/internal/packetring",
		May:     append(tool("blast"), sys),
		Tests:   []string{"testenv"},
		Why:     "the kernel's ring for whole frames; what is in them is for others",
	},
	{Package: "cmd/wsk-xdp/internal/payload"},
	{Package: "cmd/wsk-xdp/internal/peer", May: tool("netns", "stamp"), Why: "messages and their bounds"},
	{
		Package: "cmd/wsk-xdp/internal/ping",
		May: append(tool("account", "blast", "host", "icmp", "netns", "output", "recv", "session", "stamp", "units"),
			"wsk", histograms, sys),
	},
	{
		Package: "cmd/wsk-xdp/internal/preview",
		May:     append(tool("blast", "frames", "host", "output", "session", "stamp", "units"), "frame"),
		Tests:   tool("flows"),
		Why:     "makes frames and opens nothing",
	},
	{
		Package: "cmd/wsk-xdp/internal/recv",
		May: slices.Concat(tool("account", "client", "host", "netns", "output", "peer", "stamp", "tally", "units"),
			[]string{"wsk", "wsk/datapath", histograms, netlink, sys}),
		Tests: append(tool("blast"), "wsk/wsktest"),
	},
	{
		Package: "cmd/wsk-xdp/internal/replay",
		May:     append(tool("blast", "capture", "frames", "host", "output", "session", "units"), "frame", histograms),
		Tests:   []string{"xdp/xdptest", packets},
	},
	{
		Package: "cmd/wsk-xdp/internal/report",
		May: append(tool("bench", "bench/latency", "bench/receive", "blast", "echo", "host", "output", "peer", "ping", "recv", "replay", "units"),
			histograms),
		Why: "reads the documents that these packages make",
	},
	{Package: "cmd/wsk-xdp/internal/schema", Why: "is for tests and for whoever makes the files of docs/schema: types and text"},
	{Package: "cmd/wsk-xdp/internal/send", May: []string{"wsk"}},
	{
		Package: "cmd/wsk-xdp/internal/session",
		May: slices.Concat(tool("client", "exit", "host", "icmp", "netns", "units"),
			[]string{"internal/netns", "wsk", "wsk/client", "wsk/datapath", "wsk/route", "xdp", "xdp/nic", sys}),
		Tests: tool("send"),
	},
	{
		Package: "cmd/wsk-xdp/internal/sockets",
		May:     append(tool("blast", "frames", "icmp", "netns"), "wsk", sys),
		Tests:   tool("flows", "units"),
		Why:     "sockets of the kernel: no datapath",
	},
	{Package: "cmd/wsk-xdp/internal/stamp", May: []string{sys}},
	{
		Package: "cmd/wsk-xdp/internal/tally",
		May:     append(tool("account", "stamp"), "bpf", "bpf/memlock", ebpf, sys),
		Tests:   []string{histograms},
		Why:     "a program of its own in the kernel, which finds what package account finds; package bpf says who has an interface already",
	},
	{Package: "cmd/wsk-xdp/internal/units"},
}
