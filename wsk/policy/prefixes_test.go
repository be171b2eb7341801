// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// TestTablesAnswerAsAListWould: random lists of prefixes and ports in a small world, so that they overlap, against the
// plain meaning: one line that covers address and port is enough.
func TestTablesAnswerAsAListWould(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	type line struct {
		prefix      netip.Prefix
		first, last uint16
	}
	random := func(six bool) netip.Addr {
		if six {
			a := [16]byte{0: 0x20, 1: 0x01}
			binary.BigEndian.PutUint16(a[14:], uint16(r.Uint32()))
			return netip.AddrFrom16(a)
		}
		return netip.AddrFrom4([4]byte{10, 0, byte(r.Uint32()), byte(r.Uint32())})
	}
	for range 100 {
		var lines []line
		var text []string
		for range r.IntN(12) + 1 {
			addr := random(r.IntN(2) == 0)
			prefix := netip.PrefixFrom(addr, addr.BitLen()-r.IntN(18)).Masked()
			first := uint16(r.IntN(30) + 1)
			last := first + uint16(r.IntN(8))
			lines = append(lines, line{prefix, first, last})
			text = append(text, fmt.Sprintf("%q", fmt.Sprintf("%s:%d-%d", prefix, first, last)))
		}
		g := granted(t, "destination = ["+strings.Join(text, ", ")+"]")
		for range 500 {
			addr, port := random(r.IntN(2) == 0), uint16(r.IntN(40)+1)
			want := ipc.ReasonDestination
			for _, l := range lines {
				if l.prefix.Contains(addr) && l.first <= port && port <= l.last {
					want = ipc.ReasonNone
				}
			}
			f := flow(addr.String(), port)
			if got := g.Admit(&f); got != want {
				t.Fatalf("%v\n%s:%d: got %s, want %s", text, addr, port, got, want)
			}
		}
	}
}

// manyPrefixes is a grant of a thousand prefixes of both families with ports, and of sources by name and by interface.
func manyPrefixes(t testing.TB) *policy.Grant {
	var text []string
	for i := range 500 {
		text = append(text, fmt.Sprintf(`"10.%d.%d.0/24:53,8000-8099,9000"`, i/256, i%256))
		text = append(text, fmt.Sprintf(`"2001:db8:%x::/48:53,8000-8099,9000"`, i))
	}
	return granted(t, "source = [\"192.0.2.0/24\", \"2001:db8:ffff::/48\", \"interface\"]\nlocal = true\ndestination = ["+
		strings.Join(text, ",\n")+"]\n")
}

func TestAnswersDoNotAllocate(t *testing.T) {
	g := manyPrefixes(t)
	four, six := flow("10.1.200.7", 9000), flow("2001:db8:17::1", 9000, from("2001:db8:ffff::1"))
	n := testing.AllocsPerRun(100, func() {
		if g.Admit(&four) != 0 || g.Admit(&six) != 0 || !g.Receives(four.Destination, 53, eth0, false) ||
			g.Datagram(1200, 1472) != 0 {
			panic("refused")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	g := manyPrefixes(b)
	for name, f := range map[string]policy.Flow{
		"4":         flow("10.1.200.7", 9000),
		"6":         flow("2001:db8:17::1", 9000, from("2001:db8:ffff::1")),
		"4-by-name": flow("10.1.200.7", 9000, foreign),
		"6-by-name": flow("2001:db8:17::1", 9000, both(foreign, from("2001:db8:ffff::1"))),
		"refused":   flow("11.0.0.1", 9000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g.Admit(&f)
			}
		})
	}
}

func BenchmarkReceives(b *testing.B) {
	g := manyPrefixes(b)
	from := addr("10.1.200.7")
	b.ReportAllocs()
	for b.Loop() {
		g.Receives(from, 9000, eth0, false)
	}
}
