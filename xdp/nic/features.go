// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"fmt"
	"sync"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"
)

// Features are the offloads of an interface of the calling thread's network namespace and whether each is on, by the names that the
// kernel has for them (net/ethtool/common.c), which are not those of ethtool -K: rx-vlan-hw-parse is rx-vlan-offload there.
func Features(ifname string) (map[string]bool, error) {
	features, err := readFeatures(ifname)
	if err != nil {
		return nil, fmt.Errorf("read features of %s: %w", ifname, err)
	}
	return features, nil
}

// SetFeatures turns features on or off. A driver may have a feature fixed, which is no error: read them back.
func SetFeatures(ifname string, features map[string]bool) error {
	if err := writeFeatures(ifname, features); err != nil {
		return fmt.Errorf("set features of %s: %w", ifname, err)
	}
	return nil
}

func readFeatures(ifname string) (map[string]bool, error) {
	bits, err := featureBits.of(ifname)
	if err != nil {
		return nil, err
	}
	// struct ethtool_gfeatures: for each 32 features the words available, requested, active and never_changed.
	words := featureWords(unix.ETHTOOL_GFEATURES, bits, 4)
	if err := ethtoolWords(ifname, words); err != nil {
		return nil, err
	}
	features := make(map[string]bool, len(bits))
	for name, bit := range bits {
		features[name] = words[2+bit/32*4+2]>>(bit%32)&1 != 0
	}
	return features, nil
}

func writeFeatures(ifname string, features map[string]bool) error {
	bits, err := featureBits.of(ifname)
	if err != nil {
		return err
	}
	// struct ethtool_sfeatures: for each 32 features the words valid and requested.
	words := featureWords(unix.ETHTOOL_SFEATURES, bits, 2)
	for name, on := range features {
		bit, ok := bits[name]
		if !ok {
			return fmt.Errorf("this kernel knows no feature %q", name)
		}
		words[2+bit/32*2] |= 1 << (bit % 32)
		if on {
			words[2+bit/32*2+1] |= 1 << (bit % 32)
		}
	}
	return ethtoolWords(ifname, words)
}

// featureWords is a request of ethtool about all features: command, number of blocks, and so many words for each block.
func featureWords(cmd uint32, bits map[string]uint, perBlock uint32) []uint32 {
	last := uint(0)
	for _, bit := range bits {
		last = max(last, bit)
	}
	blocks := uint32(last/32 + 1)
	words := make([]uint32, 2+blocks*perBlock)
	words[0], words[1] = cmd, blocks
	return words
}

// featureBits are the places of features by their names. They are the kernel's, the same for all of its interfaces, and the library's
// buffer for them is a megabyte, so they are asked for once.
var featureBits featureNames

type featureNames struct {
	mu   sync.Mutex
	bits map[string]uint // nil until an interface has told them
}

// of is the map, asked for with that interface if it was not asked for before. It is not to be changed.
func (n *featureNames) of(ifname string) (map[string]uint, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.bits != nil {
		return n.bits, nil
	}
	e, err := ethtool.NewEthtool()
	if err != nil {
		return nil, err
	}
	defer e.Close()
	bits, err := e.FeatureNames(ifname)
	if err != nil {
		return nil, err
	}
	n.bits = bits
	return bits, nil
}
