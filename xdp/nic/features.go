// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"fmt"

	"github.com/safchain/ethtool"
)

// Features are the offloads of an interface of the calling thread's network namespace and whether each is on, by the names that the
// kernel has for them (net/ethtool/common.c), which are not those of ethtool -K: rx-vlan-hw-parse is rx-vlan-offload there.
func Features(ifname string) (features map[string]bool, err error) {
	err = withEthtool(func(e *ethtool.Ethtool) (err error) {
		features, err = e.Features(ifname)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read features of %s: %w", ifname, err)
	}
	return features, nil
}

// SetFeatures turns features on or off. A driver may have a feature fixed, which is no error: read them back.
func SetFeatures(ifname string, features map[string]bool) error {
	err := withEthtool(func(e *ethtool.Ethtool) error { return e.Change(ifname, features) })
	if err != nil {
		return fmt.Errorf("set features of %s: %w", ifname, err)
	}
	return nil
}

func withEthtool(do func(*ethtool.Ethtool) error) error {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return err
	}
	defer e.Close()
	return do(e)
}
