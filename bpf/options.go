// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

const (
	// DefaultMaxFrame is what an AF_XDP socket with chunks of 2048 bytes and no headroom of its own takes: the kernel
	// keeps XDP_PACKET_HEADROOM, 256 bytes.
	DefaultMaxFrame = 2048 - 256

	defaultQueues    = 1
	defaultPorts     = 4096
	defaultAddresses = 1024

	// Limits beyond which an option is a mistake. The kernel allows 4096 queues to a driver that exists, and allocates hash
	// maps whole: 1 Mi entries are about 90 MB.
	maxQueues  = 1 << 16
	maxEntries = 1 << 20
	// minFrame is the shortest frame that can hold a datagram.
	minFrame = 14 + 20 + 8
)

// Options size the maps and describe the sockets. The zero value is a single queue with sockets of 2048-byte chunks.
type Options struct {
	// Queues is the number of receive queues of the interface. Frames of queues beyond it pass. Default 1.
	Queues int
	// MaxPorts bounds the number of port entries. Default 4096.
	MaxPorts int
	// MaxAddresses bounds the number of own addresses, broadcast addresses included. Default 1024.
	MaxAddresses int
	// MaxFrame is the longest frame in bytes, from the Ethernet header on and without FCS, that the AF_XDP sockets can
	// take: for sockets of one buffer to a frame, chunk size − 256 − UMEM headroom. The kernel would drop longer ones, so the
	// program passes them. Default DefaultMaxFrame, 1792.
	MaxFrame int
	// MultiBuffer says that the sockets are bound with XDP_USE_SG (Linux 6.12). Without it frames of several buffers pass.
	MultiBuffer bool
	// Ifindex, if not 0, binds the program to an interface of the calling thread's network namespace: it can be attached only there,
	// and only in native mode, and sees VLAN tags that the driver has beside the frame (Linux 6.8; ask netdev-genl for the driver,
	// nic.RxMetadata). It passes such frames. Where it can't be loaded so, Load fails.
	Ifindex int
	// NoFrags loads the program without support for frames of several buffers even where the kernel has it (Linux 6.1). Drivers
	// then refuse native mode on a large MTU.
	NoFrags bool

	strict bool // the variant for loaders without CAP_PERFMON
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&o.Queues, defaultQueues}, {&o.MaxPorts, defaultPorts}, {&o.MaxAddresses, defaultAddresses}, {&o.MaxFrame, DefaultMaxFrame},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// validate reports every problem of options that have their defaults.
func (o Options) validate() error {
	var problems []error
	for _, c := range []struct {
		name          string
		value, lo, hi int
	}{
		{"queues", o.Queues, 1, maxQueues},
		{"ports", o.MaxPorts, 1, maxEntries},
		{"addresses", o.MaxAddresses, 1, maxEntries},
		{"longest frame", o.MaxFrame, minFrame, 1 << 17},
	} {
		if c.value < c.lo || c.value > c.hi {
			problems = append(problems, fmt.Errorf("%s %d: want %d to %d", c.name, c.value, c.lo, c.hi))
		}
	}
	return errors.Join(problems...)
}

// spec returns the object with these options in it, and nothing of this kernel yet.
func (o Options) spec() (*ebpf.CollectionSpec, error) {
	spec, err := loadWskxdp()
	if err != nil {
		return nil, fmt.Errorf("read embedded object: %w", err)
	}
	spec.Maps[wskxdpMapWskxdpXsks].MaxEntries = uint32(o.Queues)
	spec.Maps[wskxdpMapWskxdpPorts].MaxEntries = uint32(o.MaxPorts)
	// New addresses are entered before old ones go, so that one that stays is never missing: both sets must fit.
	spec.Maps[wskxdpMapWskxdpLocal].MaxEntries = 2 * uint32(o.MaxAddresses)
	if err := spec.Variables[wskxdpVarWskxdpMaxFrame].Set(uint32(o.MaxFrame)); err != nil {
		return nil, fmt.Errorf("set longest frame: %w", err)
	}
	var multi uint8
	if o.MultiBuffer {
		multi = 1
	}
	if err := spec.Variables[wskxdpVarWskxdpMultiBuffer].Set(multi); err != nil {
		return nil, fmt.Errorf("set multi buffer: %w", err)
	}
	return spec, nil
}
