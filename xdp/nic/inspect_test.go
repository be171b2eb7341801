// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// newLab is a veth pair with that many queues each way, and without addresses: nothing here sends a packet.
func newLab(t *testing.T, queues int) *testenv.Lab {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	end := testenv.End{TX: queues, RX: queues, Addrs: []netip.Prefix{}}
	return testenv.NewLabT(t, testenv.Topology{A: end, B: end, NoIPv6: true, Offloads: true})
}

// inNS runs f in the namespace of one end. f must not end its goroutine: t.Error, not t.Fatal.
func inNS(t *testing.T, h *testenv.Host, f func() error) {
	t.Helper()
	if err := h.NS.Do(f); err != nil {
		t.Fatal(err)
	}
}

// open makes a socket on a queue of an interface in the namespace of one end, and closes it when the test ends.
func open(t *testing.T, h *testenv.Host, ifname string, queue uint32) *xdp.Socket {
	t.Helper()
	var s *xdp.Socket
	inNS(t, h, func() (err error) {
		s, err = xdp.Open(xdp.Options{Ifname: ifname, Queue: queue, Mode: xdp.ModeCopy, TxChunks: 8})
		return err
	})
	t.Cleanup(func() { s.Close() })
	return s
}

func inspect(t *testing.T, h *testenv.Host) (i nic.Interface) {
	t.Helper()
	inNS(t, h, func() (err error) {
		i, err = nic.Inspect(h.If.Name())
		return err
	})
	return i
}

func TestInspect(t *testing.T) {
	lab := newLab(t, 2)
	open(t, lab.A, lab.A.If.Name(), 1)
	i := inspect(t, lab.A)
	if i.Name != lab.A.If.Name() || i.Index != lab.A.If.Index() || i.Type != "veth" || i.MTU != 1500 || !i.Up || !i.Running ||
		i.Driver != "veth" {
		t.Errorf("facts %+v", i)
	}
	if i.TxQueues.N != 2 || i.RxQueues.N != 2 {
		t.Errorf("queues %+v %+v", i.TxQueues, i.RxQueues)
	}
	if i.HardwareRingsErr != nil && !errors.Is(i.HardwareRingsErr, nic.ErrNotSupported) {
		t.Errorf("ring sizes: %v", i.HardwareRingsErr)
	}
	if testenv.KernelAtLeast(6, 3) {
		if i.DeviceErr != nil || !i.Device.XDP.Native() || i.Device.XDP.ZeroCopy() {
			t.Errorf("features %v, %v", i.Device.XDP, i.DeviceErr)
		}
	} else if !errors.Is(i.DeviceErr, nic.ErrNotSupported) {
		t.Errorf("netdev-genl on an old kernel: %v", i.DeviceErr)
	}
	if testenv.KernelAtLeast(6, 16) {
		told := map[nic.NetdevQueue]bool{}
		for _, q := range i.Queues {
			told[q] = true
		}
		for _, want := range []nic.NetdevQueue{{0, true, false}, {1, true, true}, {0, false, false}, {1, false, true}} {
			if !told[want] {
				t.Errorf("queues %+v, %v: want %+v", i.Queues, i.QueuesErr, want)
			}
		}
	}
}

// An interface that does not exist, or that is not the one of that index, is refused with what was looked for in the
// error.
func TestFindLink(t *testing.T) {
	lab := newLab(t, 1)
	name, index := lab.A.If.Name(), lab.A.If.Index()
	inNS(t, lab.A, func() error {
		_, err := nic.Inspect("nowhere")
		if !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "ip link") {
			t.Errorf("no such interface: %v", err)
		}
		for _, c := range []struct {
			name  string
			index int
		}{{name, 0}, {"", index}, {name, index}} {
			if l, err := nic.FindLink(c.name, c.index); err != nil || l.Name != name || l.Index != index || l.TxQueues.N != 1 {
				t.Errorf("%q, %d: %+v, %v", c.name, c.index, l, err)
			}
		}
		if _, err := nic.FindLink("lo", index); err == nil || !strings.Contains(err.Error(), "lo is interface 1, not") {
			t.Errorf("name and index that differ: %v", err)
		}
		if _, err := nic.FindLink("", 9999); !errors.Is(err, unix.ENODEV) {
			t.Errorf("an index that does not exist: %v", err)
		}
		return nil
	})
}

// Where more queues may be allocated than are in use, only netdev-genl or the driver knows, each not always.
func TestQueueCountSources(t *testing.T) {
	lab := newLab(t, 4)
	drivers := false
	inNS(t, lab.A, func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		_, err = e.GetChannels(lab.A.If.Name())
		drivers = err == nil // the veth of Linux 5.10 does not tell
		return nil
	})
	for _, state := range []string{"up", "down"} {
		if state == "down" {
			if err := lab.A.If.SetDown(); err != nil {
				t.Fatal(err)
			}
		}
		source := "rtnetlink"
		switch {
		case state == "up" && testenv.KernelAtLeast(6, 8):
			source = "netdev-genl"
		case drivers:
			source = "ethtool"
		}
		i := inspect(t, lab.A)
		for _, got := range []nic.QueueCount{i.TxQueues, i.RxQueues} {
			if want := (nic.QueueCount{N: 4, Exact: source != "rtnetlink", Source: source}); got != want {
				t.Errorf("link %s: %+v queues, want %+v", state, got, want)
			}
		}
	}
}
