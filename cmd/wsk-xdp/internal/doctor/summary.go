// SPDX-License-Identifier: Apache-2.0

package doctor

// Conclude says what the facts come to.
func Conclude(f *Facts) Summary {
	s := Summary{TXPossible: !f.AFXDP.No() && f.kernelTakesUs()}
	s.TX, s.RX, s.ZeroCopy, s.PassesBy = f.tx(), f.rx(), f.zeroCopy(), passesBy
	return s
}

const passesBy = "frames sent meet no rule of netfilter or tc and no tcpdump of the interface, and frames taken by XDP receive none either " +
	"(docs/host.md)."

func (f *Facts) kernelTakesUs() bool {
	for _, x := range Check(&Facts{Host: f.Host}) {
		if x.ID == "WX-KERNEL-01" && x.Level == Fail {
			return false
		}
	}
	return true
}

func (f *Facts) tx() string {
	switch {
	case f.AFXDP.No():
		return "no: this kernel has no AF_XDP sockets."
	case !f.kernelTakesUs():
		return "no: this kernel is too old."
	case f.Interface != nil && !f.Interface.Ethernet:
		return "no: " + f.Interface.Name + " is no Ethernet interface."
	case f.Interface != nil && f.Interface.Obstacle != "":
		return "not through " + f.Interface.Name + ": the kernel's own stack carries what leaves there, see WX-CARRY-01."
	case f.AFXDP.Yes() && f.Interface != nil && (!f.Interface.Up || !f.Interface.Carrier):
		return "yes in copy mode, but not now: the link of " + f.Interface.Name + " is down."
	case f.AFXDP.Yes() && !f.Privilege.Unlimited && f.Privilege.Memlock < f.Privilege.MemlockNeed:
		return "not with this limit of locked memory: see WX-MEMLOCK-01."
	case f.AFXDP.Yes() && f.Privilege.Policies != "":
		return "only with --assume-no-ipsec, since this process may not see what the kernel encrypts: see WX-IPSEC-01."
	case f.AFXDP.Yes():
		return "yes, in copy mode, with what this process holds; no XDP program is needed."
	case f.UserNS.Yes():
		return "not as this user here (CAP_NET_RAW is missing: sudo); in namespaces of one's own yes: wsk-xdp demo."
	}
	return "not as this user: CAP_NET_RAW is missing (sudo, or setcap cap_net_raw,cap_net_admin=ep)."
}

func (f *Facts) rx() string {
	const kernel = "through the kernel's UDP socket yes, without privilege"
	switch {
	case f.AFXDP.No():
		return kernel + "; through XDP no: there are no AF_XDP sockets."
	case f.Privilege.programs() && f.AFXDP.Yes():
		if t := f.Trial; t != nil && t.Where == trialHere && t.Error == "" && !t.Program.Yes() {
			return kernel + "; through XDP no, though CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are held: see WX-PROGRAM-01."
		}
		if f.Interface != nil && f.Interface.FeaturesKnown && !f.Interface.Native {
			return kernel + "; through XDP in generic mode only: the driver has no native XDP."
		}
		return kernel + "; through XDP too: CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are held."
	}
	if f.receivesStrictly() {
		return kernel + "; through XDP too: CAP_BPF and CAP_NET_ADMIN are held; CAP_PERFMON makes it faster, and engine xdp needs it."
	}
	return kernel + "; through XDP it needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (sudo)."
}

func (f *Facts) zeroCopy() string {
	i := f.Interface
	switch {
	case i == nil:
		for _, o := range f.Others {
			if o.ZeroCopy {
				return "name an interface: " + o.Name + " announces it."
			}
		}
		return "depends on the interface: name one."
	case i.Obstacle != "":
		return "no: AF_XDP sends nothing through " + i.Name + "."
	case i.Tried != nil && i.Tried.ZeroCopy.Yes():
		if i.Tried.WithProgram {
			return "yes: a bind on queue 0 was granted, " + i.Tried.cost() + "."
		}
		return "yes: a bind on queue 0 was granted."
	case i.Tried != nil && i.ZeroCopy:
		return "announced by the driver, but refused when tried."
	case i.ZeroCopy && (f.Privilege.programs() || f.receivesStrictly()):
		return "announced by the driver, not tried (--try)."
	case i.ZeroCopy:
		return "announced by the driver; needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN with most drivers."
	case i.FeaturesKnown, i.Kind == "veth" && f.Trial != nil && f.Trial.ZeroCopy.No():
		driver := i.Driver
		if driver == "" {
			driver = i.Kind
		}
		return "no: " + driver + " lacks it."
	}
	return "not known: the kernel does not tell (--try)."
}
