// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packetRing is the transmit ring of a packet socket, for one goroutine. A slot is a struct tpacket2_hdr and, behind
// it, the frame (Documentation/networking/packet_mmap.rst).
type packetRing struct {
	fd  int
	mem []byte
	at  int // slot to be filled next
}

// packetData is where the frame begins in a slot: TPACKET2_HDRLEN less a struct sockaddr_ll, as tpacket_parse_header
// (net/packet/af_packet.c) has it.
const packetData = unix.SizeofTpacket2Hdr

func newPacketRing(ifIndex int) (r *packetRing, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	r = &packetRing{fd: fd}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, fmt.Errorf("set PACKET_VERSION: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return nil, fmt.Errorf("set PACKET_QDISC_BYPASS: %w", err)
	}
	// The default would hold less than a ring. Best effort: without CAP_NET_ADMIN it stays.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, packetSlots*packetSlotLen)
	req := unix.TpacketReq{
		Block_size: packetBlockLen, Block_nr: packetSlots * packetSlotLen / packetBlockLen, Frame_size: packetSlotLen, Frame_nr: packetSlots,
	}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &req); err != nil {
		return nil, fmt.Errorf("set PACKET_TX_RING: %w", err)
	}
	if r.mem, err = unix.Mmap(fd, 0, packetSlots*packetSlotLen, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map ring: %w", err)
	}
	// Protocol 0: it sends and receives nothing.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifIndex}); err != nil {
		return nil, fmt.Errorf("bind packet socket to interface %d: %w", ifIndex, err)
	}
	return r, nil
}

func (r *packetRing) header(slot int) *unix.Tpacket2Hdr {
	return (*unix.Tpacket2Hdr)(unsafe.Pointer(&r.mem[slot*packetSlotLen]))
}

// data is the room for the frame of a slot.
func (r *packetRing) data(slot int) []byte {
	return r.mem[slot*packetSlotLen+packetData : (slot+1)*packetSlotLen : (slot+1)*packetSlotLen]
}

// free reports whether the next slot is ours.
func (r *packetRing) free() bool {
	return atomic.LoadUint32(&r.header(r.at).Status) == unix.TP_STATUS_AVAILABLE
}

// put passes the next slot, which is free, to the kernel with a frame of n bytes.
func (r *packetRing) put(n int) {
	h := r.header(r.at)
	h.Len = uint32(n)
	atomic.StoreUint32(&h.Status, unix.TP_STATUS_SEND_REQUEST)
	if r.at++; r.at == packetSlots {
		r.at = 0
	}
}

// refused finds a slot that the kernel would not send, where it then stops.
func (r *packetRing) refused() error {
	if atomic.LoadUint32(&r.header(r.at).Status)&unix.TP_STATUS_WRONG_FORMAT != 0 {
		return errors.New("the kernel refused a frame: wrong format")
	}
	return nil
}

func (r *packetRing) close() error {
	var errs []error
	if r.mem != nil {
		errs = append(errs, unix.Munmap(r.mem))
		r.mem = nil
	}
	return errors.Join(append(errs, unix.Close(r.fd))...)
}
