// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// GUID is a GUID as its 16 bytes lie in memory on Windows: Data1, Data2 and Data3 little-endian, Data4 as written.
type GUID [16]byte

// NPI_WSK_INTERFACE_ID names the WSK interface: {2227E803-8D8B-11D4-ABAD-009027719E09}.
var NPI_WSK_INTERFACE_ID = GUID{
	0x03, 0xE8, 0x27, 0x22, 0x8B, 0x8D, 0xD4, 0x11, 0xAB, 0xAD, 0x00, 0x90, 0x27, 0x71, 0x9E, 0x09,
}

// EventCallbackControl is WSK_EVENT_CALLBACK_CONTROL, the input of SO_WSK_EVENT_CALLBACK and
// WSK_SET_STATIC_EVENT_CALLBACKS. In C its NpiId is a pointer; raw bytes can't contain one here, so the GUID itself
// stands in its place, and the structure is 24 bytes: NpiId 0, EventMask u32 16, four bytes of padding.
type EventCallbackControl struct {
	NpiID     GUID
	EventMask uint32
}

// SizeofEventCallbackControl is the size of the encoded structure.
const SizeofEventCallbackControl = 24

// Append appends the encoded structure.
func (c EventCallbackControl) Append(b []byte) []byte {
	b = append(b, c.NpiID[:]...)
	b = binary.LittleEndian.AppendUint32(b, c.EventMask)
	return append(b, 0, 0, 0, 0)
}

// NewEventCallbackControl returns the encoded structure for events of the WSK interface, such as
// WSK_EVENT_RECEIVE_FROM.
func NewEventCallbackControl(eventMask uint32) []byte {
	return EventCallbackControl{NpiID: NPI_WSK_INTERFACE_ID, EventMask: eventMask}.Append(nil)
}

func (c *EventCallbackControl) parse(input []byte) NTSTATUS {
	if len(input) != SizeofEventCallbackControl {
		return STATUS_INVALID_PARAMETER
	}
	c.NpiID = GUID(input)
	c.EventMask = binary.LittleEndian.Uint32(input[16:])
	if c.NpiID != NPI_WSK_INTERFACE_ID {
		return STATUS_NOT_SUPPORTED
	}
	return STATUS_SUCCESS
}

// setEventCallback is SO_WSK_EVENT_CALLBACK. It returns STATUS_PENDING when the IRP waits for callbacks that are
// running.
func (s *Socket) setEventCallback(sn *snapshot, input []byte, irp *IRP) NTSTATUS {
	var c EventCallbackControl
	if status := c.parse(input); status != STATUS_SUCCESS {
		return status
	}
	switch {
	case sn.category != WSK_FLAG_DATAGRAM_SOCKET:
		return STATUS_INVALID_DEVICE_REQUEST
	case c.EventMask&^WSK_EVENT_DISABLE != WSK_EVENT_RECEIVE_FROM:
		return STATUS_INVALID_PARAMETER
	case sn.bind != bound:
		return STATUS_INVALID_DEVICE_STATE
	case !sn.receives:
		return STATUS_NOT_SUPPORTED
	case c.EventMask&WSK_EVENT_DISABLE != 0:
		return s.disableCallback(irp)
	case s.dispatch == nil || s.dispatch.ReceiveFromEvent == nil:
		return STATUS_INVALID_PARAMETER
	}
	r := &s.recv
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended != STATUS_SUCCESS {
		return r.ended
	}
	r.events.enabled = true
	r.events.enables++
	s.drainIfDue()
	return STATUS_SUCCESS
}

// disableCallback is what WSK_EVENT_DISABLE comes to. If callbacks are running, a call with an IRP has the IRP wait for them,
// and a call without one is told so. It never waits itself, since it may have been called by one of them.
func (s *Socket) disableCallback(irp *IRP) NTSTATUS {
	r := &s.recv
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &r.events
	if e.static {
		return STATUS_INVALID_DEVICE_REQUEST
	}
	e.disable()
	switch {
	case e.running == 0:
		return STATUS_SUCCESS
	case irp == nil:
		return STATUS_EVENT_PENDING
	}
	irp.PendingReturned = true
	irp.wait.socket, irp.wait.left, irp.wait.epoch = s, e.running, e.epoch
	e.waiting.push(irp)
	return STATUS_PENDING
}
