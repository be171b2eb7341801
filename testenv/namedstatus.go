// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NamedStatus is what StatusNamed found of one named lab.
type NamedStatus struct {
	Prefix     string
	Created    time.Time
	Namespaces []NamespaceStatus
}

// NamespaceStatus describes one namespace of a named lab.
type NamespaceStatus struct {
	Role     string // a, b or r
	Name     string
	Presence Presence
	Links    []LinkStatus // when Present, without lo
}

// LinkStatus describes an interface.
type LinkStatus struct {
	Name, Kind     string
	Index, MTU     int
	MAC, OperState string
	TX, RX         int // queues
	XDP            bool
	Addrs          []netip.Prefix // without link-local ones
}

// StatusNamed describes the named labs that are recorded: that of the prefix, or all of them for "". It needs root to
// look inside.
func StatusNamed(prefix string) ([]NamedStatus, error) {
	pattern := "*"
	if prefix != "" {
		if err := CheckPrefix(prefix); err != nil {
			return nil, err
		}
		pattern = prefix
	}
	paths, err := filepath.Glob(filepath.Join(stateDir, "lab-"+pattern+".json"))
	if err != nil {
		return nil, err
	}
	var out []NamedStatus
	for _, path := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "lab-"), ".json")
		state, err := readState(name)
		if err != nil {
			return out, err
		}
		status := NamedStatus{Prefix: name, Created: state.Created}
		for _, ns := range state.Namespaces {
			s, err := ns.status()
			if err != nil {
				return out, err
			}
			status.Namespaces = append(status.Namespaces, s)
		}
		out = append(out, status)
	}
	return out, nil
}

func (ns namedNamespace) status() (NamespaceStatus, error) {
	s := NamespaceStatus{Role: ns.Role, Name: ns.Name, Presence: ns.presence()}
	if s.Presence != Present {
		return s, nil
	}
	open, err := OpenNamespace(ns.Name)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			s.Presence = Absent
			return s, nil
		}
		return s, err
	}
	defer open.Close()
	s.Links, err = open.Links()
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("look into namespace %s: %w%s", ns.Name, err, rootHint(err))
	}
	return s, err
}

// Links describes the interfaces of the namespace, lo left out.
func (n *Namespace) Links() ([]LinkStatus, error) {
	h, err := n.Netlink()
	if err != nil {
		return nil, err
	}
	links, err := Dump(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var out []LinkStatus
	for _, l := range links {
		a := l.Attrs()
		if a.Name == "lo" {
			continue
		}
		s := LinkStatus{Name: a.Name, Kind: l.Type(), Index: a.Index, MTU: a.MTU, MAC: a.HardwareAddr.String(),
			OperState: a.OperState.String(), TX: a.NumTxQueues, RX: a.NumRxQueues, XDP: a.Xdp != nil && a.Xdp.Attached}
		addrs, err := Dump(func() ([]netlink.Addr, error) { return h.AddrList(l, netlink.FAMILY_ALL) })
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", a.Name, err)
		}
		for _, addr := range addrs {
			ip, ok := netip.AddrFromSlice(addr.IP)
			if ones, _ := addr.Mask.Size(); ok && addr.Scope != int(unix.RT_SCOPE_LINK) {
				s.Addrs = append(s.Addrs, netip.PrefixFrom(ip.Unmap(), ones))
			}
		}
		out = append(out, s)
	}
	return out, nil
}
