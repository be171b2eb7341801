// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"log/slog"
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

// attachSeeing loads a program and attaches it so that it sees the tag of every frame; where it can't, it is refused unless that is
// allowed. unseen is what look has found, and what is left of it afterwards. The caller is in the datapath's namespace.
func attachSeeing(
	o bpf.Options, facts *nic.Interface, mode bpf.Mode, allowed bool, unseen *unseenTags,
) (*bpf.Program, *bpf.Attachment, *unseenTags, error) {
	asked := facts.Device.RxMetadata.VLANTag()
	if unseen != nil && mode != bpf.Generic && asked {
		bound := o
		bound.Ifindex = facts.Index
		prog, a, err := loadAndAttach(bound, facts.Index, bpf.Native)
		var conflict *bpf.ConflictError
		if err == nil || errors.As(err, &conflict) {
			return prog, a, nil, err
		}
		unseen.cause, unseen.remedy = err, "see to it that the program can run in native mode"
	}
	if unseen != nil {
		unseen.old = facts.Type == "veth" && !asked
		if !unseen.old && !allowed {
			return nil, nil, unseen, unseen
		}
	}
	prog, a, err := loadAndAttach(o, facts.Index, mode)
	return prog, a, unseen, err
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

// sight is what a program sees of the tags of an interface, and what has been done for it.
type sight struct {
	log      *slog.Logger
	features features
	taken    []string // offloads that were on, and are off until restore
}

// look finds out whether frames come in with their tags beside them, after it has done what can be done about it. kind is
// rtnetlink's name for what the interface is.
func (s *sight) look(ifindex int, name, kind string, devices []route.Device) *unseenTags {
	switch kind {
	case "veth":
		return &unseenTags{
			name: name, how: "its peer leaves them to hardware that is not there, tx-vlan-offload", remedy: "receive in native mode",
		}
	case "bridge", "team", "macvlan", "macvtap", "ipvlan", "ipvtap":
		return &unseenTags{name: name, how: "the device below has taken it out", remedy: below(ifindex, devices)}
	}
	return s.takeBack(name)
}

// leaveIt is what to do where nothing else helps.
const leaveIt = "leave it to the kernel's stack, which receives what Options.Receive does not name"

// below says what to receive on instead of an interface that gets its frames from others.
func below(ifindex int, devices []route.Device) string {
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
		return leaveIt
	}
	slices.Sort(names)
	return "name " + strings.Join(names, " and ") + " instead"
}

// takeBack makes a NIC leave tags in the frames.
func (s *sight) takeBack(name string) *unseenTags {
	on := s.out(name)
	if len(on) == 0 {
		return nil
	}
	off := make(map[string]bool)
	for _, f := range on {
		off[f] = false
	}
	err := s.features.set(name, off)
	left := s.out(name)
	for _, f := range left {
		delete(off, f)
	}
	s.taken = slices.Sorted(maps.Keys(off))
	if len(left) == 0 {
		s.log.Info("the NIC leaves VLAN tags in the frames while the XDP program is attached", "interface", name, "off", on)
		return nil
	}
	return &unseenTags{
		name: name, how: strings.Join(left, " and ") + " of the NIC, which can't be turned off", cause: err, remedy: leaveIt,
	}
}

// out lists the offloads that are on by which tags are taken out of frames. A driver that does not tell has none.
func (s *sight) out(name string) (on []string) {
	have, err := s.features.get(name)
	if err != nil {
		s.log.Debug("read the features of an interface", "interface", name, "err", err)
	}
	for _, f := range tagFeatures {
		if have[f] {
			on = append(on, f)
		}
	}
	return on
}

// restore undoes takeBack on an interface.
func (s *sight) restore(name string) error {
	on := make(map[string]bool)
	for _, f := range s.taken {
		on[f] = true
	}
	s.taken = nil
	if len(on) == 0 {
		return nil
	}
	return s.features.set(name, on)
}
