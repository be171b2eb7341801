// SPDX-License-Identifier: Apache-2.0

package archtest

// A CircleLimit says how many files of a package may need each other.
type CircleLimit struct {
	Package string // within the module
	Limit   int    // what the test holds the package to: today's figure
	Goal    int    // what Limit shall come down to; never raised
}

// Circles has a row for every package; a package that is not here fails. Between the files of one package nothing
// keeps a rule but this: where all files need each other, none can be understood, tested or changed by itself.
var Circles = []CircleLimit{
	{"bpf", 6, 6},
	{"bpf/memlock", 0, 0},
	{"cmd/wsk-xdp", 13, 13},
	{"cmd/wsk-xdp/internal/bench", 8, 8},
	{"cmd/wsk-xdp/internal/bench/benchtest", 0, 0},
	{"cmd/wsk-xdp/internal/bench/check", 0, 0},
	{"cmd/wsk-xdp/internal/bench/footprint", 3, 3},
	{"cmd/wsk-xdp/internal/bench/latency", 8, 8},
	{"cmd/wsk-xdp/internal/bench/proc", 0, 0},
	{"cmd/wsk-xdp/internal/bench/provider", 0, 0},
	{"cmd/wsk-xdp/internal/bench/receive", 9, 9},
	{"cmd/wsk-xdp/internal/bench/stats", 0, 0},
	{"cmd/wsk-xdp/internal/blast", 0, 0},
	{"cmd/wsk-xdp/internal/client", 0, 0},
	{"cmd/wsk-xdp/internal/demo", 3, 3},
	{"cmd/wsk-xdp/internal/doctor", 4, 4},
	{"cmd/wsk-xdp/internal/exit", 0, 0},
	{"cmd/wsk-xdp/internal/host", 0, 0},
	{"cmd/wsk-xdp/internal/netns", 0, 0},
	{"cmd/wsk-xdp/internal/output", 0, 0},
	{"cmd/wsk-xdp/internal/payload", 0, 0},
	{"cmd/wsk-xdp/internal/send", 0, 0},
	{"cmd/wsk-xdp/internal/session", 2, 2},
	{"cmd/wsk-xdp/internal/units", 0, 0},
	{"frame", 2, 2},
	{"internal/inflight", 0, 0},
	{"internal/ipaddr", 0, 0},
	{"internal/lockrank", 0, 0},
	{"internal/netns", 0, 0},
	{"scripts/testsum", 0, 0},
	{"scripts/vm", 10, 10},
	{"testenv", 10, 10},
	{"testenv/account", 2, 2},
	{"testenv/archtest", 0, 0},
	{"testenv/archtest/circles", 0, 0},
	{"testenv/cmd/faults", 0, 0},
	{"testenv/cmd/wire", 0, 0},
	{"testenv/faults", 6, 6},
	{"testenv/vm", 3, 3},
	{"testenv/vm/agent", 0, 0},
	{"testenv/vm/cable", 0, 0},
	{"testenv/vm/job", 0, 0},
	{"testenv/vm/row", 0, 0},
	{"testenv/wire", 0, 0},
	{"wsk", 27, 27},
	{"wsk/datapath", 8, 8},
	{"wsk/datapath/internal/companion", 3, 3},
	{"wsk/datapath/internal/device", 4, 4},
	{"wsk/datapath/internal/locks", 0, 0},
	{"wsk/datapath/internal/offload", 8, 8},
	{"wsk/datapath/internal/ops", 8, 8},
	{"wsk/datapath/internal/receive", 3, 3},
	{"wsk/datapath/internal/send", 18, 16},
	{"wsk/ipc", 0, 0},
	{"wsk/netconn", 2, 2},
	{"wsk/netconn/pctest", 9, 9},
	{"wsk/replay", 0, 0},
	{"wsk/route", 19, 13},
	{"wsk/route/ipsec", 0, 0},
	{"wsk/wsktest", 5, 5},
	{"xdp", 7, 7},
	{"xdp/internal/hook", 0, 0},
	{"xdp/nic", 0, 0},
	{"xdp/xdptest", 4, 4},
}
