// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// A driver, or what is below an interface, may take the VLAN tag out of a frame and put it beside. An XDP program sees it there only
// where it can ask the driver; elsewhere it would take a datagram of any VLAN for an untagged one. So this is looked at before a
// program is attached: the offload is turned off for as long as the program is there, or the program is bound to the driver that it
// can ask, or it is not attached.

// tagFeatures are the offloads by which a NIC takes tags out of frames. veth has them and does not look at them: there the tag is beside
// the frame if the sender has left it there.
var tagFeatures = []string{"rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"}

// features is what knows and sets the offloads of interfaces. Its methods are called on a thread of the datapath's namespace.
type features interface {
	get(ifname string) (map[string]bool, error)
	set(ifname string, on map[string]bool) error
}

type kernelFeatures struct{}

func (kernelFeatures) get(ifname string) (map[string]bool, error) { return nic.Features(ifname) }
func (kernelFeatures) set(ifname string, on map[string]bool) error {
	return nic.SetFeatures(ifname, on)
}

// unseenTags is why a program would not see the tags of frames.
type unseenTags struct {
	name, how, remedy string
	old               bool // there is no remedy but another kernel
	cause             error
}

func (e *unseenTags) Error() string {
	s := fmt.Sprintf("a frame of a VLAN comes in on %s with its tag beside it (%s), where the XDP program does not see it, "+
		"and would be taken for an untagged one", e.name, e.how)
	if e.cause != nil {
		s += fmt.Sprintf(": %v", e.cause)
	}
	if e.old {
		return s
	}
	return s + ": " + e.remedy + "; or, where no tagged frames come in, set Options.ReceiveTagsUnseen"
}

func (e *unseenTags) Unwrap() error { return e.cause }

// attachSeeing loads a program and attaches it so that it sees the tag of every frame, or refuses. The caller is in the datapath's
// namespace.
func (p *Program) attachSeeing(o bpf.Options) (*bpf.Program, *bpf.Attachment, error) {
	mode := p.set.Opts.ReceiveMode
	facts, err := nic.Inspect(p.Name)
	if err != nil {
		return nil, nil, err
	}
	unseen := p.tagsBeside(facts.Type)
	if unseen != nil && mode != bpf.Generic && facts.Device.RxMetadata.VLANTag() {
		bound := o
		bound.Ifindex = p.IfIndex
		prog, a, err := loadAndAttach(bound, p.IfIndex, bpf.Native)
		var conflict *bpf.ConflictError
		if err == nil || errors.As(err, &conflict) {
			return prog, a, err
		}
		unseen.cause, unseen.remedy = err, "see to it that the program can run in native mode"
	}
	if unseen != nil {
		unseen.old = facts.Type == "veth" && !facts.Device.RxMetadata.VLANTag()
		if !unseen.old && !p.set.Opts.TagsUnseen {
			return nil, nil, unseen
		}
		p.set.Log.Warn("VLAN tags are not seen", "interface", p.Name, "why", unseen)
	}
	prog, a, err := loadAndAttach(o, p.IfIndex, mode)
	p.unseen.Store(unseen != nil && err == nil)
	return prog, a, err
}

func loadAndAttach(o bpf.Options, ifindex int, mode bpf.Mode) (*bpf.Program, *bpf.Attachment, error) {
	prog, err := bpf.Load(o)
	if err != nil {
		return nil, nil, err
	}
	a, err := prog.Attach(ifindex, mode)
	if err != nil {
		return nil, nil, errors.Join(err, prog.Close())
	}
	return prog, a, nil
}

// tagsBeside finds out whether frames come in with their tags beside them, after it has done what can be done about it. kind is
// rtnetlink's name for what the interface is.
func (p *Program) tagsBeside(kind string) *unseenTags {
	switch kind {
	case "veth":
		return &unseenTags{
			name: p.Name, how: "its peer leaves them to hardware that is not there, tx-vlan-offload",
			remedy: "receive in native mode",
		}
	case "bridge", "team", "macvlan", "macvtap", "ipvlan", "ipvtap":
		return &unseenTags{name: p.Name, how: "the device below has taken it out", remedy: p.set.below(p.IfIndex)}
	}
	return p.takeTagsBack()
}

// below says what to receive on instead of an interface that gets its frames from others.
func (set *Set) below(ifindex int) string {
	devices := set.Routes.Devices()
	var own route.Device
	for _, d := range devices {
		if d.Index == ifindex {
			own = d
		}
	}
	var names []string
	for _, d := range devices {
		if d.Index != ifindex && (d.Master == ifindex || own.Parent == d.Index && own.Parent != 0) {
			names = append(names, d.Name)
		}
	}
	if len(names) == 0 {
		return "leave it to the kernel's stack, which receives what Options.Receive does not name"
	}
	slices.Sort(names)
	return "name " + strings.Join(names, " and ") + " instead"
}

// takeTagsBack makes a NIC leave tags in the frames, until restoreTags.
func (p *Program) takeTagsBack() *unseenTags {
	p.lifeMu.Lock()
	defer p.lifeMu.Unlock()
	if p.closed {
		return nil
	}
	on := p.tagsOut()
	if len(on) == 0 {
		return nil
	}
	off := make(map[string]bool)
	for _, f := range on {
		off[f] = false
	}
	err := p.features.set(p.Name, off)
	left := p.tagsOut()
	for _, f := range left {
		delete(off, f)
	}
	p.tagsTaken = slices.Sorted(maps.Keys(off))
	if len(left) == 0 {
		p.set.Log.Info("the NIC leaves VLAN tags in the frames while the XDP program is attached", "interface", p.Name, "off", on)
		return nil
	}
	return &unseenTags{
		name: p.Name, how: strings.Join(left, " and ") + " of the NIC, which can't be turned off", cause: err,
		remedy: "leave it to the kernel's stack, which receives what Options.Receive does not name",
	}
}

// tagsOut lists the offloads that are on by which tags are taken out of frames. A driver that does not tell has none.
func (p *Program) tagsOut() (on []string) {
	have, err := p.features.get(p.Name)
	if err != nil {
		p.set.Log.Debug("read the features of an interface", "interface", p.Name, "err", err)
	}
	for _, f := range tagFeatures {
		if have[f] {
			on = append(on, f)
		}
	}
	return on
}

// restoreTags undoes takeTagsBack, unless the interface is gone.
func (p *Program) restoreTags() {
	p.lifeMu.Lock()
	taken := p.tagsTaken
	p.tagsTaken = nil
	p.lifeMu.Unlock()
	if len(taken) == 0 {
		return
	}
	on := make(map[string]bool)
	for _, f := range taken {
		on[f] = true
	}
	err := p.set.InNetNS(func() error {
		name, err := p.hasher.nameOf(p.IfIndex)
		if err != nil || name == "" {
			return err
		}
		return p.features.set(name, on)
	})
	if err != nil {
		p.set.Log.Warn("give VLAN tags back to the NIC: ethtool -K NAME rx-vlan-offload on does it", "interface", p.Name, "err", err)
	}
}
