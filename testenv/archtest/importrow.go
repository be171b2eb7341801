// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"slices"
	"strings"
)

// An ImportRow says what a package may import itself, besides the standard library. What it gets through others is not
// counted: they have rows of their own.
type ImportRow struct {
	Package string
	May     []string // packages of this module, and modules of others with all their packages
	Tests   []string // what its tests may import besides, beyond what all tests may
	Why     string   // where it is not plain from the package's comment
}

// Modules that stand for a purpose.
const (
	sys     = "golang.org/x/sys"
	netlink = "github.com/vishvananda/netlink"
	nsfd    = "github.com/vishvananda/netns"
	ebpf    = "github.com/cilium/ebpf"
	ethtool = "github.com/safchain/ethtool"
	gocmp   = "github.com/google/go-cmp"
	packets = "github.com/gopacket/gopacket"
	// otherXDP is the independent other end of an AF_XDP socket; what is to be judged must not be built on it.
	otherXDP   = "github.com/asavie/xdp"
	histograms = "github.com/HdrHistogram/hdrhistogram-go"
	nft        = "github.com/google/nftables"
)

// lower are the layers below wsk/datapath, for its rooms to use as they need them.
var lower = []string{"bpf", "frame", "internal/inflight", "internal/ipaddr", "internal/lockrank", "internal/netns", "wsk",
	"wsk/datapath/internal/locks",
	"wsk/route", "wsk/route/conntrack", "wsk/route/ipsec", "xdp", "xdp/nic"}

// cmdBase is what verbs that make a laboratory of their own start from.
var cmdBase = append(tool("host", "netns", "output", "units"), "testenv", "wsk")

var bench = tool("bench/check", "bench/proc", "bench/stats")

// anyTest is what every test may import: the laboratory, and what makes comparing and setting up plain.
var anyTest = []string{"testenv", "testenv/firewall", "testenv/vm/cable", "testenv/vm/job", "testenv/vm/row", gocmp, netlink, sys}

func tool(names ...string) []string { return under("cmd/wsk-xdp/internal/", names) }
func room(names ...string) []string { return under("wsk/datapath/internal/", names) }

func under(parent string, names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = parent + name
	}
	return paths
}

// MayImport says whether the row lets the package import path, a full one.
func (r ImportRow) MayImport(path string) bool { return isFree(path) || covers(r.May, path) }

// TestsMayImport says the same of the package's tests. They may import the package, what it may, what all tests may,
// and, in a command, what lies in the same internal directory.
func (r ImportRow) TestsMayImport(path string) bool {
	sibling := strings.HasPrefix(r.Package, "cmd/wsk-xdp") && strings.HasPrefix(Short(path), "cmd/wsk-xdp/internal/")
	return r.MayImport(path) || Short(path) == r.Package || sibling || covers(anyTest, path) || covers(r.Tests, path)
}

// isFree says that a path is of the standard library: their first element has no dot.
func isFree(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// covers says whether path is allowed by name, or by its module. Packages of ours are allowed by their own name only.
func covers(allowed []string, path string) bool {
	short := Short(path)
	return slices.ContainsFunc(allowed, func(name string) bool {
		return name == short || short == path && strings.HasPrefix(path, name+"/")
	})
}
