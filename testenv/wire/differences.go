// SPDX-License-Identifier: Apache-2.0

package wire

// Difference is something that may be delivered differently, and why.
type Difference struct{ Name, Reason string }

// PartialChecksum is the one kind of frame that this side takes and the kernel does not.
const PartialChecksum = "partial checksum"

// NoAddresses is a frame of which the kernel's own delivery depends on how sockets lie in its table.
const NoAddresses = "no addresses"

// Differences are all that may differ. docs/host.md has them too.
var Differences = []Difference{
	{PartialChecksum, "On veth and other devices without a wire, a UDP checksum that is the bare sum of the pseudo-header is what a sender of " +
		"this machine leaves to its device. The kernel has that beside the frame; AF_XDP does not, and takes it for that. A stranger on such a device " +
		"may send one with a payload that nothing protects. On devices with a wire it is a wrong checksum."},
	{NoAddresses, "A datagram from 0.0.0.0 port 0 to 0.0.0.0 is a broadcast. The kernel looks for a connected socket first, takes one that is not " +
		"connected for that, be it one for IPv6 only, and delivers to that one alone. Here the sockets get it that get broadcasts."},
}
