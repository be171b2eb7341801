// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestDumpHearsTheKernelAlone sends the end of a dump to a socket before it asks for one, with the number that its
// request will have: whoever may send to the port of another process can do that.
func TestDumpHearsTheKernelAlone(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	ns := testenv.NewNamespaceT(t)
	var d *dumper
	must(t, ns.Do(func() (err error) {
		d, err = newDumper(make(chan struct{}))
		return err
	}))
	t.Cleanup(d.close)
	devices := 0
	read := func() error {
		return d.dump(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg), func() { devices = 0 }, func([]byte) { devices++ })
	}
	must(t, read()) // gives the socket a port
	sa, err := unix.Getsockname(d.fd)
	must(t, err)
	forged := wire(nil).u32(headerLen+4).u8(unix.NLMSG_DONE, 0, 0, 0).u32(d.seq + 1).u32(0).u32(0)
	binary.NativeEndian.PutUint16(forged[4:], unix.NLMSG_DONE)
	k := newTalk(t, ns)
	must(t, unix.Sendto(k.fd, forged, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: sa.(*unix.SockaddrNetlink).Pid}))
	if must(t, read()); devices == 0 {
		t.Error("a dump ends where a stranger says so")
	}
}
