// SPDX-License-Identifier: Apache-2.0

package doctor

import "strings"

// features says what this kernel has, each found by trying.
func (c *checker) features() {
	c.feature("WX-BUDGET-01", "XDP_MAX_TX_SKB_BUDGET", c.f.TxBudget, "16 or 32 frames per wake-up in copy mode: more system calls at high rates")
	c.feature("WX-METADATA-01", "TX metadata", c.f.Metadata, "no checksum offload and no transmit timestamps")
	c.feature("WX-BUSYPOLL-01", "preferred busy polling", c.f.BusyPoll, "busy polling leaves the driver's interrupts on")
	t := c.f.Trial
	if t == nil {
		return
	}
	if t.Error != "" && !t.Copy.Yes() {
		c.add("WX-TRIAL-01", Note, "no veth pair to try this kernel's features on", t.Error, "sudo, or allow user namespaces: see WX-USERNS-01")
		return
	}
	detail := ""
	if t.Where != trialHere {
		detail = "in a " + t.Where + ": here it is not permitted"
	}
	if t.Copy.Yes() {
		c.add("WX-TRIAL-01", OK, "an AF_XDP socket was bound to a veth in copy mode", detail, "")
	} else {
		c.add("WX-TRIAL-01", Fail, "no AF_XDP socket can be bound to a veth in copy mode", t.Copy.Reason, "the reason says what is missing")
	}
	c.xdpProgram(t)
	c.feature("WX-MULTIBUF-01", "frames of several chunks (XDP_USE_SG)", t.MultiBuffer, "where the MTU is above 4010 the kernel's own stack sends")
	c.feature("WX-STATS-01", "counters of full and empty rings", t.Statistics, "frames lost on a full ring are not counted")
	c.feature("WX-NETDEV-01", "netdev-genl's list of driver features", t.Features, "what a driver can do is found by trying (--try)")
	c.feature("WX-NETDEV-02", "netdev-genl's list of queues", t.Queues,
		"the driver tells how many queues are in use, or only a bound is known")
	without := "a queue that is taken shows at the bind only (EBUSY)"
	if t.Diag.Yes() {
		without = "sock_diag is asked"
	}
	c.feature("WX-NETDEV-03", "netdev-genl's word on which queues AF_XDP sockets hold", t.Taken, without)
	c.diag(t.Diag)
	c.feature("WX-REMAP-01", "mapping the rings of a bound socket again", t.Remap, "a socket can't go over to another process")
}

// xdpProgram is about the program that receives.
func (c *checker) xdpProgram(t *TrialFacts) {
	const without = "datagrams are received through the kernel's UDP socket"
	c.feature("WX-PROGRAM-01", "the XDP program that receives", t.Program, without)
	if !t.Program.Yes() {
		return
	}
	c.feature("WX-FRAGS-01", "XDP programs for frames of several buffers", t.Frags, "drivers refuse native mode on a large MTU")
	c.feature("WX-ATTACH-01", "native XDP on a veth, by bpf_link", t.Native, "generic mode there")
	c.feature("WX-ATTACH-02", "generic XDP, by bpf_link", t.Generic, without)
}

// feature is one line about something that a kernel may lack.
func (c *checker) feature(id, name string, a Answer, without string) {
	switch {
	case a.Yes():
		c.add(id, OK, name+": yes", "", "")
	case a.No():
		remedy := "run a newer kernel if you need it"
		if _, since, ok := strings.Cut(a.Reason, "needs Linux "); ok {
			remedy = "run Linux " + strings.TrimRight(since, ")") + " or later if you need it"
		}
		c.add(id, Note, name+": no, so "+without, a.Reason, remedy)
	default:
		c.add(id, Note, name+": not known", a.Reason, "")
	}
}
