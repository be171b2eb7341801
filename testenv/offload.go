// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"
)

// offloadFeatures are those of veth that change what crosses the wire: partial checksums and unsegmented datagrams on
// the way out, merged ones on the way in. Names as the kernel has them (net/ethtool/common.c,
// netdev_features_strings).
var offloadFeatures = []string{
	"tx-checksum-ip-generic", "tx-checksum-sctp", "tx-generic-segmentation", "tx-tcp-segmentation",
	"tx-tcp6-segmentation", "tx-udp-segmentation", "tx-scatter-gather", "rx-gro", "rx-gro-list", "rx-udp-gro-forwarding",
}

// DisableOffloads turns off checksum and segmentation offload and receive offload, so that every frame crosses the
// link as it would cross a cable.
func (i *Iface) DisableOffloads() error {
	return i.withEthtool("turn offloads off", func(e *ethtool.Ethtool) error {
		have, err := e.Features(i.name)
		if err != nil {
			return err
		}
		config := map[string]bool{}
		for _, f := range offloadFeatures {
			if have[f] {
				config[f] = false
			}
		}
		if len(config) == 0 {
			return nil
		}
		return e.Change(i.name, config)
	})
}

// SetFeature turns a feature on or off by the name that the kernel gives it, such as rx-gro or tx-checksum-ip-generic.
func (i *Iface) SetFeature(name string, on bool) error {
	return i.withEthtool("set feature "+name, func(e *ethtool.Ethtool) error {
		return e.Change(i.name, map[string]bool{name: on})
	})
}

// Features returns every feature of the interface and whether it is on.
func (i *Iface) Features() (map[string]bool, error) {
	var out map[string]bool
	err := i.withEthtool("read features", func(e *ethtool.Ethtool) (err error) {
		out, err = e.Features(i.name)
		return err
	})
	return out, err
}

// Queues returns the numbers of transmit and receive queues in use, or of those that were allocated where the driver
// does not say: the veth of Linux 5.10, which uses all of them.
func (i *Iface) Queues() (tx, rx int, err error) {
	err = i.withEthtool("read channels", func(e *ethtool.Ethtool) error {
		c, err := e.GetChannels(i.name)
		tx, rx = int(c.TxCount+c.CombinedCount), int(c.RxCount+c.CombinedCount)
		return err
	})
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return tx, rx, err
	}
	a, err := i.Attrs()
	if err != nil {
		return 0, 0, err
	}
	return a.NumTxQueues, a.NumRxQueues, nil
}

func (i *Iface) withEthtool(what string, f func(*ethtool.Ethtool) error) error {
	err := i.ns.Do(func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		return f(e)
	})
	if err != nil {
		return fmt.Errorf("%s on %s: %w", what, i.name, err)
	}
	return nil
}
