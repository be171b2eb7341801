// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// iface checks one interface.
func (c *checker) iface(i *InterfaceFacts) {
	c.driver(i)
	c.link(i)
	c.queues(i)
	if i.Obstacle == "" { // else no frame of AF_XDP leaves there, of whatever size and in whatever mode
		c.mtu(i)
		c.zeroCopy(i)
	}
	c.program(i)
	c.relatives(i)
	c.traffic(i)
}

func (c *checker) driver(i *InterfaceFacts) {
	name := i.Driver
	if name == "" {
		name = i.Kind
	}
	var more []string
	for _, s := range []string{i.Version, i.Firmware, i.Bus} {
		if s != "" && s != "N/A" {
			more = append(more, s)
		}
	}
	title := fmt.Sprintf("%s is a %s", i.Name, name)
	if !i.Ethernet {
		c.add("WX-DRIVER-01", Fail, title+" and has no Ethernet frames: no AF_XDP there", "", "choose an Ethernet interface")
		return
	}
	c.add("WX-DRIVER-01", OK, title, strings.Join(more, ", "), "")
	if i.Obstacle != "" {
		c.add("WX-CARRY-01", Warn, "what leaves through "+i.Name+" goes through the kernel's own stack only: no AF_XDP", i.Obstacle,
			"choose an interface that carries frames of AF_XDP: docs/host.md has the kinds")
	}
	switch tried := c.f.Trial; {
	case !i.FeaturesKnown && i.Kind == "veth" && tried != nil && tried.Native.Yes():
		c.add("WX-NATIVE-01", OK, "the driver has native XDP", "tried on a pair made for that", "")
	case !i.FeaturesKnown:
		c.add("WX-NATIVE-01", Note, "not known whether the driver has native XDP", "netdev-genl tells on Linux 6.12", "")
	case i.Native:
		c.add("WX-NATIVE-01", OK, "the driver has native XDP", i.XDPFeatures, "")
	default:
		c.add("WX-NATIVE-01", Note, "the driver has no native XDP: XDP receive in generic mode only", "sending does not need it", "")
	}
}

func (c *checker) link(i *InterfaceFacts) {
	switch {
	case !i.Up:
		c.add("WX-LINK-01", Fail, i.Name+" is administratively down", "its routes are gone, so sends end in STATUS_NETWORK_UNREACHABLE; what was on its way waits", "ip link set "+i.Name+" up")
	case !i.Carrier:
		remedy := "check the cable and the other end"
		if i.Kind == "veth" {
			remedy = "set the other end (" + i.Peer + ") up"
		}
		c.add("WX-LINK-01", Fail, i.Name+" has no carrier ("+i.OperState+")", "in copy mode the device drops what is sent (STATUS_NETWORK_UNREACHABLE), in zero-copy it waits", remedy)
	default:
		c.add("WX-LINK-01", OK, i.Name+" is up and has carrier", "", "")
	}
}

func (c *checker) queues(i *InterfaceFacts) {
	about := ""
	if !i.QueuesExact {
		about = "an upper bound; the kernel does not tell how many are in use"
	}
	switch {
	case i.TxQueues < 1:
		c.add("WX-QUEUE-01", Fail, i.Name+" has no transmit queue", about, "ethtool -L "+i.Name+" tx 1")
	case i.RxQueues > i.TxQueues:
		c.add("WX-QUEUE-01", Note, fmt.Sprintf("%s to send, %d to receive", units.Plural(i.TxQueues, "queue"), i.RxQueues),
			"AF_XDP binds to a receive queue without a transmit queue too, and then sends nothing; wsk-xdp refuses that", "")
	default:
		c.add("WX-QUEUE-01", OK, fmt.Sprintf("%s to send, %d to receive", units.Plural(i.TxQueues, "queue"), i.RxQueues), about, "")
	}
	c.taken(i)
	switch {
	case i.RxQueues < 2 || i.FlowHash == "":
	case i.FlowHashPorts:
		c.add("WX-HASH-01", OK, "UDP is spread over the receive queues by port too ("+i.FlowHash+")", "", "")
	default:
		c.add("WX-HASH-01", Note, "UDP is spread over the receive queues by "+i.FlowHash+", without ports",
			"all datagrams between two hosts come in on one queue", "ethtool -N "+i.Name+" rx-flow-hash udp4 sdfn, or the datapath's SpreadReceive")
	}
	if i.TxRing > 0 || i.RxRing > 0 {
		c.add("WX-RING-01", OK, fmt.Sprintf("rings of the NIC: %d to send, %d to receive", i.TxRing, i.RxRing), "", "")
	}
}

func (c *checker) mtu(i *InterfaceFacts) {
	const vethXDP = 3520 // the most with which a veth takes a native program
	largest := session.LargestMTU
	if i.Kind == "veth" {
		largest = vethXDP
	}
	remedy := fmt.Sprintf("ip link set %s mtu %d", i.Name, largest)
	switch {
	case i.MTU > session.LargestMTU && c.f.Trial != nil && c.f.Trial.MultiBuffer.Yes() && i.Kind != "veth":
		c.add("WX-MTU-01", OK, fmt.Sprintf("MTU %d: a large packet lies in several chunks, which this kernel takes", i.MTU), "", "")
	case i.MTU > session.LargestMTU && (c.f.Trial == nil || !c.f.Trial.MultiBuffer.Yes()):
		c.add("WX-MTU-01", Warn, fmt.Sprintf("MTU %d: a packet does not fit a chunk", i.MTU), "datagrams then go through the kernel's own stack", remedy)
	case i.MTU > largest:
		c.add("WX-MTU-01", Note, fmt.Sprintf("MTU %d: above %d a veth takes no native XDP program at its other end", i.MTU, vethXDP), "", remedy)
	default:
		c.add("WX-MTU-01", OK, fmt.Sprintf("MTU %d fits a chunk", i.MTU), "", "")
	}
}

func (c *checker) program(i *InterfaceFacts) {
	if i.Program == nil {
		c.add("WX-XDP-01", OK, "no XDP program is attached", "", "")
		return
	}
	p := i.Program
	name := p.Name
	if name == "" {
		name = "of unknown name: reading it needs privilege"
	}
	title := fmt.Sprintf("XDP program %d (%s) is attached in %s mode", p.ID, name, p.Mode)
	switch {
	case strings.HasPrefix(p.Name, "xdp_dispatcher"):
		c.add("WX-XDP-01", Note, title, "a libxdp dispatcher; sending is not affected, and wsk-xdp never replaces it",
			"to receive through XDP, end what uses it: xdp-loader status "+i.Name)
	default:
		c.add("WX-XDP-01", Note, title, "sending is not affected; wsk-xdp never replaces a program that is not its own",
			"to receive through XDP, end what attached it: bpftool net show dev "+i.Name)
	}
}

func (c *checker) zeroCopy(i *InterfaceFacts) {
	switch {
	case i.Tried != nil && i.Tried.ZeroCopy.Yes():
		c.add("WX-ZEROCOPY-01", OK, "a zero-copy bind on queue 0 was granted", i.Tried.cost(), "")
	case i.Tried != nil && i.ZeroCopy:
		c.add("WX-ZEROCOPY-01", Warn, "the driver announces zero-copy, but a bind on queue 0 was refused", i.Tried.ZeroCopy.Reason,
			"some drivers want fewer queues: ethtool -L "+i.Name)
	case i.ZeroCopy:
		c.add("WX-ZEROCOPY-01", OK, "the driver announces zero-copy", "not tried: an XDP program is attached for it, for which the link may go "+
			"down for seconds", "wsk-xdp doctor --try "+i.Name)
	case i.FeaturesKnown, i.Kind == "veth" && c.f.Trial != nil && c.f.Trial.ZeroCopy.No():
		c.add("WX-ZEROCOPY-01", Note, "the driver has no zero-copy: copy mode, about 1 Mpps per core", "", "")
	case i.Tried != nil:
		c.add("WX-ZEROCOPY-01", Note, "a zero-copy bind on queue 0 was refused", i.Tried.ZeroCopy.Reason, "")
	default:
		c.add("WX-ZEROCOPY-01", Note, "not known whether the driver has zero-copy", "netdev-genl tells on Linux 6.12",
			"wsk-xdp doctor --try "+i.Name)
	}
	if i.Tried == nil {
		return
	}
	if i.Tried.MultiBuffer.Yes() {
		c.add("WX-SG-01", OK, "frames of several chunks (XDP_USE_SG) are granted", "", "")
	} else {
		c.add("WX-SG-01", Note, "frames of several chunks (XDP_USE_SG) are not granted", i.Tried.MultiBuffer.Reason, "")
	}
}

func (c *checker) relatives(i *InterfaceFacts) {
	if i.Peer != "" {
		detail := "the peer receives through its softirq backlog"
		remedy := "for AF_XDP redirection into it: ethtool -K (the other end) gro on"
		if i.PeerNAPI {
			detail, remedy = "the peer receives through NAPI: it has GRO or an XDP program", ""
		}
		c.add("WX-VETH-01", OK, "the other end of the veth is "+i.Peer, detail, remedy)
	}
	switch i.MasterKind {
	case "":
		if i.Master != "" {
			c.add("WX-MASTER-01", Note, i.Name+" is a port of "+i.Master, "", "")
		}
	case "bond":
		c.add("WX-MASTER-01", Note, i.Name+" is a port of the bond "+i.Master,
			"an XDP program that is attached takes the link down for a moment, and the bond declares the port dead",
			"name the bond: an active-backup one is resolved to its active port")
	case "bridge":
		c.add("WX-MASTER-01", Note, i.Name+" is a port of the bridge "+i.Master,
			"the host's addresses are on the bridge; frames sent here bypass its forwarding table", "name the bridge instead")
	default:
		c.add("WX-MASTER-01", Note, i.Name+" is a port of "+i.Master+" ("+i.MasterKind+")", "", "")
	}
	if i.Lower != "" {
		c.add("WX-STACK-01", Note, fmt.Sprintf("%s is a %s on %s", i.Name, i.Kind, i.Lower),
			"where that is possible, AF_XDP is bound to the interface below, and frames are tagged here", "")
	}
}

func (c *checker) traffic(i *InterfaceFacts) {
	switch {
	case i.SSH:
		c.add("WX-SSH-01", Warn, "this SSH session runs over "+i.Name, "a blast that saturates it, or a link that goes down, takes the session away",
			"test on another interface, or in wsk-xdp lab")
	case i.DefaultRoute:
		c.add("WX-SSH-01", Note, "the default route uses "+i.Name, "a blast competes with everything else on it", "")
	}
}

// other is one line about an interface that was not asked about.
func (c *checker) other(o OtherFacts) {
	title := fmt.Sprintf("%s (%s): copy mode", o.Name, o.Driver)
	if o.ZeroCopy {
		title = fmt.Sprintf("%s (%s): zero-copy announced", o.Name, o.Driver)
	}
	if !o.Up {
		title += ", link down"
	}
	c.add("WX-IFACE-01", OK, title, "", "wsk-xdp doctor "+o.Name)
}

// cost is what a zero-copy bind takes, in words.
func (t *TriedFacts) cost() string {
	switch {
	case !t.WithProgram:
		return ""
	case t.LinkDown > 0:
		return fmt.Sprintf("with an XDP program that passes everything attached, as sending does; the link was down for %d ms", t.LinkDown)
	}
	return "with an XDP program that passes everything attached, as sending does; the link stayed up"
}
