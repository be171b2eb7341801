// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import "unsafe"

// rxnfc is the beginning of struct ethtool_rxnfc, which is all that the flow hash commands read and write, and room for
// the rest.
type rxnfc struct {
	cmd, flow uint32
	data      uint64
	_         [176]byte
}

// flowHash runs a flow hash command of ethtool.
func flowHash(ifname string, cmd, flow uint32, data uint64) (uint64, error) {
	r := rxnfc{cmd: cmd, flow: flow, data: data}
	if err := ethtoolIoctl(ifname, unsafe.Pointer(&r)); err != nil {
		return 0, err
	}
	return r.data, nil
}
