// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Parts of a dump that are read ahead come whole and in their order, again and again by one socket.
func TestDumpIsReadAhead(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	const routes = 5000 // some ten parts
	for _, six := range []bool{false, true} {
		ns, _ := fullNamespace(t, routes, six)
		var d *dumper
		must(t, ns.Do(func() (err error) {
			d, err = newDumper(make(chan struct{}))
			return err
		}))
		t.Cleanup(d.close)
		parts, seen := 0, []netip.Prefix{}
		d.between = func(uint16) { parts++ }
		body := make([]byte, rtmLen)
		body[0] = familyOf(six)
		var msg announced
		read := func() []netip.Prefix {
			must(t, d.dump(unix.RTM_GETROUTE, body, func() { seen = seen[:0] }, func(b []byte) {
				if parseRoute(b, &msg) && msg.table == unix.RT_TABLE_MAIN && msg.prefix.Bits() < 64 {
					seen = append(seen, msg.prefix)
				}
			}))
			return slices.Clone(seen)
		}
		first := read()
		if parts < 5 || len(first) < routes {
			t.Errorf("%d routes in %d parts", len(first), parts)
		}
		if second := read(); !slices.Equal(first, second) {
			t.Errorf("%d routes, before %d, or in another order", len(second), len(first))
		}
		slices.SortFunc(first, netip.Prefix.Compare)
		if n := len(slices.Compact(first)); n < routes {
			t.Errorf("%d routes are %d", len(first), n)
		}
	}
}

// A dump that is given up leaves nobody reading, and the next by the same socket takes nothing of it for its own.
func TestDumpGivenUp(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	ns, _ := fullNamespace(t, 5000, false)
	done := make(chan struct{})
	var d *dumper
	must(t, ns.Do(func() (err error) {
		d, err = newDumper(done)
		return err
	}))
	t.Cleanup(d.close)
	body := make([]byte, rtmLen)
	body[0] = unix.AF_INET
	n := 0
	err := d.dump(unix.RTM_GETROUTE, body, func() {}, func([]byte) {
		if n++; n == 1 {
			close(done)
		}
	})
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("%d routes, %v", n, err)
	}
	d.done = nil
	devices := 0
	must(t, d.dump(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg), func() { devices = 0 }, func(b []byte) {
		if len(b) > 4 && binary.NativeEndian.Uint32(b[4:]) != 0 {
			devices++
		}
	}))
	if devices != 3 { // lo, and two ends
		t.Errorf("%d devices", devices)
	}
}
