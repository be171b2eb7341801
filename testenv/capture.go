// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Frame is one captured Ethernet frame.
type Frame struct {
	// Data are the exact bytes, VLAN tag included, without frame check sequence. They are never changed afterwards.
	Data []byte
	// Time is when the kernel saw the frame.
	Time time.Time
	// Outgoing says that the interface sent the frame rather than received it.
	Outgoing bool
	// PartialChecksum says that the transport checksum was left to hardware and is not complete in Data.
	PartialChecksum bool
}

// CaptureOptions says what to capture. The zero value takes both directions.
type CaptureOptions struct {
	// IncomingOnly leaves out what the interface sends.
	IncomingOnly bool
}

// Capture records the frames that pass an interface (AF_PACKET). It does not see frames that AF_XDP sends from that
// interface, nor those that an XDP program at it takes. Its methods may be called concurrently.
type Capture struct {
	file *os.File
	conn syscall.RawConn
	name string
	log  *record[Frame]
	done chan struct{}
}

// NewCapture starts to capture at the interface. When it returns, frames are being captured.
func NewCapture(i *Iface, opts CaptureOptions) (*Capture, error) {
	// Protocol 0 receives nothing until bind names interface and protocol together, so no foreign frame slips in.
	fd, err := i.ns.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("capture at %s: %w%s", i.name, err, privilegeHint(err))
	}
	c := &Capture{name: i.name, log: newRecord[Frame](), done: make(chan struct{})}
	if err := configureCapture(fd, i.Index(), opts); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("capture at %s: %w", i.name, err)
	}
	c.file = os.NewFile(uintptr(fd), "capture "+i.name)
	if c.conn, err = c.file.SyscallConn(); err != nil {
		c.file.Close()
		return nil, fmt.Errorf("capture at %s: %w", i.name, err)
	}
	go func() {
		defer close(c.done)
		c.log.end(c.read())
	}()
	return c, nil
}

func configureCapture(fd, ifindex int, opts CaptureOptions) error {
	growReceiveBuffer(fd)
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
		{unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, b2i(opts.IncomingOnly)},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("set socket option %d/%d: %w", o.level, o.name, err)
		}
	}
	mreq := unix.PacketMreq{Ifindex: int32(ifindex), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
		return fmt.Errorf("enter promiscuous mode: %w", err)
	}
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifindex})
}

func htons(v uint16) uint16 { return binary.NativeEndian.Uint16([]byte{byte(v >> 8), byte(v)}) }

// maxFrame is the largest Ethernet frame a link of this package carries: MTU 65535, header and two tags.
const maxFrame = 65535 + 14 + 8

func (c *Capture) read() error {
	buf, oob := make([]byte, maxFrame), make([]byte, controlSize)
	for {
		var f Frame
		err := recvmsg(c.conn, buf, oob, func(data, control []byte, from unix.Sockaddr) (err error) {
			f, err = parseCaptured(data, control, from)
			return err
		})
		switch {
		case errors.Is(err, ErrClosed):
			return err
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
			// ENETDOWN is reported once, when the interface goes down; capturing goes on when it comes back.
			continue
		case err != nil:
			return fmt.Errorf("capture at %s: %w", c.name, err)
		}
		c.log.add(f)
	}
}

// parseCaptured copies the frame and puts the VLAN tag back that the kernel moved to the side (struct tpacket_auxdata).
func parseCaptured(data, oob []byte, from unix.Sockaddr) (Frame, error) {
	f := Frame{Data: slices.Clone(data)}
	if ll, ok := from.(*unix.SockaddrLinklayer); ok {
		f.Outgoing = ll.Pkttype == unix.PACKET_OUTGOING
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return f, fmt.Errorf("parse control messages: %w", err)
	}
	ne := binary.NativeEndian
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16:
			f.Time = time.Unix(int64(ne.Uint64(m.Data)), int64(ne.Uint64(m.Data[8:])))
		case m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 20:
			status, tci, tpid := ne.Uint32(m.Data), ne.Uint16(m.Data[16:]), ne.Uint16(m.Data[18:])
			f.PartialChecksum = status&unix.TP_STATUS_CSUMNOTREADY != 0
			if status&unix.TP_STATUS_VLAN_VALID == 0 || len(f.Data) < 12 {
				continue
			}
			if status&unix.TP_STATUS_VLAN_TPID_VALID == 0 {
				tpid = unix.ETH_P_8021Q
			}
			f.Data = slices.Insert(f.Data, 12, byte(tpid>>8), byte(tpid), byte(tci>>8), byte(tci))
		}
	}
	return f, nil
}

// Frames returns what was captured so far, in order.
func (c *Capture) Frames() []Frame { return c.log.all() }

// Wait blocks until a frame matches and returns the first that does, from the start or the last Reset on. A nil match
// takes any.
func (c *Capture) Wait(ctx context.Context, match func(Frame) bool) (Frame, error) {
	if match == nil {
		match = func(Frame) bool { return true }
	}
	return c.log.find(ctx, "frames at "+c.name, match)
}

// WaitN blocks until n frames match and returns them.
func (c *Capture) WaitN(ctx context.Context, n int, match func(Frame) bool) ([]Frame, error) {
	var out []Frame
	_, err := c.log.find(ctx, "frames at "+c.name, func(f Frame) bool {
		if match == nil || match(f) {
			out = append(out, f)
		}
		return len(out) >= n
	})
	return out, err
}

// Reset forgets the captured frames.
func (c *Capture) Reset() { c.log.reset() }

// Dropped returns how many frames were lost because the reader was too slow, since the last call.
func (c *Capture) Dropped() (int, error) {
	var stats *unix.TpacketStats
	var err error
	cerr := c.conn.Control(func(fd uintptr) {
		stats, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err := errors.Join(cerr, err); err != nil {
		return 0, fmt.Errorf("read capture statistics of %s: %w", c.name, err)
	}
	return int(stats.Drops), nil
}

// Close ends the capture, and every Wait with it; what was captured stays. A second Close does nothing.
func (c *Capture) Close() error {
	err := c.file.Close()
	<-c.done
	if isClosed(err) {
		return nil
	}
	return err
}
