// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bpf

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Holder is an XDP program that is attached to an interface.
type Holder struct {
	// ID is the kernel's number for the program.
	ID uint32
	// Name is the program's name, "" if it has none or may not be read: NameErr tells.
	Name string
	// NameErr is why the name could not be read. Reading the name of another's program needs CAP_SYS_ADMIN.
	NameErr error
	// Mode is where it runs.
	Mode Mode
}

// Names by which programs are known. The kernel cuts them at 15 bytes.
const (
	ownName          = "wskxdp"
	dispatcherPrefix = "xdp_dispatcher"
)

// Dispatcher tells whether it is the dispatcher of libxdp, which runs several programs that were loaded through libxdp.
func (h Holder) Dispatcher() bool { return strings.HasPrefix(h.Name, dispatcherPrefix) }

// Own tells whether it is this package's program, of this process or another, as far as the name tells.
func (h Holder) Own() bool { return strings.HasPrefix(h.Name, ownName) }

// String returns number, name and mode.
func (h Holder) String() string {
	switch {
	case h.NameErr != nil:
		return fmt.Sprintf("program %d (%v; name unknown: %v)", h.ID, h.Mode, h.NameErr)
	case h.Name == "":
		return fmt.Sprintf("program %d (%v, without name)", h.ID, h.Mode)
	}
	return fmt.Sprintf("program %d %q (%v)", h.ID, h.Name, h.Mode)
}

// Holders returns the XDP programs that are attached to the interface in the network namespace of the calling thread. It
// needs no privilege; the names do.
func Holders(ifindex int) ([]Holder, error) {
	facts, err := queryInterface(ifindex)
	if err != nil {
		return nil, fmt.Errorf("query XDP programs of interface %d: %w", ifindex, err)
	}
	for i := range facts.holders {
		facts.holders[i].readName()
	}
	return facts.holders, nil
}

func (h *Holder) readName() {
	prog, err := ebpf.NewProgramFromID(ebpf.ProgramID(h.ID))
	if err != nil {
		h.NameErr = err
		return
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		h.NameErr = err
		return
	}
	h.Name = info.Name
}

// Attributes inside IFLA_XDP (include/uapi/linux/if_link.h).
const (
	iflaXDPDrvProgID = 5
	iflaXDPSkbProgID = 6
	iflaXDPHwProgID  = 7

	// attrTypeMask takes the flags off an attribute's type.
	attrTypeMask = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
)

// interfaceFacts is what the kernel tells of an interface, "" and nil for what it does not have.
type interfaceFacts struct {
	name    string
	kind    string   // such as "veth" or "tun", "" for a NIC
	holders []Holder // without the programs' names
}

// queryInterface asks the kernel for the facts.
func queryInterface(ifindex int) (facts interfaceFacts, err error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(ifindex)
	req.AddData(msg)
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return facts, fmt.Errorf("get link: %w", err)
	}
	for _, answer := range answers {
		if len(answer) < unix.SizeofIfInfomsg {
			return interfaceFacts{}, fmt.Errorf("get link: answer of %d bytes", len(answer))
		}
		if err := facts.read(answer[unix.SizeofIfInfomsg:]); err != nil {
			return interfaceFacts{}, fmt.Errorf("get link: %w", err)
		}
	}
	return facts, nil
}

func (f *interfaceFacts) read(b []byte) error {
	attrs, err := nl.ParseRouteAttr(b)
	if err != nil {
		return err
	}
	for _, attr := range attrs {
		switch attr.Attr.Type & attrTypeMask {
		case unix.IFLA_IFNAME:
			f.name = unix.ByteSliceToString(attr.Value)
		case unix.IFLA_LINKINFO:
			info, err := nl.ParseRouteAttr(attr.Value)
			if err != nil {
				return err
			}
			for _, attr := range info {
				if attr.Attr.Type&attrTypeMask == unix.IFLA_INFO_KIND {
					f.kind = unix.ByteSliceToString(attr.Value)
				}
			}
		case unix.IFLA_XDP:
			if f.holders, err = parseXDP(attr.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseXDP reads the program of each mode. Every kernel that has bpf_link for XDP names them apart.
func parseXDP(b []byte) ([]Holder, error) {
	attrs, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil, err
	}
	var holders []Holder
	for _, attr := range attrs {
		var mode Mode
		switch attr.Attr.Type & attrTypeMask {
		case iflaXDPDrvProgID:
			mode = Native
		case iflaXDPSkbProgID:
			mode = Generic
		case iflaXDPHwProgID:
			mode = Offload
		default:
			continue
		}
		if len(attr.Value) < 4 {
			return nil, fmt.Errorf("program number of %d bytes", len(attr.Value))
		}
		if id := binary.NativeEndian.Uint32(attr.Value); id != 0 {
			holders = append(holders, Holder{ID: id, Mode: mode})
		}
	}
	return holders, nil
}
