// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// place is where the sending happens and where it is counted.
type place struct {
	// do runs a function on a thread in the sending namespace.
	do func(func() error) error
	// elsewhere is whether that is another one than this process's.
	elsewhere bool
	// count is the number of datagrams that arrived since some moment; bytes are those of their frames without FCS, 0
	// where they are not counted.
	count func() (datagrams, bytes uint64, err error)
	// countedBy says what count is, in words.
	countedBy string

	iface   string
	ifIndex int
	mtu     int
	srcMAC  frame.MAC
	source  netip.Addr
	targets []target
	close   func() error
}

// The laboratory has the addresses that ready-made frames of other senders are built for.
var (
	labMACA = net.HardwareAddr{0x02, 0, 0, 0, 0x0a, 0x01}
	labMACB = net.HardwareAddr{0x02, 0, 0, 0, 0x0b, 0x01}
	labA    = netip.MustParsePrefix("10.77.0.1/24")
	labB    = netip.MustParsePrefix("10.77.0.2/24")
)

const labPort = 9000

// openLabs makes a laboratory for each MTU.
func openLabs(c *Config) (labs []*place, err error) {
	mtus := c.MTUs
	if len(mtus) == 0 {
		mtus = []int{max(1500, slices.Max(c.Sizes)-18)}
	}
	for _, mtu := range mtus {
		lab, err := newLab(c, mtu)
		if err != nil {
			return nil, errors.Join(err, closeAll(labs))
		}
		labs = append(labs, lab)
	}
	return labs, nil
}

func closeAll(places []*place) (err error) {
	for _, p := range places {
		err = errors.Join(err, p.close())
	}
	return err
}

// newLab makes a veth pair whose far end drops in native XDP. The kernel's offloads stay as they are, since
// turning them off would hold back only those engines that use the kernel's stack. Where XDP programs can't be had the
// far interface counts; a packet that the kernel is to segment would then count once, so offloads are off.
func newLab(c *Config, mtu int) (*place, error) {
	t := testenv.Topology{
		A: testenv.End{Name: "wsk0", MAC: labMACA, Addrs: []netip.Prefix{labA}, TX: c.Queues},
		B: testenv.End{Name: "wsk1", MAC: labMACB, TX: c.Queues}, MTU: mtu,
		Neighbours: testenv.Static, NoIPv6: true, Offloads: true, PeerXDP: testenv.XDPDrop,
	}
	addr := labB.Addr()
	for range c.Destinations {
		t.B.Addrs = append(t.B.Addrs, netip.PrefixFrom(addr, labB.Bits()))
		addr = addr.Next()
	}
	noXDP := testenv.Check(testenv.XDPProgram)
	if noXDP != nil {
		t.PeerXDP, t.Offloads = testenv.XDPNone, false
	}
	lab, err := testenv.NewLab(t)
	if err != nil {
		return nil, err
	}
	p := &place{
		do: lab.A.NS.Do, elsewhere: true, close: lab.Close,
		iface: lab.A.If.Name(), ifIndex: lab.A.If.Index(), mtu: t.MTU, srcMAC: frame.MAC(labMACA), source: labA.Addr(),
	}
	for _, b := range t.B.Addrs {
		p.targets = append(p.targets, target{netip.AddrPortFrom(b.Addr(), labPort), frame.MAC(labMACB)})
	}
	if noXDP != nil {
		if err := addSink(lab, p); err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.countedBy = "packets received at " + lab.B.If.Name() + " (interface counter)"
		p.count = func() (uint64, uint64, error) {
			attrs, err := lab.B.If.Attrs()
			if err != nil {
				return 0, 0, err
			}
			return attrs.Statistics.RxPackets, 0, nil
		}
		c.warn("XDP programs can't be loaded here (root can): the receiver's whole stack runs inside the senders' calls, and " +
			"the interface counter counts")
		return p, nil
	}
	p.countedBy = "UDP at " + lab.B.If.Name() + ", native XDP program that drops it"
	p.count = func() (n, bytes uint64, err error) {
		if n, err = lab.Counter.Count(); err != nil {
			return 0, 0, err
		}
		bytes, err = lab.Counter.Bytes()
		return n, bytes, err
	}
	return p, nil
}

// addSink puts a socket that nobody reads behind the port, so that the receiving host drops without answering.
func addSink(lab *testenv.Lab, p *place) error {
	fd, err := lab.B.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	p.close = func() error { return errors.Join(unix.Close(fd), lab.Close()) }
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: labPort}); err != nil {
		return fmt.Errorf("bind sink: %w", err)
	}
	return nil
}
