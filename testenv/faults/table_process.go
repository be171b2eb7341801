// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

func queueFaults() []*Fault {
	var holder *process
	hold := func(w *world) (err error) {
		holder, err = startChild(w.lab.A.NS, task{Role: "hold", Receive: w.lab.A.If.Name()}, nil, nil)
		if err == nil {
			w.closeLater(holder.stop)
		}
		return err
	}
	release := func(*world) error { return holder.stop() }
	return []*Fault{
		{Name: "queue held at the start", harmless: true, Dir: Send, About: "Another process has the queue before the datapath opens, and lets it go.",
			early: hold, do: release},
		{Name: "queue taken by another", Dir: Send, bound: true, mortal: true,
			About: "The device is made anew and another process is faster to take its queue; then it lets it go.",
			do: func(w *world) error {
				index := w.lab.A.If.Index() + 40
				return steps(w.remove, func() error { return w.again(index) }, func() error { return hold(w) }, lasting(200*time.Millisecond),
					func() error { return release(w) })
			}},
		{Name: "program taken off", Dir: Receive, About: "The XDP program is detached by force.", do: detach},
		{Name: "program taken off and another there", Dir: Receive, About: "The XDP program is detached, another one comes for 0.3 s.",
			do: func(w *world) error {
				if err := detach(w); err != nil {
					return err
				}
				other, err := testenv.NewDropCounter(w.lab.A.If, testenv.DropCounterOptions{Pass: true})
				if err != nil {
					return nil // ours was back before
				}
				wait(300 * time.Millisecond)
				return other.Close()
			}},
	}
}

// detach takes the program off the interface, as bpftool link detach does.
func detach(w *world) error {
	var list []bpf.Holder
	err := w.lab.A.NS.Do(func() (err error) {
		list, err = bpf.Holders(w.lab.A.If.Index())
		return err
	})
	if err != nil {
		return err
	}
	var links link.Iterator
	defer links.Close()
	for links.Next() {
		info, err := links.Link.Info()
		if err != nil {
			continue
		}
		for _, h := range list {
			if uint32(info.Program) == h.ID {
				return links.Link.Detach()
			}
		}
	}
	return errors.New("the program has no link")
}

func processFaults() []*Fault {
	stopped := func(d time.Duration) func(*world) error {
		return func(w *world) error {
			return steps(func() error { return w.child.signal(unix.SIGSTOP) }, lasting(d), func() error { return w.child.signal(unix.SIGCONT) })
		}
	}
	fast := func(p *account.Plan) { p.Rate = 12_000 }
	return []*Fault{
		{Name: "receiver stopped", harmless: true, Dir: Send, remoteKernel: true, do: stopped(400 * time.Millisecond), plan: fast,
			About: "The process that receives is stopped (SIGSTOP) for 0.4 s."},
		{Name: "sender stopped", harmless: true, Dir: Send, remote: true, do: stopped(500 * time.Millisecond),
			About: "The process with the datapath is stopped for 0.5 s, with sends in flight."},
		{Name: "sender stopped, link flaps", Dir: Send, remote: true, About: "The process with the datapath is stopped while its link flaps.",
			do: func(w *world) error {
				return steps(func() error { return w.child.signal(unix.SIGSTOP) }, w.lab.A.If.SetDown, lasting(50*time.Millisecond), w.lab.A.If.SetUp,
					func() error { return w.child.signal(unix.SIGCONT) })
			}},
		{Name: "sender stopped, device again, netlink overrun", Dir: Send, remote: true,
			About: "The process with the datapath is stopped while its device is made anew with the same index and netlink overruns.",
			do: func(w *world) error {
				index := w.lab.A.If.Index()
				lo, err := testenv.FindIface(w.lab.A.NS, "lo")
				if err != nil {
					return err
				}
				return steps(func() error { return w.child.signal(unix.SIGSTOP) }, func() error { return lo.NeighbourStorm(30_000) }, w.remove,
					func() error { return w.again(index) }, func() error { return w.child.signal(unix.SIGCONT) })
			}},
		{Name: "receiver stopped", harmless: true, Dir: Receive, remote: true, do: stopped(400 * time.Millisecond), plan: fast,
			About: "The process with the datapath is stopped for 0.4 s; its ring overflows."},
		{Name: "process killed", Dir: Send, remote: true, quiet: true, plan: func(p *account.Plan) { p.Rate = 0 }, check: nextProcess,
			About: "The process with the datapath is killed (kill -9) with sends in flight; the next one sends.",
			do: func(w *world) error {
				err := w.child.kill()
				w.main.book.GiveUp(killedCode)
				w.main.book.Name = func(code uint32) string {
					if code == killedCode {
						return "killed"
					}
					return account.NTSTATUSName(code)
				}
				return err
			}},
		{Name: "process killed", Dir: Receive, remote: true, About: "The process with the datapath is killed (kill -9); the next one receives.",
			do: func(w *world) error {
				if err := w.child.kill(); err != nil {
					return err
				}
				// What was in its hands; the kernel tells of what was in its socket's.
				w.extra["WSK held by the killed process"] = uint64(w.plan.Rate / 20)
				return w.startChild(w.childNS, w.childTask)
			}},
	}
}

// killedCode is none of NTSTATUS.
const killedCode = 0xdead

// nextProcess: what another process has left opens at once, with AF_XDP, and sends.
func nextProcess(w *world) error {
	if err := w.openProvider(); err != nil {
		return err
	}
	s, err := w.open(w.local(), nil)
	if err != nil {
		return err
	}
	plan := account.Plan{Run: w.run, Flow: w.plan.Flow + 2, Size: 64, Rate: 2000, Window: 64}
	sender := account.NewSender(s, wsk.NewSockaddr(netip.AddrPortFrom(w.to, mainPort)), plan)
	ctx, cancel := testContext()
	defer cancel()
	sender.Run(ctx, burst)
	sender.Book.AwaitEnd(deadline(pendingLimit))
	_ = poll(settleLimit, "", func() bool { return w.main.got.Count(plan.Flow) == burst })
	v := account.Judge(sender.Book, w.main.got, &account.Evidence{})
	if v.OK != burst || v.Arrived != burst || v.Pending != 0 {
		return fmt.Errorf("the next process: of %d datagrams %d were sent, %d arrived; %s", burst, v.OK, v.Arrived, account.Tally(v.Failed))
	}
	if info := w.dp.Info(); info.SlowSent != 0 {
		return fmt.Errorf("the next process sent %d datagrams the slow path", info.SlowSent)
	}
	return nil
}

func resourceFaults() []*Fault {
	return []*Fault{
		{Name: "descriptors exhausted", harmless: true, Dir: Send, remote: true, twoLinks: true,
			About: "The process may open no descriptor more while the route changes to a device that it has not opened.",
			do: func(w *world) error {
				pid := w.child.cmd.Process.Pid
				names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
				if err != nil {
					return err
				}
				var old unix.Rlimit
				if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
					return err
				}
				less := unix.Rlimit{Cur: uint64(len(names)), Max: old.Max}
				return steps(func() error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &less, nil) },
					func() error { return w.route(w.second[0], viaB2, 5) }, lasting(300*time.Millisecond),
					func() error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &old, nil) })
			}},
		{Name: "no memory to lock", harmless: true, Dir: Send, remote: true, About: "The process may lock 64 KiB of memory only.",
			early: func(w *world) error { w.noLock = 64 << 10; return nil },
			do:    func(*world) error { wait(200 * time.Millisecond); return nil }},
		{Name: "receive buffer small", harmless: true, Dir: Send, lossy: true, buffer: 8 << 10, plan: func(p *account.Plan) { p.Rate = 20_000 },
			About: "The kernel's socket that receives has a buffer of 8 KiB.",
			do:    func(*world) error { wait(200 * time.Millisecond); return nil }},
		{Name: "unread socket beside", Dir: Receive, About: "Another WSK socket is sent 20,000 datagrams that nobody reads.", do: unread},
	}
}

// unread floods a socket that nobody reads.
func unread(w *world) error {
	other, err := w.open(netip.AddrPortFrom(anyOf(w.to), mainPort+2), nil)
	if err != nil {
		return err
	}
	plan := account.Plan{Run: w.run + 2, Flow: w.plan.Flow + 2, Size: 64, Rate: 40_000}
	s, err := account.NewKernelSender(w.lab.B.NS, netip.AddrPortFrom(w.to, mainPort+2), plan)
	if err != nil {
		return err
	}
	ctx, cancel := testContext()
	defer cancel()
	s.Run(ctx, 20_000)
	return errors.Join(s.Close(), closeSocket(other))
}
