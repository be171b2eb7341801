// SPDX-License-Identifier: Apache-2.0

package account

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Counters are numbers by name, such as "B Udp RcvbufErrors".
type Counters map[string]uint64

// Add puts others in, with something in front of their names.
func (c Counters) Add(prefix string, others Counters) {
	for name, n := range others {
		c[prefix+name] = n
	}
}

// Since returns those that moved since an earlier reading. One that is smaller now, or was not there, has begun anew: its device or
// socket is another.
func (c Counters) Since(earlier Counters) []Counter {
	var out []Counter
	for name, n := range c {
		if old := earlier[name]; n >= old {
			n -= old
		}
		if n > 0 {
			out = append(out, Counter{Name: name, Moved: n, Told: told(name)})
		}
	}
	slices.SortFunc(out, func(a, b Counter) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// untold are parts of the names of counters whose drops never were packets, so that the kernel tells of none: what XDP and AF_XDP drop.
var untold = []string{" rx_queue_", "XSK ", "WSK "}

func told(name string) bool {
	return !slices.ContainsFunc(untold, func(part string) bool { return strings.Contains(name, part) })
}

// drops are the counters of /proc/net that mean a lost datagram.
var drops = map[string][]string{
	"Ip":    {"InHdrErrors", "InAddrErrors", "InUnknownProtos", "InDiscards", "OutDiscards", "OutNoRoutes", "ReasmFails", "FragFails"},
	"IpExt": {"InNoRoutes", "InTruncatedPkts", "InCsumErrors"},
	"Udp":   {"NoPorts", "InErrors", "RcvbufErrors", "SndbufErrors", "InCsumErrors", "MemErrors"},
	"Ip6": {"InHdrErrors", "InTooBigErrors", "InNoRoutes", "InAddrErrors", "InUnknownProtos", "InTruncatedPkts", "InDiscards", "OutDiscards",
		"OutNoRoutes", "ReasmFails", "FragFails"},
	"Udp6": {"NoPorts", "InErrors", "RcvbufErrors", "SndbufErrors", "InCsumErrors", "MemErrors"},
}

// ReadCounters reads the counters of a namespace: those of its protocols, the drops of its interfaces and of their queueing
// disciplines, and, for the whole machine, those of the backlogs.
func ReadCounters(ns *testenv.Namespace) (Counters, error) {
	out := make(Counters)
	err := ns.Do(func() error {
		for _, file := range []struct {
			name  string
			parse func(io.Reader, Counters)
		}{
			{"/proc/thread-self/net/snmp", parseSNMP}, {"/proc/thread-self/net/netstat", parseSNMP}, {"/proc/thread-self/net/snmp6", parseSNMP6},
			{"/proc/thread-self/net/softnet_stat", parseSoftnet},
		} {
			f, err := os.Open(file.name)
			if os.IsNotExist(err) {
				continue
			}
			if err != nil {
				return fmt.Errorf("read counters: %w", err)
			}
			file.parse(f, out)
			f.Close()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, readDevices(ns, out)
}

// parseSNMP reads pairs of lines: names, then values.
func parseSNMP(r io.Reader, out Counters) {
	lines := bufio.NewScanner(r)
	var names []string
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(names) == 0 || len(fields) == 0 || fields[0] != names[0] {
			names = fields
			continue
		}
		group := strings.TrimSuffix(names[0], ":")
		for i := 1; i < min(len(names), len(fields)); i++ {
			n, err := strconv.ParseUint(fields[i], 10, 64)
			if err == nil && slices.Contains(drops[group], names[i]) {
				out[group+" "+names[i]] = n
			}
		}
		names = nil
	}
}

func parseSNMP6(r io.Reader, out Counters) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 2 {
			continue
		}
		n, err := strconv.ParseUint(fields[1], 10, 64)
		for _, group := range []string{"Udp6", "Ip6"} {
			name, ok := strings.CutPrefix(fields[0], group)
			if err == nil && ok && slices.Contains(drops[group], name) {
				out[group+" "+name] = n
			}
		}
	}
}

// parseSoftnet sums the second column: frames that a backlog had no room for.
func parseSoftnet(r io.Reader, out Counters) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 {
			n, _ := strconv.ParseUint(fields[1], 16, 64)
			out["softnet dropped"] += n
		}
	}
}

func readDevices(ns *testenv.Namespace, out Counters) error {
	h, err := ns.Netlink()
	if err != nil {
		return err
	}
	links, err := testenv.Dump(h.LinkList)
	if err != nil {
		return fmt.Errorf("read counters of interfaces: %w", err)
	}
	for _, l := range links {
		a := l.Attrs()
		if s := a.Statistics; s != nil && a.Name != "lo" {
			out[a.Name+" rx_dropped"], out[a.Name+" tx_dropped"] = s.RxDropped, s.TxDropped
			out[a.Name+" rx_errors"], out[a.Name+" tx_errors"] = s.RxErrors, s.TxErrors
		}
		if l.Type() == "veth" {
			if err := readVeth(ns, a.Name, out); err != nil {
				return err
			}
		}
	}
	qdiscs, err := testenv.Dump(func() ([]netlink.Qdisc, error) { return h.QdiscList(nil) })
	if err != nil {
		return fmt.Errorf("read counters of qdiscs: %w", err)
	}
	for _, q := range qdiscs {
		if s := q.Attrs().Statistics; s != nil && s.Queue != nil {
			out[fmt.Sprintf("qdisc %s of %d dropped", q.Type(), q.Attrs().LinkIndex)] += uint64(s.Queue.Drops)
		}
	}
	return readNeighbours(ns, out)
}

// readVeth reads what the receiving queues drop where XDP runs: frames that XDP_REDIRECT found no room for are among "drops".
func readVeth(ns *testenv.Namespace, name string, out Counters) error {
	return ns.Do(func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		// With buffers out of the library's pool counters are missing at times.
		stats, err := e.StatsWithBuffer(name, new(ethtool.EthtoolGStrings), new(ethtool.EthtoolStats))
		if errors.Is(err, unix.ENODEV) {
			return nil // it has gone meanwhile
		}
		if err != nil {
			return fmt.Errorf("read counters of %s: %w", name, err)
		}
		for stat, n := range stats {
			if strings.HasPrefix(stat, "rx_queue_") && strings.HasSuffix(stat, "drops") {
				out[name+" "+stat] = n
			}
		}
		return nil
	})
}

// readNeighbours reads how many packets did not find room while they waited for a neighbour.
func readNeighbours(ns *testenv.Namespace, out Counters) error {
	return ns.Do(func() error {
		for _, table := range []string{"arp_cache", "ndisc_cache"} {
			raw, err := os.ReadFile("/proc/thread-self/net/stat/" + table)
			if err != nil {
				continue
			}
			lines := strings.Split(string(raw), "\n")
			names := strings.Fields(lines[0])
			at := slices.Index(names, "unresolved_discards")
			for _, line := range lines[1:] {
				if f := strings.Fields(line); at >= 0 && at < len(f) {
					n, _ := strconv.ParseUint(f[at], 16, 64)
					out[table+" unresolved_discards"] += n
				}
			}
		}
		return nil
	})
}
