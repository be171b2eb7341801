// SPDX-License-Identifier: Apache-2.0

// Package packetring is the transmit ring of a packet socket that bypasses the queueing discipline: the fastest of the kernel's
// ways to send whole frames that is not AF_XDP (PACKET_TX_RING, TPACKET_V2, PACKET_QDISC_BYPASS).
package packetring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is such a ring, for one goroutine. A slot is a struct tpacket2_hdr and, behind it, the frame
// (Documentation/networking/packet_mmap.rst).
type Ring struct {
	fd   int
	mem  []byte
	slot int // bytes
	at   int // slot to be filled next
}

// Slots is how many there are, several bursts.
const Slots = 1024

const (
	leastSlot = 2048 // takes any Ethernet frame up to the usual MTU
	mostSlot  = 64 << 10
	blockLen  = 64 << 10
)

// ErrTooLong is wrapped where a frame is longer than a slot can be.
var ErrTooLong = errors.New("a frame is too long for the ring of a packet socket")

// dataAt is where the frame begins in a slot: TPACKET2_HDRLEN less a struct sockaddr_ll, as tpacket_parse_header
// (net/packet/af_packet.c) has it.
const dataAt = unix.SizeofTpacket2Hdr

// Open makes a ring for frames of up to so many bytes that leave through an interface.
func Open(ifIndex, longest int) (r *Ring, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	opened := &Ring{fd: fd, slot: leastSlot}
	r = opened
	for r.slot < longest+dataAt {
		r.slot *= 2
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.Close()) // where it returns an error, r is nil
		}
	}()
	if r.slot > mostSlot {
		return nil, fmt.Errorf("%d bytes: %w", longest, ErrTooLong)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, fmt.Errorf("set PACKET_VERSION: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return nil, fmt.Errorf("set PACKET_QDISC_BYPASS: %w", err)
	}
	// The default would hold less than a ring. Best effort: without CAP_NET_ADMIN it stays.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, Slots*r.slot)
	req := unix.TpacketReq{
		Block_size: blockLen, Block_nr: uint32(Slots * r.slot / blockLen), Frame_size: uint32(r.slot), Frame_nr: Slots,
	}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &req); err != nil {
		return nil, fmt.Errorf("set PACKET_TX_RING: %w", err)
	}
	if r.mem, err = unix.Mmap(fd, 0, Slots*r.slot, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map ring: %w", err)
	}
	// Protocol 0: it sends and receives nothing.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifIndex}); err != nil {
		return nil, fmt.Errorf("bind packet socket to interface %d: %w", ifIndex, err)
	}
	return r, nil
}

func (r *Ring) header(slot int) *unix.Tpacket2Hdr {
	return (*unix.Tpacket2Hdr)(unsafe.Pointer(&r.mem[slot*r.slot]))
}

// Data is the room for the frame of a slot.
func (r *Ring) Data(slot int) []byte {
	return r.mem[slot*r.slot+dataAt : (slot+1)*r.slot : (slot+1)*r.slot]
}

// At is the slot that is filled next.
func (r *Ring) At() int { return r.at }

// Free reports whether a slot is ours.
func (r *Ring) Free(slot int) bool {
	return atomic.LoadUint32(&r.header(slot).Status) == unix.TP_STATUS_AVAILABLE
}

// Kick has the kernel send what it can.
func (r *Ring) Kick() error { return unix.Sendto(r.fd, nil, unix.MSG_DONTWAIT, nil) }

// Put passes the next slot, which is free, to the kernel with a frame of n bytes.
func (r *Ring) Put(n int) {
	h := r.header(r.at)
	h.Len = uint32(n)
	atomic.StoreUint32(&h.Status, unix.TP_STATUS_SEND_REQUEST)
	if r.at++; r.at == Slots {
		r.at = 0
	}
}

// Refused finds whether the kernel would not send a slot, where it then stops.
func (r *Ring) Refused(slot int) error {
	if atomic.LoadUint32(&r.header(slot).Status)&unix.TP_STATUS_WRONG_FORMAT != 0 {
		return errors.New("the kernel refused a frame: wrong format")
	}
	return nil
}

// Close ends the socket.
func (r *Ring) Close() error {
	var errs []error
	if r.mem != nil {
		errs = append(errs, unix.Munmap(r.mem))
		r.mem = nil
	}
	return errors.Join(append(errs, unix.Close(r.fd))...)
}
