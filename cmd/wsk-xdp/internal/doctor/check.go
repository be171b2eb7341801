// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Check turns facts into findings.
func Check(f *Facts) []Finding {
	c := &checker{f: f, group: GroupMachine}
	c.kernel()
	c.socket()
	c.userNS()
	c.group = GroupPrivilege
	c.privilege()
	c.memlock()
	c.group = GroupFeatures
	c.features()
	c.group = GroupInterface
	if f.Interface != nil {
		c.iface(f.Interface)
	}
	for _, o := range f.Others {
		c.other(o)
	}
	c.group = GroupRules
	if f.Rules != nil {
		c.hostRules(f.Rules)
	}
	c.group = GroupPath
	if f.Path != nil {
		c.path(f.Path)
	}
	c.group = GroupProof
	if f.Proof != nil {
		c.proof(f.Proof)
	}
	return c.out
}

// kernelNeedWakeup is the first kernel with what package xdp can't do without, and oldestTried the oldest that the
// tests ran on (docs/kernels.md).
const (
	kernelNeedWakeup = "5.4"
	oldestTried      = "5.10"
)

func (c *checker) kernel() {
	release := c.f.Host.Kernel
	major, minor := host.KernelVersion(release)
	at := func(a, b int) bool { return major > a || major == a && minor >= b }
	title := "kernel " + release
	switch {
	case major == 0:
		c.add("WX-KERNEL-01", Note, title, "the release has an unknown form, so nothing is concluded from it", "")
	case !at(5, 4):
		c.add("WX-KERNEL-01", Fail, title, "wsk-xdp needs Linux "+kernelNeedWakeup+" (need-wakeup and ring flags of AF_XDP)",
			"run a newer kernel")
	case !at(5, 10):
		c.add("WX-KERNEL-01", Warn, title, "older than every kernel that wsk-xdp was tested on, the oldest of which is "+oldestTried,
			"run a newer kernel, or see what wsk-xdp doctor --prove says")
	default:
		c.add("WX-KERNEL-01", OK, title, "", "")
	}
	switch {
	case at(5, 18) || !at(5, 4):
	case at(5, 12):
		c.add("WX-KERNEL-03", Note, "no blast --engine xdp", "live frames take Linux 5.18", "use --engine frames, or run a newer kernel")
	default:
		c.add("WX-KERNEL-03", Note, "no recv --engine xdp and no blast --engine xdp", "their programs take Linux 5.12 (BPF_CMPXCHG) and 5.18 (live frames)",
			"use other engines, or run a newer kernel")
	}
	if major == 6 && minor == 16 {
		c.add("WX-KERNEL-02", Warn, "this series can panic when frames sent over AF_XDP in copy mode reach a capture",
			"seen with 6.16.12 on a veth whose other end had a packet socket (xsk_destruct_skb below packet_rcv)",
			"run Linux 6.18 or 6.12, with which the same tests pass")
	}
}

func (c *checker) socket() {
	a := c.f.AFXDP
	switch {
	case a.Yes():
		c.add("WX-AFXDP-01", OK, "AF_XDP sockets can be opened here", "", "")
	case a.No():
		c.add("WX-AFXDP-01", Fail, "this kernel has no AF_XDP sockets", a.Reason, "run a kernel with CONFIG_XDP_SOCKETS=y")
	default:
		c.add("WX-AFXDP-01", Warn, "this process can't open an AF_XDP socket", a.Reason, "see WX-CAP-TX-01")
	}
}

func (c *checker) userNS() {
	a := c.f.UserNS
	if a.Yes() {
		c.add("WX-USERNS-01", OK, "AF_XDP works without root in a user and network namespace of one's own", "", "")
		return
	}
	c.add("WX-USERNS-01", Note, "AF_XDP without root, in a user and network namespace of one's own, is not to be had", a.Reason,
		"sudo wsk-xdp demo, or allow user namespaces (user.max_user_namespaces, kernel.unprivileged_userns_clone, "+
			"kernel.apparmor_restrict_unprivileged_userns)")
}

// setcap is what a binary needs to do everything without root.
const setcap = "setcap cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon,cap_ipc_lock=ep on the binary"

func (c *checker) privilege() {
	p := &c.f.Privilege
	foreign := ""
	if !p.OwnNetNS {
		foreign = "the network namespace belongs to another user namespace than this process, whose capabilities do not count there"
	}
	if p.NetRaw {
		c.add("WX-CAP-TX-01", OK, "CAP_NET_RAW is held, which opens AF_XDP sockets in copy mode", "", "")
	} else {
		c.add("WX-CAP-TX-01", Warn, "CAP_NET_RAW is not held: this process can't send over AF_XDP here", foreign,
			"sudo, or setcap cap_net_raw,cap_net_admin=ep on the binary; wsk-xdp demo needs neither")
	}
	if p.Policies != "" {
		c.add("WX-IPSEC-01", Warn, "the IPsec policies can't be read: all datagrams go through the kernel's stack, for what it encrypts must not leave in clear",
			p.Policies, "--assume-no-ipsec where there are none (Options.AssumeNoIPsec), sudo, or setcap cap_net_raw,cap_net_admin=ep on the binary")
	}
	switch {
	case p.programs():
		c.add("WX-CAP-RX-01", OK, "CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON are held: XDP programs can be attached (XDP receive, most zero-copy)", "", "")
	case c.f.receivesStrictly():
		c.add("WX-CAP-RX-01", Note, "CAP_PERFMON is not held: the XDP program that receives takes longer for each frame, and drivers refuse it on a large MTU",
			"the kernel puts barriers into a program of whoever lacks it", "sudo, or "+setcap)
	case p.NetAdmin && p.BPF && p.InitialUserNS:
		c.add("WX-CAP-RX-01", Note, "CAP_PERFMON is not held: the kernel refuses the XDP program that receives",
			"its verifier lets only CAP_PERFMON subtract pointers to a packet (\"pointer -= pointer prohibited\")", "sudo, or "+setcap)
	case !p.InitialUserNS:
		c.add("WX-CAP-RX-01", Note, "XDP programs can't be loaded in a user namespace: no XDP receive, no zero-copy",
			"the kernel asks for CAP_BPF in the first user namespace", "sudo outside of it")
	default:
		c.add("WX-CAP-RX-01", Note, "CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON are not all held: no XDP receive, no zero-copy with most drivers",
			foreign, "sudo, or "+setcap)
	}
}

func (c *checker) memlock() {
	p := &c.f.Privilege
	need := "one queue needs " + units.Bytes(p.MemlockNeed)
	switch {
	case p.Unlimited && p.IPCLock:
		c.add("WX-MEMLOCK-01", OK, "locked memory has no limit: CAP_IPC_LOCK is held", need, "")
	case p.Unlimited:
		c.add("WX-MEMLOCK-01", OK, "locked memory has no limit", need, "")
	case p.Memlock < p.MemlockNeed:
		c.add("WX-MEMLOCK-01", Warn, fmt.Sprintf("RLIMIT_MEMLOCK is %s: too little", units.Bytes(p.Memlock)),
			need+"; registering it fails with ENOBUFS", "ulimit -l "+fmt.Sprint(p.MemlockNeed/1024)+", LimitMEMLOCK= of the service, or CAP_IPC_LOCK")
	case p.Memlock < 2*p.MemlockNeed:
		c.add("WX-MEMLOCK-01", Note, fmt.Sprintf("RLIMIT_MEMLOCK is %s: enough for one queue", units.Bytes(p.Memlock)),
			need+"; the limit is shared by all processes of the user", "for more queues: ulimit -l unlimited, or CAP_IPC_LOCK")
	default:
		c.add("WX-MEMLOCK-01", OK, fmt.Sprintf("RLIMIT_MEMLOCK is %s: enough for %s", units.Bytes(p.Memlock),
			units.Plural(int(p.Memlock/max(p.MemlockNeed, 1)), "queue")), need, "")
	}
}

func (c *checker) proof(p *Proof) {
	title := fmt.Sprintf("%s sent over AF_XDP in a laboratory: %s completed, %s received", units.Plural(int(p.Sent), "datagram"),
		units.Grouped(p.Completed), units.Grouped(p.Received))
	switch {
	case p.Error != "":
		c.add("WX-PROVE-01", Fail, "sending over AF_XDP in a laboratory failed", title+": "+p.Error, "wsk-xdp demo shows more")
	case p.Completed != p.Sent || p.Received != p.Completed:
		c.add("WX-PROVE-01", Fail, title, "", "wsk-xdp demo shows more")
	default:
		c.add("WX-PROVE-01", OK, title, "in "+units.Nanoseconds(p.Elapsed), "")
	}
}
