// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/safchain/ethtool"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// underLoad sends through four queues while disturb works, and until a while after. It returns how the IRPs ended.
func underLoad(t *testing.T, lab *nicLab, dp *Datapath, disturb func()) map[wsk.NTSTATUS]int {
	t.Helper()
	c := newClient(t, dp)
	sockets := make([]*wsk.Socket, 4)
	for i := range sockets {
		sockets[i] = c.socket("10.77.0.1:0")
	}
	to := sockaddr(lab.B.IPv4(), 7801)
	mustSucceed(t, "before", sendOne(t, sockets[0], whole([]byte("before")), to, nil))
	ledger := newLedger(t, 256)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			ledger.send(sockets[n%len(sockets)], whole(binary.BigEndian.AppendUint32(make([]byte, 300), uint32(n))), to)
		}
	}()
	testenv.Eventually(t, nicPatience, "load", func() bool { return sentFrames(dp) > 2000 })
	disturb()
	close(stop)
	select {
	case <-stopped:
	case <-time.After(2 * nicPatience):
		t.Fatal("the sender hangs")
	}
	counts := ledger.end()
	t.Logf("statuses %v%s", counts, describeQueues(dp))
	audit(t, dp)
	return counts
}

func sentFrames(dp *Datapath) (n uint64) {
	for _, q := range dp.Info().Queues {
		n += q.Completed
	}
	return n
}

// resumes waits until frames are completed again after a disturbance.
func resumes(t *testing.T, dp *Datapath, than uint64) {
	t.Helper()
	testenv.Eventually(t, nicPatience, "service to resume", func() bool { return sentFrames(dp) > than+2000 })
}

func sendOptions(lab *nicLab) Options {
	return Options{Queues: 4, Interfaces: []string{lab.A.If.Name()}, Socket: xdp.Options{Mode: xdp.ModeZeroCopy}}
}

// only checks that nothing ended otherwise than allowed, and that something succeeded.
func only(t *testing.T, counts map[wsk.NTSTATUS]int, allowed ...wsk.NTSTATUS) {
	t.Helper()
	ok := counts[wsk.STATUS_SUCCESS]
	if ok == 0 {
		t.Error("no IRP succeeded")
	}
	for _, s := range allowed {
		ok += counts[s]
	}
	if ok != total(counts) {
		t.Errorf("IRPs ended with %v, want success or %v", counts, allowed)
	}
}

// TestNICLinkDown sets the interface down and up under load: what waits, waits; nothing fails.
func TestNICLinkDown(t *testing.T) {
	lab := newNICLab(t)
	lab.skipWhereDownDeadlocks()
	dp := lab.open(lab.A, sendOptions(lab))
	freezeRoutes(dp)
	counts := underLoad(t, lab, dp, func() {
		for range 3 {
			if err := lab.A.If.SetDown(); err != nil {
				t.Error(err)
			}
			testenv.Eventually(t, nicPatience, "a queue that waits", func() bool { return someQueue(dp, func(q QueueInfo) bool { return q.State == "down" }) })
			before := sentFrames(dp)
			if err := lab.A.If.SetUp(); err != nil {
				t.Error(err)
			}
			lab.waitCarrier()
			resumes(t, dp, before)
		}
	})
	only(t, counts)
}

// freezeRoutes makes the paths found so far last: the kernel takes the routes of a device that is set down away.
func freezeRoutes(dp *Datapath) {
	dp.setRoutes(frozen{dp.routes})
}

func someQueue(dp *Datapath, is func(QueueInfo) bool) bool {
	for _, q := range dp.Info().Queues {
		if is(q) {
			return true
		}
	}
	return false
}

// TestNICReset makes the driver reset its NIC under load: a new MTU, and what else it offers. Frames that the NIC had are completed or
// given up by the driver; none may stay behind.
func TestNICReset(t *testing.T) {
	lab := newNICLab(t)
	dp := lab.open(lab.A, sendOptions(lab))
	counts := underLoad(t, lab, dp, func() {
		for _, mtu := range []int{1400, 1500} {
			before := sentFrames(dp)
			if err := lab.A.If.SetMTU(mtu); err != nil {
				t.Logf("MTU %d: %v", mtu, err)
			}
			lab.waitCarrier()
			resumes(t, dp, before)
		}
		for _, size := range []uint32{128, 256} {
			before := sentFrames(dp)
			if err := setRings(lab.A, size); err != nil {
				t.Logf("rings of %d: %v", size, err)
			}
			lab.waitCarrier()
			resumes(t, dp, before)
		}
		before := sentFrames(dp)
		if err := restartAutonegotiation(lab.A); err != nil {
			t.Logf("restart autonegotiation: %v", err)
		}
		lab.waitCarrier()
		resumes(t, dp, before)
	})
	only(t, counts, wsk.STATUS_IO_TIMEOUT)
	wantZeroCopy(t, dp, lab.queues(4))
}

func setRings(h *testenv.Host, size uint32) error {
	return h.NS.Do(func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		r, err := e.GetRing(h.If.Name())
		if err != nil {
			return err
		}
		r.TxPending, r.RxPending = size, size
		_, err = e.SetRing(h.If.Name(), r)
		return err
	})
}

func channels(h *testenv.Host) (c ethtool.Channels, err error) {
	err = h.NS.Do(func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		c, err = e.GetChannels(h.If.Name())
		return err
	})
	return c, err
}

func setChannels(h *testenv.Host, combined uint32) error {
	c, err := channels(h)
	if err != nil {
		return err
	}
	return h.NS.Do(func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		c.CombinedCount = combined
		_, err = e.SetChannels(h.If.Name(), c)
		return err
	})
}

// TestNICChannels changes the number of queues under load. The kernel refuses to take a queue away that has a socket;
// others come and go, for which drivers reset the NIC.
func TestNICChannels(t *testing.T) {
	lab := newNICLab(t)
	opts := sendOptions(lab)
	opts.Queues = 2
	dp := lab.open(lab.A, opts)
	counts := underLoad(t, lab, dp, func() {
		for _, n := range []uint32{2, 1, 4} {
			before := sentFrames(dp)
			err := setChannels(lab.A, n)
			now, _ := channels(lab.A)
			t.Logf("%d combined channels: %v; now %d", n, err, now.CombinedCount)
			if n == 1 && err == nil && len(dp.Info().Queues) > 1 {
				t.Error("a queue with a socket was taken away")
			}
			lab.waitCarrier()
			resumes(t, dp, before)
		}
	})
	only(t, counts, wsk.STATUS_IO_TIMEOUT)
	wantZeroCopy(t, dp, lab.queues(2))
}

// TestNICProgramTaken takes the XDP program off by force under load. igb then serves nothing, and says so; virtio-net goes on, and
// drops what the host receives. The queues are rebuilt with a new program.
func TestNICProgramTaken(t *testing.T) {
	lab := newNICLab(t)
	dp := lab.open(lab.A, sendOptions(lab))
	counts := underLoad(t, lab, dp, func() {
		before := sentFrames(dp)
		if n := detachLinks(t, lab.A); n != 1 {
			t.Errorf("%d links to programs on the interface", n)
		}
		// One after the other: on a slow machine the first has a new socket before the last has lost the old one.
		testenv.Eventually(t, nicPatience, "every queue to be rebuilt", func() bool {
			return !someQueue(dp, func(q QueueInfo) bool { return q.Rebuilds == 0 || q.State != "up" })
		})
		lab.waitCarrier()
		resumes(t, dp, before)
	})
	only(t, counts, wsk.STATUS_IO_TIMEOUT)
	wantZeroCopy(t, dp, lab.queues(4))
	if !dp.Info().Devices[0].PassProgram {
		t.Error("there is no program on the interface")
	}
}

// detachLinks is bpftool link detach for every link to an XDP program on an interface.
func detachLinks(t *testing.T, h *testenv.Host) (n int) {
	t.Helper()
	var links link.Iterator
	defer links.Close()
	for links.Next() {
		info, err := links.Link.Info()
		if err != nil || info.XDP() == nil || int(info.XDP().Ifindex) != h.If.Index() {
			continue
		}
		if err := links.Link.Detach(); err != nil {
			t.Error(err)
		}
		n++
	}
	return n
}

// bus is where the driver of a NIC is bound and unbound: the directory, and the device's name in it.
func bus(t *testing.T, name string) (driver, device string) {
	t.Helper()
	path, err := filepath.EvalSymlinks("/sys/class/net/" + name + "/device")
	if err != nil {
		t.Fatal(err)
	}
	driver, err = filepath.EvalSymlinks(path + "/driver")
	if err != nil {
		t.Fatal(err)
	}
	return driver, filepath.Base(path)
}

// TestNICUnbind takes the driver off the NIC under load and puts it back: everything pending is forced closed, the
// sockets are dead, and nothing keeps the device. With the NIC back, new sockets work again.
func TestNICUnbind(t *testing.T) {
	nameA, _ := nicNames(t)
	driver, device := bus(t, nameA)
	lab := newNICLab(t)
	dp := lab.open(lab.A, sendOptions(lab))
	unbound := make(chan error, 1)
	counts := underLoad(t, lab, dp, func() {
		go func() { unbound <- os.WriteFile(driver+"/unbind", []byte(device), 0) }()
		select {
		case err := <-unbound:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(nicPatience):
			t.Error("the driver waits for us")
		}
		testenv.Eventually(t, nicPatience, "the datapath to hear of it", func() bool { return len(dp.Info().Queues) == 0 })
	})
	// The address goes a moment before the device, and the route with it: who sends just then hears that.
	only(t, counts, wsk.STATUS_FILE_FORCED_CLOSED, wsk.STATUS_INVALID_ADDRESS_COMPONENT, wsk.STATUS_NETWORK_UNREACHABLE)
	if counts[wsk.STATUS_FILE_FORCED_CLOSED] == 0 {
		t.Error("no IRP was forced closed")
	}
	lab.bringBack(driver, device, nameA)
	c := newClient(t, dp)
	// The first may go by the kernel's stack: the routing table hears of the device a moment later than the kernel has it.
	testenv.Eventually(t, nicPatience, "a new socket to send through AF_XDP", func() bool {
		status := sendOne(t, c.socket("10.77.0.1:0"), whole([]byte("again")), sockaddr(lab.B.IPv4(), 7801), nil)
		return status == wsk.STATUS_SUCCESS && sentFrames(dp) > 0
	})
	info := dp.Info()
	if len(info.Queues) == 0 || info.Queues[0].Granted.Mode != xdp.ModeZeroCopy {
		t.Errorf("after the NIC is back: %s", fmt.Sprint(info.Queues))
	}
}

// bringBack binds the driver again and makes the NIC what it was: it comes back in the first namespace.
func (l *nicLab) bringBack(driver, device, want string) {
	t := l.t
	t.Helper()
	if err := os.WriteFile(driver+"/bind", []byte(device), 0); err != nil {
		t.Fatal(err)
	}
	var name string
	testenv.Eventually(t, nicPatience, "the NIC to be back", func() bool {
		names, _ := filepath.Glob("/sys/class/net/*")
		for _, path := range names {
			dev, err := filepath.EvalSymlinks(path + "/device")
			if err == nil && filepath.Base(dev) == device {
				name = filepath.Base(path)
			}
		}
		return name != ""
	})
	if name != want {
		t.Errorf("the NIC came back as %s, not %s", name, want)
	}
	if err := moveLink(name, l.A.NS.FD()); err != nil {
		t.Fatal(err)
	}
	back, err := testenv.FindIface(l.A.NS, name)
	if err != nil {
		t.Fatal(err)
	}
	l.A.If = back
	if err := back.AddAddr(netip.MustParsePrefix("10.77.0.1/24")); err != nil {
		t.Fatal(err)
	}
	if err := back.SetUp(); err != nil {
		t.Fatal(err)
	}
	l.waitCarrier()
}
