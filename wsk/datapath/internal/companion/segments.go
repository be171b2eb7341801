// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

const (
	// maxTogether is how many segments the kernel takes in one call (UDP_MAX_SEGMENTS of include/linux/udp.h, 128 since Linux
	// 6.9), and longestTogether how many bytes: the longest payload of an IPv4 datagram, which all of them are to it at first.
	maxTogether     = 64
	longestTogether = 65535 - 20 - 8
	// maxIovecs is UIO_MAXIOV of the kernel.
	maxIovecs = 1024
)

// sendBuf sends what is in a buffer, as datagrams of segment bytes each where that is not 0 (UDP_SEND_MSG_SIZE). The kernel cuts up
// as many as it takes at once (UDP_SEGMENT, udp(7)), which costs it little more than one. What it does not cut up, because the path
// takes no datagram of that size whole, or IPsec has it, or it has no checksum, is handed over one by one.
func (o *outlet) sendBuf(buf *wsk.Buf, segment int, sums bool, to unix.Sockaddr) error {
	total := int(buf.Length)
	if segment == 0 || segment >= total {
		return o.sendPart(buf, 0, total, to, o.control)
	}
	together := segment
	if sums {
		together = segment * max(1, min(maxTogether, longestTogether/segment))
	}
	for offset := 0; offset < total; {
		n, control := min(together, total-offset), o.control
		if n > segment {
			var size [2]byte
			binary.NativeEndian.PutUint16(size[:], uint16(segment))
			control = appendCmsg(control, unix.IPPROTO_UDP, unix.UDP_SEGMENT, size[:])
		}
		switch err := o.sendPart(buf, offset, n, to, control); {
		case err == nil:
			offset += n
		case n > segment && isUncut(err):
			together = segment
		default:
			return err
		}
	}
	return nil
}

// isUncut reports whether an error may be for what the kernel was to cut up, and not for a single segment of it (udp_send_skb of
// net/ipv4/udp.c and its equivalent for IPv6).
func isUncut(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EMSGSIZE)
}

var errShort = os.NewSyscallError("gather", unix.EFAULT)

// sendPart sends n bytes of a buffer.
func (o *outlet) sendPart(buf *wsk.Buf, offset, n int, to unix.Sockaddr, control []byte) error {
	o.pieces = o.pieces[:0]
	for cur := buf.Cursor(offset); n > 0; {
		piece := cur.Next(n)
		if len(piece) == 0 {
			return errShort
		}
		o.pieces = append(o.pieces, piece)
		n -= len(piece)
	}
	if len(o.pieces) > maxIovecs {
		var flat []byte
		for _, p := range o.pieces {
			flat = append(flat, p...)
		}
		o.pieces = append(o.pieces[:0], flat)
	}
	err := o.transmit(to, control)
	clear(o.pieces)
	return err
}
