// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The netdev generic-netlink family, include/uapi/linux/netdev.h.
const (
	netdevFamily = "netdev"

	netdevCmdDevGet   = 1
	netdevCmdQueueGet = 10

	netdevAttrDevIfindex     = 1
	netdevAttrDevXDPFeatures = 3
	netdevAttrDevZCMaxSegs   = 4
	netdevAttrDevRxMetadata  = 5
	netdevAttrDevXSKFeatures = 6

	netdevAttrQueueID      = 1
	netdevAttrQueueIfindex = 2
	netdevAttrQueueType    = 3
	netdevAttrQueueXSK     = 7

	netdevQueueTypeTX = 1
)

// XDPFeatures are the xdp-features of netdev-genl (Linux 6.12): what the driver can do with XDP programs.
type XDPFeatures uint64

// XSKFeatures are the xsk-features of netdev-genl (Linux 6.12): what the driver can do with TX metadata.
type XSKFeatures uint64

// RxMetadata are the xdp-rx-metadata-features of netdev-genl (Linux 6.8): what a program that is bound to the device can ask its driver
// of a frame.
type RxMetadata uint64

var (
	xdpFeatureNames = []string{"basic", "redirect", "ndo-xmit", "xsk-zerocopy", "hw-offload", "rx-sg", "ndo-xmit-sg"}
	xskFeatureNames = []string{"tx-timestamp", "tx-checksum", "tx-launch-time-fifo"}
	rxMetadataNames = []string{"timestamp", "hash", "vlan-tag"}
)

// ZeroCopy reports whether the driver has AF_XDP zero-copy.
func (f XDPFeatures) ZeroCopy() bool { return f&(1<<3) != 0 }

// Redirected reports whether the driver takes frames that an XDP program redirects to it (ndo_xdp_xmit).
func (f XDPFeatures) Redirected() bool { return f&(1<<2) != 0 }

// Native reports whether the driver runs XDP programs itself.
func (f XDPFeatures) Native() bool { return f&1 != 0 }

// TxChecksum reports whether the driver computes the checksums that TX metadata ask for, in zero-copy mode.
func (f XSKFeatures) TxChecksum() bool { return f&(1<<1) != 0 }

// VLANTag reports whether the driver tells of a VLAN tag that it has beside the frame.
func (f RxMetadata) VLANTag() bool { return f&(1<<2) != 0 }

// String lists the features by their names in the netdev specification.
func (f RxMetadata) String() string { return bitNames(uint64(f), rxMetadataNames) }

// String lists the features by their names in the netdev specification.
func (f XDPFeatures) String() string { return bitNames(uint64(f), xdpFeatureNames) }

// String lists the features by their names in the netdev specification.
func (f XSKFeatures) String() string { return bitNames(uint64(f), xskFeatureNames) }

func bitNames(bits uint64, names []string) string {
	var out []string
	for i := range 64 {
		if bits&(1<<i) == 0 {
			continue
		}
		if i < len(names) {
			out = append(out, names[i])
		} else {
			out = append(out, fmt.Sprintf("bit-%d", i))
		}
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, " ")
}

// Device is what netdev-genl tells of an interface.
type Device struct {
	XDP XDPFeatures
	XSK XSKFeatures
	// RxMetadata is 0 on a kernel that does not know it, too.
	RxMetadata RxMetadata
	// ZCMaxSegs is the most descriptors one zero-copy frame may have, 0 when the kernel does not say.
	ZCMaxSegs uint32
}

// NetdevQueue is one queue in use.
type NetdevQueue struct {
	ID uint32
	TX bool // else RX
	// Taken is whether an AF_XDP socket holds it (Linux 6.18; 6.12 never says so).
	Taken bool
}

// DeviceOf asks netdev-genl for the features of an interface of the calling thread's network namespace. The error wraps
// ErrNotSupported where the kernel does not know the question.
func DeviceOf(index int) (Device, error) {
	msgs, err := netdevRequest(netdevCmdDevGet, false, netdevAttrDevIfindex, index)
	if err != nil {
		return Device{}, err
	}
	if len(msgs) == 0 {
		return Device{}, errors.New("netdev: empty answer to dev-get")
	}
	return parseDevice(msgs[0])
}

// Devices asks netdev-genl for the features of all interfaces of the calling thread's network namespace, by their indexes. The error
// wraps ErrNotSupported where the kernel does not know the question.
func Devices() (map[int]Device, error) {
	msgs, err := genlRequest(netdevFamily, netdevCmdDevGet, true)
	if err = notKnown(err, netdevCmdDevGet); err != nil {
		return nil, err
	}
	all := make(map[int]Device, len(msgs))
	for _, m := range msgs {
		index := 0
		err := walkGenl(m, func(kind uint16, value []byte) {
			if kind == netdevAttrDevIfindex {
				index = int(attrUint(value))
			}
		})
		d, errDevice := parseDevice(m)
		if err = errors.Join(err, errDevice); err != nil {
			return nil, err
		}
		all[index] = d
	}
	return all, nil
}

// netdevQueues asks for the queues in use. An interface that is down has none.
func netdevQueues(index int) ([]NetdevQueue, error) {
	msgs, err := netdevRequest(netdevCmdQueueGet, true, netdevAttrQueueIfindex, index)
	if err != nil {
		return nil, err
	}
	queues := make([]NetdevQueue, 0, len(msgs))
	for _, m := range msgs {
		q, err := parseQueue(m)
		if err != nil {
			return nil, err
		}
		queues = append(queues, q)
	}
	return queues, nil
}

// netdevRequest runs one request about an interface. A kernel without the family or the command gives a FeatureError.
func netdevRequest(cmd uint8, dump bool, indexAttr, index int) ([][]byte, error) {
	msgs, err := genlRequest(netdevFamily, cmd, dump, nl.NewRtAttr(indexAttr, nl.Uint32Attr(uint32(index))))
	if err = notKnown(err, cmd); err != nil {
		return nil, err
	}
	return msgs, nil
}

// notKnown is the error of a request, a FeatureError where the kernel does not know it.
func notKnown(err error, cmd uint8) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return &FeatureError{Name: "netdev-genl", MinKernel: "6.12"}
	case errors.Is(err, unix.EOPNOTSUPP) && cmd == netdevCmdQueueGet:
		return &FeatureError{Name: "netdev-genl queue-get", MinKernel: "6.12"}
	}
	return err
}

func parseDevice(msg []byte) (d Device, err error) {
	err = walkGenl(msg, func(kind uint16, value []byte) {
		switch kind {
		case netdevAttrDevXDPFeatures:
			d.XDP = XDPFeatures(attrUint(value))
		case netdevAttrDevXSKFeatures:
			d.XSK = XSKFeatures(attrUint(value))
		case netdevAttrDevRxMetadata:
			d.RxMetadata = RxMetadata(attrUint(value))
		case netdevAttrDevZCMaxSegs:
			d.ZCMaxSegs = uint32(attrUint(value))
		}
	})
	return d, err
}

func parseQueue(msg []byte) (q NetdevQueue, err error) {
	err = walkGenl(msg, func(kind uint16, value []byte) {
		switch kind {
		case netdevAttrQueueID:
			q.ID = uint32(attrUint(value))
		case netdevAttrQueueType:
			q.TX = attrUint(value) == netdevQueueTypeTX
		case netdevAttrQueueXSK:
			q.Taken = true
		}
	})
	return q, err
}

// walkGenl calls f for each attribute of a generic-netlink message.
func walkGenl(msg []byte, f func(kind uint16, value []byte)) error {
	if len(msg) < nl.SizeofGenlmsg {
		return fmt.Errorf("netdev: answer of %d bytes", len(msg))
	}
	return walkAttrs("netdev", msg[nl.SizeofGenlmsg:], f)
}

// attrUint reads a number of 32 or 64 bits, which netlink's "uint" may both be. Anything else is 0.
func attrUint(b []byte) uint64 {
	switch len(b) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	case 8:
		return binary.NativeEndian.Uint64(b)
	}
	return 0
}
