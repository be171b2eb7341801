// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// Options say what to look at.
type Options struct {
	NetNS       *netns.NS
	Interface   string
	Destination netip.Addr
	// Port is the destination's, 0 for none in particular.
	Port uint16
	// Try binds AF_XDP sockets to queue 0 of the interface, which on a driver with zero-copy may take its link down for
	// seconds. Where this ssh session runs over it, that takes Force.
	Try, Force bool
	// Prove sends datagrams in a laboratory of its own.
	Prove bool
	// Trial is what was tried before on this kernel; nil: it is tried now.
	Trial *TrialFacts
	// UserNS runs the self-test in a user namespace of its own; see RunSelfTest.
	UserNS func(ctx context.Context, prove bool) (SelfTest, error)
}

// Gather looks at everything. The error is about an interface that is not there, or a namespace that can't be entered.
func Gather(ctx context.Context, o Options) (Facts, error) {
	f := Facts{Host: host.Describe()}
	err := o.NetNS.Do(func() error {
		f.machine()
		f.Privilege.Policies = session.PoliciesUnreadable(o.NetNS.FD())
		if o.Destination.IsValid() && o.Interface == "" {
			f.Path = lookUp(ctx, o.NetNS.FD(), session.Query{Destination: o.Destination, Interface: o.Interface, Port: o.Port})
			if f.Path.Error == "" && f.Path.SlowReason == "" {
				o.Interface = f.Path.Device
			}
		}
		if o.Interface == "" {
			f.Others = others()
			return f.rules(o.NetNS.FD())
		}
		if o.Destination.IsValid() && f.Path == nil {
			f.Path = lookUp(ctx, o.NetNS.FD(), session.Query{Destination: o.Destination, Interface: o.Interface, Port: o.Port})
		}
		if err := f.inspect(ctx, &o); err != nil {
			return err
		}
		return f.rules(o.NetNS.FD())
	})
	if err != nil {
		return f, err
	}
	if f.Interface != nil && f.Interface.MTU > smallChunkMTU {
		f.Privilege.MemlockNeed *= 2 // the datapath takes chunks of twice the size
	}
	if f.Trial = o.Trial; f.Trial == nil {
		f.Trial = RunTrial()
	}
	f.userNS(ctx, o)
	if f.Interface != nil {
		f.Interface.settleTaken(f.Trial)
	}
	if f.Path != nil {
		f.Path.Carriage = f.carriage().waiting(f.Path)
	}
	return f, nil
}

// machine looks at the kernel and at what this process may do.
func (f *Facts) machine() {
	p := host.ReadPrivilege()
	f.Privilege = PrivilegeFacts{
		UID: p.UID, NetRaw: p.Has(unix.CAP_NET_RAW) && p.OwnNetNS, NetAdmin: p.Has(unix.CAP_NET_ADMIN) && p.OwnNetNS,
		BPF:     p.HasGlobally(unix.CAP_BPF) || p.HasGlobally(unix.CAP_SYS_ADMIN),
		PerfMon: p.HasGlobally(unix.CAP_PERFMON) || p.HasGlobally(unix.CAP_SYS_ADMIN), IPCLock: p.HasGlobally(unix.CAP_IPC_LOCK),
		InitialUserNS: p.InitialUserNS, OwnNetNS: p.OwnNetNS, Unlimited: p.Unlimited(), MemlockNeed: memlockNeed(),
	}
	if !f.Privilege.Unlimited {
		f.Privilege.Memlock = p.Memlock
	}
	f.SocketFacts = socketFacts()
}

// smallChunkMTU is the largest MTU whose packets fit a chunk of 2048 bytes (see session.LargestMTU).
const smallChunkMTU = 2048 - 14 - 2*4 - 64

// memlockNeed is the UMEM of one queue as the datapath opens it.
func memlockNeed() uint64 {
	o := xdp.DefaultOptions("", 0)
	return uint64(o.ChunkSize) * uint64(o.TxChunks+o.RxChunks)
}

// userNS finds out whether an ordinary user can have AF_XDP in namespaces of their own, and sends the proof that was
// asked for, here or there.
func (f *Facts) userNS(ctx context.Context, o Options) {
	inside, err := o.UserNS(ctx, o.Prove && !f.AFXDP.Yes())
	switch {
	case err != nil:
		f.UserNS = Answer{"no", err.Error()}
	case inside.AFXDP.Yes():
		f.UserNS = Answer{Answer: "yes"}
		if !f.AFXDP.Yes() {
			f.TxBudget, f.Metadata, f.BusyPoll = inside.TxBudget, inside.Metadata, inside.BusyPoll
		}
	default:
		f.UserNS = inside.AFXDP
	}
	if inside.Trial != nil && f.Trial.Error != "" && inside.Trial.Error == "" {
		f.Trial, f.Trial.Where = inside.Trial, trialUserNS
	}
	if !o.Prove {
		return
	}
	f.Proof = inside.Proof
	if f.AFXDP.Yes() {
		p := Prove(ctx)
		f.Proof = &p
	}
	if f.Proof == nil {
		f.Proof = &Proof{Error: f.UserNS.Reason}
	}
}

// others lists the Ethernet interfaces of the namespace.
func others() []OtherFacts {
	links, err := testenv.Dump(netlink.LinkList)
	if err != nil {
		return nil
	}
	var out []OtherFacts
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback != 0 || a.EncapType != "ether" {
			continue
		}
		i, err := nic.Inspect(a.Name)
		if err != nil {
			continue // gone meanwhile
		}
		driver := i.Driver
		if driver == "" {
			driver = i.Type
		}
		out = append(out, OtherFacts{i.Name, driver, i.Up && i.Running, i.Device.XDP.Native(), i.Device.XDP.ZeroCopy()})
	}
	return out
}
