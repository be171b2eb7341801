// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// FlowHash is the set of header fields by which a NIC chooses the receive queue of a packet: the bits RXH_* of
// linux/ethtool.h.
type FlowHash uint64

// Fields of a FlowHash that concern UDP.
const (
	HashIPSource   FlowHash = 1 << 4
	HashIPDest     FlowHash = 1 << 5
	HashPortSource FlowHash = 1 << 6 // RXH_L4_B_0_1: the first two bytes behind the IP header
	HashPortDest   FlowHash = 1 << 7 // RXH_L4_B_2_3

	// HashFlow is what spreads the flows between two hosts: "sdfn" of ethtool -N.
	HashFlow = HashIPSource | HashIPDest | HashPortSource | HashPortDest
)

// Ports reports whether two flows between the same hosts may come in on different queues.
func (h FlowHash) Ports() bool { return h&(HashPortSource|HashPortDest) != 0 }

// String is the letters of ethtool -N, "none" without any.
func (h FlowHash) String() string {
	letters := ""
	for _, f := range []struct {
		bit    FlowHash
		letter string
	}{{HashIPSource, "s"}, {HashIPDest, "d"}, {HashPortSource, "f"}, {HashPortDest, "n"}} {
		if h&f.bit != 0 {
			letters += f.letter
		}
	}
	if letters == "" {
		return "none"
	}
	return letters
}

// Commands and flow types of linux/ethtool.h.
const (
	ethtoolGetFlowHash = 0x29
	ethtoolSetFlowHash = 0x2a

	flowUDP4 = 0x02
	flowUDP6 = 0x06
)

func udpFlow(ipv6 bool) uint32 {
	if ipv6 {
		return flowUDP6
	}
	return flowUDP4
}

// UDPFlowHash reads by which fields a NIC spreads UDP over IPv4, or over IPv6, across its queues. The interface is that
// of the calling thread's network namespace. The error wraps ErrNotSupported where the driver does not tell, as with
// one queue or with software devices.
func UDPFlowHash(ifname string, ipv6 bool) (FlowHash, error) {
	data, err := flowHash(ifname, ethtoolGetFlowHash, udpFlow(ipv6), 0)
	if err != nil {
		return 0, fmt.Errorf("read UDP flow hash of %s: %w", ifname, unsupportedHash(err))
	}
	return FlowHash(data), nil
}

// SetUDPFlowHash sets what UDPFlowHash reads, which needs CAP_NET_ADMIN. Fragments have ports in their first piece
// only, so that with ports in the hash the pieces of a datagram may come in on different queues: that is why many
// drivers begin without.
func SetUDPFlowHash(ifname string, ipv6 bool, h FlowHash) error {
	if _, err := flowHash(ifname, ethtoolSetFlowHash, udpFlow(ipv6), uint64(h)); err != nil {
		return fmt.Errorf("set UDP flow hash of %s to %v: %w", ifname, h, unsupportedHash(err))
	}
	return nil
}

func unsupportedHash(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return &FeatureError{Name: "choosing by what UDP is spread over queues (rx-flow-hash)", Detail: "the driver says " + err.Error()}
	}
	return err
}
