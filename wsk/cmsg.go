// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// CMSGHDR is the header of a control data object in the Windows x64 layout: cmsg_len SIZE_T at 0, cmsg_level INT at 8,
// cmsg_type INT at 12, little-endian, 16 bytes, followed by the data. The layout is that of struct cmsghdr of Linux on
// x86-64, but the constants and the payloads are others.
type CMSGHDR struct {
	Len   uint64 // header and data without the padding: WSA_CMSG_LEN
	Level int32
	Type  int32
}

// SizeofCMSGHDR is the size of a header, and so the smallest valid cmsg_len.
const SizeofCMSGHDR = 16

// CMsgLen is WSA_CMSG_LEN: the cmsg_len of an object with n bytes of data.
func CMsgLen(n int) int { return SizeofCMSGHDR + n }

// CMsgSpace is WSA_CMSG_SPACE: the room that an object with n bytes of data takes in a ControlInfo, padding included.
// ControlInfoLength is the sum of these.
func CMsgSpace(n int) int { return (SizeofCMSGHDR + n + 7) &^ 7 }

// CMsg is one object of a ControlInfo. Data lies in the ControlInfo.
type CMsg struct {
	Level int32
	Type  int32
	Data  []byte
}

// CMsgIter walks over the objects of a ControlInfo as WSA_CMSG_FIRSTHDR and WSA_CMSG_NXTHDR do. It trusts none of the
// bytes, reads each of them once and allocates nothing.
type CMsgIter struct {
	rest   []byte
	status NTSTATUS
}

// CMsgs begins a walk over control, which may be nil.
//
//	it := wsk.CMsgs(control)
//	for m, ok := it.Next(); ok; m, ok = it.Next() { … }
//	if it.Status() != wsk.STATUS_SUCCESS { … }
func CMsgs(control []byte) CMsgIter {
	it := CMsgIter{rest: control}
	if len(control) > 0 && len(control) < SizeofCMSGHDR {
		it.fail()
	}
	return it
}

// Next returns the next object, or false at the end and at the first malformed object: one whose cmsg_len is less than
// a header or reaches beyond the end. The padding of the last object may be missing. Bytes left over at the end that
// are too few for a header are ignored.
func (it *CMsgIter) Next() (m CMsg, ok bool) {
	b := it.rest
	if len(b) < SizeofCMSGHDR {
		return CMsg{}, false
	}
	n := binary.LittleEndian.Uint64(b)
	if n < SizeofCMSGHDR || n > uint64(len(b)) {
		it.fail()
		return CMsg{}, false
	}
	m.Level = int32(binary.LittleEndian.Uint32(b[8:]))
	m.Type = int32(binary.LittleEndian.Uint32(b[12:]))
	m.Data = b[SizeofCMSGHDR:n:n]
	it.rest = b[min((n+7)&^7, uint64(len(b))):]
	return m, true
}

// Status is STATUS_INVALID_PARAMETER after a malformed object and STATUS_SUCCESS otherwise.
func (it *CMsgIter) Status() NTSTATUS { return it.status }

func (it *CMsgIter) fail() {
	it.rest = nil
	it.status = STATUS_INVALID_PARAMETER
}
