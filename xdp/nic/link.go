// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"errors"
	"fmt"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// QueueCount is a number of queues and how it is known.
type QueueCount struct {
	N int
	// Exact is false when N is only an upper limit: the number allocated, of which fewer may be in use.
	Exact bool
	// Source names what said so: "netdev-genl", "ethtool" or "rtnetlink".
	Source string
}

// String is the number, with "at most" where it is a limit.
func (c QueueCount) String() string {
	if c.Exact {
		return fmt.Sprintf("%d", c.N)
	}
	return fmt.Sprintf("at most %d", c.N)
}

// Link is what opening a socket has to know of an interface.
type Link struct {
	Name               string
	Index              int
	TxQueues, RxQueues QueueCount
}

// FindLink looks an interface up in the network namespace of the calling thread, by its name, by its index where the
// name is empty, or by both, which must then agree. An interface that does not exist is ENODEV.
func FindLink(name string, index int) (Link, error) {
	l, err := findLink(name, index)
	if err != nil {
		return Link{}, err
	}
	a := l.Attrs()
	tx, rx := countQueues(a)
	return Link{Name: a.Name, Index: a.Index, TxQueues: tx, RxQueues: rx}, nil
}

func findLink(name string, index int) (netlink.Link, error) {
	var l netlink.Link
	var err error
	if name != "" {
		l, err = netlink.LinkByName(name)
	} else {
		l, err = netlink.LinkByIndex(index)
	}
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil, unix.ENODEV
	}
	if err != nil {
		return nil, err
	}
	if index != 0 && l.Attrs().Index != index {
		return nil, fmt.Errorf("%s is interface %d, not %d", name, l.Attrs().Index, index)
	}
	return l, nil
}

// countQueues finds the number of TX and RX queues in use, which decides where AF_XDP can send. rtnetlink tells only
// how many are allocated. sysfs tells the truth, but about the network namespace that it was mounted in, which need not
// be ours. So netdev-genl is asked (Linux 6.12, silent about an interface that is down), and then the driver.
func countQueues(a *netlink.LinkAttrs) (tx, rx QueueCount) {
	atMost := func(n int) QueueCount { return QueueCount{N: n, Exact: n == 1, Source: "rtnetlink"} }
	tx, rx = atMost(a.NumTxQueues), atMost(a.NumRxQueues)
	if tx.Exact && rx.Exact {
		return tx, rx
	}
	if q, err := netdevQueues(a.Index); err == nil {
		ntx, nrx := 0, 0
		for _, one := range q {
			if one.TX {
				ntx++
			} else {
				nrx++
			}
		}
		if ntx > 0 && nrx > 0 {
			return QueueCount{ntx, true, "netdev-genl"}, QueueCount{nrx, true, "netdev-genl"}
		}
	}
	e, err := ethtool.NewEthtool()
	if err != nil {
		return tx, rx
	}
	defer e.Close()
	ch, err := e.GetChannels(a.Name)
	if err != nil {
		return tx, rx
	}
	if n := int(ch.TxCount + ch.CombinedCount); n > 0 && n <= a.NumTxQueues {
		tx = QueueCount{n, true, "ethtool"}
	}
	if n := int(ch.RxCount + ch.CombinedCount); n > 0 && n <= a.NumRxQueues {
		rx = QueueCount{n, true, "ethtool"}
	}
	return tx, rx
}
