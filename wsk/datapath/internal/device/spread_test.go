// SPDX-License-Identifier: Apache-2.0

package device

import (
	"maps"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// nics are network cards by name, and what each spreads UDP by. One without an entry does not tell.
type nics struct {
	names map[int]string
	hash  map[hashKey]nic.FlowHash
	fixed bool // it tells, and can't be changed
}

type hashKey struct {
	name string
	ipv6 bool
}

func (n *nics) get(name string, ipv6 bool) (nic.FlowHash, error) {
	if h, ok := n.hash[hashKey{name, ipv6}]; ok {
		return h, nil
	}
	return 0, xdp.ErrNotSupported
}

func (n *nics) set(name string, ipv6 bool, h nic.FlowHash) error {
	if _, ok := n.hash[hashKey{name, ipv6}]; !ok || n.fixed {
		return xdp.ErrNotSupported
	}
	n.hash[hashKey{name, ipv6}] = h
	return nil
}

func (n *nics) nameOf(ifindex int) (string, error) { return n.names[ifindex], nil }

// TestSpreadIsUndone: what Options.SpreadReceive has set is as it was before when the intake is closed, and nothing
// else is touched: not what somebody set meanwhile, not what needed no change, not another interface of the same name.
func TestSpreadIsUndone(t *testing.T) {
	const hosts = nic.HashIPSource | nic.HashIPDest
	four, six, other := hashKey{"nic0", false}, hashKey{"nic0", true}, hashKey{"nic1", false}
	type hashes = map[hashKey]nic.FlowHash
	for name, tc := range map[string]struct {
		nics    nics
		during  hashes
		between func(*nics)
		after   hashes
	}{
		"both": {
			nics{hash: hashes{four: hosts, six: nic.HashIPSource}}, hashes{four: nic.HashFlow, six: nic.HashFlow}, nil,
			hashes{four: hosts, six: nic.HashIPSource},
		},
		"only one": {nics{hash: hashes{six: hosts}}, hashes{six: nic.HashFlow}, nil, hashes{six: hosts}},
		"spread before": {
			nics{hash: hashes{four: hosts | nic.HashPortSource, six: hosts}}, hashes{four: hosts | nic.HashPortSource, six: nic.HashFlow},
			nil, hashes{four: hosts | nic.HashPortSource, six: hosts},
		},
		"fixed": {nics{hash: hashes{four: hosts, six: hosts}, fixed: true}, hashes{four: hosts, six: hosts}, nil, hashes{four: hosts, six: hosts}},
		"somebody else": {
			nics{hash: hashes{four: hosts, six: hosts}}, hashes{four: nic.HashFlow, six: nic.HashFlow},
			func(n *nics) { n.hash[four] = hosts | nic.HashPortDest }, hashes{four: hosts | nic.HashPortDest, six: hosts},
		},
		"renamed": {
			nics{hash: hashes{four: hosts}}, hashes{four: nic.HashFlow},
			func(n *nics) { n.names[7], n.hash = "nic1", hashes{other: n.hash[four]} }, hashes{other: hosts},
		},
		"another in its place": {
			nics{hash: hashes{four: hosts}}, hashes{four: nic.HashFlow},
			func(n *nics) { n.names = map[int]string{8: "nic0"} }, hashes{four: nic.HashFlow},
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := newSet(t, nil, nil)
			n := &tc.nics
			n.names = map[int]string{7: "nic0"}
			p := set.NewProgram(7, "nic0")
			p.hasher = n
			p.spreadFlows()
			if !maps.Equal(n.hash, tc.during) {
				t.Errorf("spread: %v, want %v", n.hash, tc.during)
			}
			if tc.between != nil {
				tc.between(n)
			}
			p.Close()
			if !maps.Equal(n.hash, tc.after) {
				t.Errorf("closed: %v, want %v", n.hash, tc.after)
			}
			p.spreadFlows()
			if !maps.Equal(n.hash, tc.after) {
				t.Errorf("a program that was closed spreads flows: %v", n.hash)
			}
		})
	}
}

// TestNameOfInterface: the kernel's answer.
func TestNameOfInterface(t *testing.T) {
	lab, set, rd := labSet(t, testenv.NetNS, testenv.Topology{})
	for _, want := range []string{rd.Name, ""} {
		err := set.InNetNS(func() error {
			name, err := kernelHasher{}.nameOf(rd.Index)
			if name != want {
				t.Errorf("%q, want %q", name, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if want != "" {
			if err := lab.A.If.Delete(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
