// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Priorities of our filters at an ingress qdisc. Silence comes before hold so that both can be on.
const (
	silencePriority = 10
	holdPriority    = 20
)

var ingressHandle = netlink.MakeHandle(0xffff, 0)

// ifbDevice returns the index of the ifb with that name, making it if needed.
func ifbDevice(h *netlink.Handle, name string, up bool) (int, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	err := h.LinkAdd(&netlink.Ifb{LinkAttrs: attrs})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return 0, fmt.Errorf("create ifb %s (needs CONFIG_IFB): %w%s", name, err, privilegeHint(err))
	}
	l, err := h.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("find ifb %s: %w", name, err)
	}
	if up {
		if err := h.LinkSetUp(l); err != nil {
			return 0, fmt.Errorf("set ifb %s up: %w", name, err)
		}
	}
	return l.Attrs().Index, nil
}

func (i *Iface) addIngress(h *netlink.Handle) error {
	err := h.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: i.Index(), Handle: ingressHandle, Parent: netlink.HANDLE_INGRESS,
	}})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add ingress qdisc (needs CONFIG_NET_SCH_INGRESS): %w", err)
	}
	return nil
}

func matchAll() *netlink.TcU32Sel {
	return &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL, Nkeys: 1, Keys: []netlink.TcU32Key{{}}}
}

// addRedirect sends what matches at ingress out through the device to.
func (i *Iface) addRedirect(h *netlink.Handle, priority, protocol uint16, sel *netlink.TcU32Sel, to int) error {
	err := h.FilterReplace(&netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: i.Index(), Parent: ingressHandle, Priority: priority, Protocol: protocol},
		Sel:         sel,
		Actions: []netlink.Action{&netlink.MirredAction{
			ActionAttrs:  netlink.ActionAttrs{Action: netlink.TC_ACT_STOLEN},
			MirredAction: netlink.TCA_EGRESS_REDIR,
			Ifindex:      to,
		}},
	})
	if err != nil {
		return fmt.Errorf("redirect ingress (needs CONFIG_NET_CLS_U32 and CONFIG_NET_ACT_MIRRED): %w", err)
	}
	return nil
}

func (i *Iface) deleteRedirect(h *netlink.Handle, priority, protocol uint16) error {
	err := h.FilterDel(&netlink.GenericFilter{FilterAttrs: netlink.FilterAttrs{
		LinkIndex: i.Index(), Parent: ingressHandle, Priority: priority, Protocol: protocol,
	}, FilterType: "u32"})
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("delete ingress redirect on %s: %w", i.name, err)
	}
	return nil
}
