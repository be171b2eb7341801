// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

const (
	mainPort = 7000
	refPort  = 7001
)

// What the second link has, and the address of B's that both lead to.
var (
	secondA = testenv.End{Name: "wsk2", MAC: net.HardwareAddr{2, 0x77, 0, 0, 0, 0x2a}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.78.0.1/24")}}
	secondB = testenv.End{Name: "wsk3", MAC: net.HardwareAddr{2, 0x77, 0, 0, 0, 0x2b}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.78.0.2/24")}}
	shared  = netip.MustParsePrefix("10.99.0.1/32")
	viaB1   = netip.MustParseAddr("10.77.0.2")
	viaB2   = netip.MustParseAddr("10.78.0.2")
)

const secondIndex = 30

// world is what a fault happens to.
type world struct {
	fault *Fault
	rand  *rand.Rand
	log   *slog.Logger

	lab    *testenv.Lab
	second [2]*testenv.Iface // in A and in B
	run    uint64
	plan   account.Plan
	to     netip.Addr // where the datagrams go

	*provider  // nil where the datapath is another process's
	socket     *wsk.Socket
	receivers  []*wsk.Socket // that the flow has had
	sender     *account.Sender
	kernelMain *account.KernelSender
	main, ref  flow
	refSender  *account.KernelSender
	child      *process
	childTask  task
	childNS    *testenv.Namespace
	closers    []func() error
	counters   ledger
	extra      account.Counters // what only a fault knows of
	chunks     map[string]int
	noLock     uint64
}

// flow is a book and where its datagrams arrive.
type flow struct {
	book *account.Book
	got  *account.Arrivals
}

func (w *world) closeLater(f func() error) { w.closers = append(w.closers, f) }

// close ends everything, the latest first.
func (w *world) close() error {
	var errs []error
	for k := len(w.closers) - 1; k >= 0; k-- {
		errs = append(errs, w.closers[k]())
	}
	w.closers = nil
	return errors.Join(errs...)
}

// build makes laboratory, datapath, flows.
func (w *world) build() error {
	var top testenv.Topology
	if w.fault.topology != nil {
		w.fault.topology(&top)
	}
	lab, err := testenv.NewLab(top)
	if err != nil {
		return err
	}
	w.lab = lab
	w.closeLater(lab.Close)
	if w.fragmenting() {
		// The kernel tells of a datagram that lost a piece when it gives it up.
		for _, ns := range []*testenv.Namespace{lab.A.NS, lab.B.NS} {
			if err := ns.Sysctl("ipv4/ipfrag_time", "1"); err != nil {
				return err
			}
		}
	}
	w.to = lab.B.IPv4()
	if w.fault.Dir == Receive {
		w.to = lab.A.IPv4()
	}
	if w.fault.six {
		w.to = lab.B.IPv6()
		if w.fault.Dir == Receive {
			w.to = lab.A.IPv6()
		}
	}
	if w.fault.twoLinks {
		if err := w.addSecond(); err != nil {
			return err
		}
	}
	if w.fault.early != nil {
		if err := w.fault.early(w); err != nil {
			return err
		}
	}
	if err := w.openReference(); err != nil {
		return err
	}
	if w.fault.Dir == Send {
		err = w.openSend()
	} else {
		err = w.openReceive()
	}
	if err != nil {
		return err
	}
	return w.counters.start(w)
}

// fragmenting is whether datagrams do not fit a frame.
func (w *world) fragmenting() bool { return w.plan.MaxSize > 1472 }

func (w *world) addSecond() (err error) {
	if w.second[0], w.second[1], err = testenv.Connect(w.lab.A.NS, secondA, secondIndex, w.lab.B.NS, secondB, w.lab.Topology.MTU); err != nil {
		return err
	}
	lo, err := testenv.FindIface(w.lab.B.NS, "lo")
	if err != nil {
		return err
	}
	if w.fault.Dir == Send {
		w.to = shared.Addr()
	}
	return errors.Join(lo.AddAddr(shared), w.route(w.lab.A.If, viaB1, 10), w.route(w.second[0], viaB2, 20))
}

// openReference opens the flow of the kernel's own.
func (w *world) openReference() error {
	from, at := w.lab.A.NS, w.lab.B.NS
	if w.fault.Dir == Receive {
		from, at = at, from
	}
	to := netip.AddrPortFrom(w.to, refPort)
	r, err := account.NewKernelReceiver(at, netip.AddrPortFrom(anyOf(w.to), refPort), w.run, 0)
	if err != nil {
		return err
	}
	w.closeLater(r.Close)
	plan := account.Plan{Run: w.run, Flow: w.plan.Flow + 1, Size: 64, Rate: 200}
	if w.refSender, err = account.NewKernelSender(from, to, plan); err != nil {
		return err
	}
	w.closeLater(w.refSender.Close)
	w.ref = flow{w.refSender.Book, r.Arrivals}
	return nil
}

func anyOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func (w *world) options() datapath.Options {
	o := datapath.Options{NetNS: w.lab.A.NS.FD(), Logger: w.log}
	if w.fault.Dir == Receive {
		o.Receive = []string{w.lab.A.If.Name()}
	}
	if w.fault.options != nil {
		w.fault.options(&o)
	}
	return o
}

// local is what the WSK socket is bound to.
func (w *world) local() netip.AddrPort {
	a := anyOf(w.to)
	if w.fault.bound {
		a = w.lab.A.IPv4()
	}
	if w.fault.Dir == Receive {
		return netip.AddrPortFrom(a, mainPort)
	}
	return netip.AddrPortFrom(a, 0)
}

func (w *world) openSend() error {
	at := netip.AddrPortFrom(anyOf(w.to), mainPort)
	if w.fault.remoteKernel {
		w.main.got = account.NewArrivals(w.run)
		if err := w.startChild(w.lab.B.NS, task{Role: "kernel", Run: w.run, Local: at, Buffer: 1 << 20}); err != nil {
			return err
		}
	} else {
		r, err := account.NewKernelReceiver(w.lab.B.NS, at, w.run, w.fault.buffer)
		if err != nil {
			return err
		}
		w.closeLater(r.Close)
		w.main.got = r.Arrivals
	}
	if w.fault.remote {
		w.main.book = account.NewBook(w.plan.Flow, account.NTSTATUSName)
		w.childTask = task{Role: "send", Run: w.run, Local: w.local(), To: netip.AddrPortFrom(w.to, mainPort), Plan: w.plan,
			NoLock: w.noLock}
		return nil
	}
	if err := w.openProvider(); err != nil {
		return err
	}
	s, err := w.open(w.local(), nil)
	if err != nil {
		return err
	}
	w.socket = s
	w.sender = account.NewSender(s, wsk.NewSockaddr(netip.AddrPortFrom(w.to, mainPort)), w.plan)
	w.main.book = w.sender.Book
	return nil
}

func (w *world) openProvider() (err error) {
	if w.provider, err = openProvider(w.options()); err != nil {
		return err
	}
	w.closeLater(w.provider.close)
	return nil
}

func (w *world) openReceive() error {
	var err error
	if w.kernelMain, err = account.NewKernelSender(w.lab.B.NS, netip.AddrPortFrom(w.to, mainPort), w.plan); err != nil {
		return err
	}
	w.closeLater(w.kernelMain.Close)
	w.main.book = w.kernelMain.Book
	if w.fault.remote {
		w.main.got = account.NewArrivals(w.run)
		return w.startChild(w.lab.A.NS, task{Role: "receive", Run: w.run, Local: w.local(), Receive: w.lab.A.If.Name()})
	}
	if err := w.openProvider(); err != nil {
		return err
	}
	w.main.got = account.NewArrivals(w.run)
	return w.openReceiver()
}

// openReceiver opens the receiving socket, or another one.
func (w *world) openReceiver() (err error) {
	r := &account.EventReceiver{Arrivals: w.main.got}
	if w.socket, err = w.open(w.local(), r.Dispatch()); err == nil {
		w.receivers = append(w.receivers, w.socket)
	}
	return err
}

func (w *world) startChild(ns *testenv.Namespace, t task) error {
	p, err := startChild(ns, t, w.main.book, w.main.got)
	if err != nil {
		return err
	}
	w.child, w.childTask, w.childNS = p, t, ns
	w.closeLater(p.stop)
	return nil
}

// replaceSocket lets the flow go on with a new socket.
func (w *world) replaceSocket() error {
	if w.provider == nil {
		return nil
	}
	if err := closeSocket(w.socket); err != nil {
		return err
	}
	if w.fault.Dir == Receive {
		return w.openReceiver()
	}
	s, err := w.open(w.local(), nil)
	if err != nil {
		return fmt.Errorf("a new socket: %w", err)
	}
	w.socket = s
	w.sender.SetSocket(s)
	return nil
}

func deadline(d time.Duration) <-chan time.Time { return time.After(testenv.Patience(d)) }
