// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// ControlClient is WskControlClient. input and output are raw bytes, read and written during the call.
// outputSizeReturned, if not nil, is set to the number of bytes written, or to the number needed.
//
//   - WSK_TRANSPORT_LIST_QUERY stores the transports, an array of WSK_TRANSPORT (see [TransportInfo]) that is empty
//     when the provider has been detached. outputSizeReturned is required. If output is too small, or its size 0, the
//     status is STATUS_BUFFER_OVERFLOW.
//   - WSK_TRANSPORT_LIST_CHANGE needs an IRP, which stays pending until a provider is attached or detached. Cancel and
//     [Deregister] end it with STATUS_CANCELLED.
//   - WSK_CACHE_SD caches a self-relative SECURITY_DESCRIPTOR and stores its handle of 8 bytes, in C a pointer;
//     WSK_RELEASE_SD gives one reference back. Bytes that are no such descriptor, and an unknown handle, are
//     STATUS_INVALID_PARAMETER. See [ProviderNPI.CacheSecurityDescriptor].
//   - WSK_SET_STATIC_EVENT_CALLBACKS takes an [EventCallbackControl]. Its events are on for good in every socket that
//     is made from now on, as soon as the socket is bound, as far as they suit the socket's category.
//   - WSK_TDI_BEHAVIOR takes a ULONG, 0 or WSK_TDI_BEHAVIOR_BYPASS_TDI. There is no TDI, so it is bypassed in any case.
//   - WSK_TDI_DEVICENAME_MAPPING is STATUS_NOT_SUPPORTED, since there are no TDI devices to map to.
//
// WSK_SET_STATIC_EVENT_CALLBACKS and WSK_TDI_BEHAVIOR must come before the first socket; later they are
// STATUS_INVALID_DEVICE_STATE. A call with an IRP that must have none, and one without an IRP that needs one, are
// STATUS_INVALID_PARAMETER; an IRP completes with that status. An unknown code is STATUS_NOT_SUPPORTED. The call does
// not block and may be made from completion routines.
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

// beforeSockets makes a change that comes too late once there are sockets.
func (c *Client) beforeSockets(change func()) NTSTATUS {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hadSocket {
		return STATUS_INVALID_DEVICE_STATE
	}
	change()
	return STATUS_SUCCESS
}

// staticEvents are the static events of a socket that is being made; from now on they do not change.
func (c *Client) staticEvents() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hadSocket = true
	return c.events
}
