// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestDump: an interrupted dump is taken again, and its part is never handed out; any other error ends it at once.
func TestDump(t *testing.T) {
	for _, c := range []struct {
		name        string
		interrupted int
		then        error
		tries       int
	}{
		{"at-once", 0, nil, 1},
		{"third-time", 2, nil, 3},
		{"last-time", dumpTries - 1, nil, dumpTries},
		{"never", dumpTries, nil, dumpTries},
		{"refused", 1, unix.EPERM, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			tries := 0
			got, err := Dump(func() ([]int, error) {
				tries++
				if tries <= c.interrupted {
					return []int{1}, netlink.ErrDumpInterrupted
				}
				return []int{1, 2}, c.then
			})
			if tries != c.tries {
				t.Errorf("%d tries, want %d", tries, c.tries)
			}
			want := c.then
			if c.interrupted == dumpTries {
				want = netlink.ErrDumpInterrupted
			}
			if !errors.Is(err, want) || (err == nil) != slices.Equal(got, []int{1, 2}) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// TestDumpWhileItChanges reads addresses while others come and go: on a kernel that marks such dumps this is what the
// set-up of every laboratory meets.
func TestDumpWhileItChanges(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	// On one handle an exchange would wait for the other.
	var own *netlink.Handle
	err = lab.A.NS.Do(func() (err error) {
		own, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	link, err := own.LinkByIndex(lab.A.If.Index())
	if err != nil {
		t.Fatal(err)
	}
	guest := &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix("fd77::77/64")), Flags: unix.IFA_F_NODAD}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := errors.Join(own.AddrAdd(link, guest), own.AddrDel(link, guest)); err != nil {
				done <- err
				return
			}
		}
	}()
	interrupted, resident := 0, lab.A.IPv6()
	for range 300 {
		all, err := Dump(func() ([]netlink.Addr, error) {
			all, err := h.AddrList(nil, unix.AF_INET6)
			if errors.Is(err, netlink.ErrDumpInterrupted) {
				interrupted++
			}
			return all, err
		})
		if err != nil {
			t.Error(err)
			break
		}
		if !slices.ContainsFunc(all, func(a netlink.Addr) bool { return a.IP.Equal(resident.AsSlice()) }) {
			t.Errorf("%v: without %v", all, resident)
			break
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	t.Logf("%d dumps were interrupted", interrupted)
}
