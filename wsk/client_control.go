// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// ControlClient is WskControlClient. input and output are raw bytes, read and written during the call.
// outputSizeReturned, if not nil, is set to the number of bytes written, or needed.
//
//   - WSK_TRANSPORT_LIST_QUERY stores the transports, an array of WSK_TRANSPORT (see [TransportInfo]) that is
//     empty when the provider has been detached. outputSizeReturned is required. Too small an output, size 0
//     included, is STATUS_BUFFER_OVERFLOW.
//   - WSK_TRANSPORT_LIST_CHANGE needs an IRP, which stays pending until a provider is attached or detached. Cancel
//     and [Deregister] end it with STATUS_CANCELLED.
//   - WSK_CACHE_SD caches a self-relative SECURITY_DESCRIPTOR and stores its handle of 8 bytes, in C a pointer;
//     WSK_RELEASE_SD gives one reference back. What can't be read as a descriptor, and an unknown handle, is
//     STATUS_INVALID_PARAMETER. See [ProviderNPI.CacheSecurityDescriptor].
//   - WSK_SET_STATIC_EVENT_CALLBACKS takes an [EventCallbackControl]: those events that fit a socket's category are
//     on for every socket that is made from now on, as soon as it is bound, for good.
//   - WSK_TDI_BEHAVIOR takes a ULONG, 0 or WSK_TDI_BEHAVIOR_BYPASS_TDI. There is no TDI, so it is bypassed in any
//     case.
//   - WSK_TDI_DEVICENAME_MAPPING is STATUS_NOT_SUPPORTED, since there are no TDI devices to map to.
//
// WSK_SET_STATIC_EVENT_CALLBACKS and WSK_TDI_BEHAVIOR come before the first socket, else they are
// STATUS_INVALID_DEVICE_STATE. An IRP where there must be
// none is STATUS_INVALID_PARAMETER and completes with that; so does the lack of one where there must be one. An
// unknown code is STATUS_NOT_SUPPORTED. It does not block and may be called from completion routines.
func (npi *ProviderNPI) ControlClient(controlCode uint32, input, output []byte, outputSizeReturned *uintptr,
	irp *IRP,
) NTSTATUS {
	cancelled := irp != nil && irp.begin()
	if !npi.beginCall() {
		if irp != nil {
			return npi.refuse(irp)
		}
		if outputSizeReturned != nil {
			*outputSizeReturned = 0
		}
		return STATUS_INVALID_HANDLE
	}
	written, status := npi.controlClient(controlCode, input, output, outputSizeReturned != nil, cancelled, irp)
	if status == STATUS_PENDING {
		return STATUS_PENDING
	}
	if irp != nil {
		return npi.answer(irp, status, status)
	}
	if outputSizeReturned != nil {
		*outputSizeReturned = uintptr(written)
	}
	npi.Client.endCall()
	return status
}

func (npi *ProviderNPI) controlClient(code uint32, input, output []byte, sized, cancelled bool,
	irp *IRP,
) (int, NTSTATUS) {
	c := npi.Client
	if cancelled {
		return 0, STATUS_CANCELLED
	}
	switch code {
	case WSK_TRANSPORT_LIST_QUERY, WSK_TRANSPORT_LIST_CHANGE, WSK_CACHE_SD, WSK_RELEASE_SD,
		WSK_TDI_DEVICENAME_MAPPING, WSK_SET_STATIC_EVENT_CALLBACKS, WSK_TDI_BEHAVIOR:
		if needs := code == WSK_TRANSPORT_LIST_CHANGE; needs != (irp != nil) {
			return 0, STATUS_INVALID_PARAMETER
		}
	}
	switch code {
	case WSK_TRANSPORT_LIST_QUERY:
		if !sized {
			return 0, STATUS_INVALID_PARAMETER
		}
		return npi.Dispatch.provider.transportList(output)
	case WSK_TRANSPORT_LIST_CHANGE:
		return 0, c.subsystem.watchTransports(c, irp)
	case WSK_CACHE_SD:
		return c.cacheDescriptor(input, output)
	case WSK_RELEASE_SD:
		return 0, c.releaseDescriptor(input)
	case WSK_SET_STATIC_EVENT_CALLBACKS:
		return 0, c.setStaticEvents(input)
	case WSK_TDI_BEHAVIOR:
		return 0, c.setTDIBehavior(input)
	}
	return 0, STATUS_NOT_SUPPORTED
}

// allEvents are the events of all categories, which WSK_SET_STATIC_EVENT_CALLBACKS may mix.
const allEvents = WSK_EVENT_SEND_BACKLOG | WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT | WSK_EVENT_RECEIVE_FROM |
	WSK_EVENT_ACCEPT

func (c *Client) setStaticEvents(input []byte) NTSTATUS {
	var control EventCallbackControl
	if status := control.parse(input); status != STATUS_SUCCESS {
		return status
	}
	if control.EventMask == 0 || control.EventMask&^allEvents != 0 {
		return STATUS_INVALID_PARAMETER
	}
	return c.beforeSockets(func() { c.events |= control.EventMask })
}

func (c *Client) setTDIBehavior(input []byte) NTSTATUS {
	if len(input) != 4 || binary.LittleEndian.Uint32(input)&^WSK_TDI_BEHAVIOR_BYPASS_TDI != 0 {
		return STATUS_INVALID_PARAMETER
	}
	return c.beforeSockets(func() {})
}

// beforeSockets makes a change that sockets would not follow.
func (c *Client) beforeSockets(change func()) NTSTATUS {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hadSocket {
		return STATUS_INVALID_DEVICE_STATE
	}
	change()
	return STATUS_SUCCESS
}

// staticEvents are the events of a socket that is being made; from now on they don't change.
func (c *Client) staticEvents() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hadSocket = true
	return c.events
}
