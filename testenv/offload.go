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
	err := i.ns.Do(func() error {
		have, err := readFeatures(i.name)
		if err != nil {
			return err
		}
		off := map[string]bool{}
		for _, f := range offloadFeatures {
			if have[f] {
				off[f] = false
			}
		}
		if len(off) == 0 {
			return nil
		}
		return writeFeatures(i.name, off)
	})
	if err != nil {
		return fmt.Errorf("turn offloads off on %s: %w", i.name, err)
	}
	return nil
}

// SetFeature turns a feature on or off by the name that the kernel gives it, such as rx-gro or tx-checksum-ip-generic.
func (i *Iface) SetFeature(name string, on bool) error {
	if err := i.ns.Do(func() error { return writeFeatures(i.name, map[string]bool{name: on}) }); err != nil {
		return fmt.Errorf("set feature %s on %s: %w", name, i.name, err)
	}
	return nil
}

// Features returns every feature of the interface and whether it is on.
func (i *Iface) Features() (features map[string]bool, err error) {
	err = i.ns.Do(func() (err error) {
		features, err = readFeatures(i.name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read features of %s: %w", i.name, err)
	}
	return features, nil
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
