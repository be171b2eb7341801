// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// TransportInfo is WSK_TRANSPORT, 28 bytes: Version USHORT 0, SocketType USHORT 2, Protocol ULONG 4, AddressFamily
// USHORT 8, two bytes of padding, ProviderId GUID 12.
type TransportInfo struct {
	Version       uint16
	SocketType    uint16
	Protocol      uint32
	AddressFamily uint16
	ProviderID    GUID
}

// SizeofTransport is the size of a WSK_TRANSPORT.
const SizeofTransport = 28

// providerID is the ProviderId of the UDP transports here, {5B8E6C5A-1F0E-4C56-9D3C-6D2B0E7A41C7}, a GUID of this
// project's own.
var providerID = GUID{0x5A, 0x6C, 0x8E, 0x5B, 0x0E, 0x1F, 0x56, 0x4C, 0x9D, 0x3C, 0x6D, 0x2B, 0x0E, 0x7A, 0x41, 0xC7}

// Append appends the encoded structure.
func (t TransportInfo) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, t.Version)
	b = binary.LittleEndian.AppendUint16(b, t.SocketType)
	b = binary.LittleEndian.AppendUint32(b, t.Protocol)
	b = binary.LittleEndian.AppendUint32(b, uint32(t.AddressFamily))
	return append(b, t.ProviderID[:]...)
}

// ParseTransports reads the output of WSK_TRANSPORT_LIST_QUERY. It reports false when b does not consist of whole
// structures.
func ParseTransports(b []byte) ([]TransportInfo, bool) {
	if len(b)%SizeofTransport != 0 {
		return nil, false
	}
	list := make([]TransportInfo, 0, len(b)/SizeofTransport)
	for ; len(b) > 0; b = b[SizeofTransport:] {
		list = append(list, TransportInfo{
			Version:       binary.LittleEndian.Uint16(b),
			SocketType:    binary.LittleEndian.Uint16(b[2:]),
			Protocol:      binary.LittleEndian.Uint32(b[4:]),
			AddressFamily: binary.LittleEndian.Uint16(b[8:]),
			ProviderID:    GUID(b[12:SizeofTransport]),
		})
	}
	return list, true
}

// transportList is WSK_TRANSPORT_LIST_QUERY.
func (p *provider) transportList(output []byte) (int, NTSTATUS) {
	if p.detached.Load() {
		return 0, STATUS_SUCCESS
	}
	var b []byte
	for _, family := range []uint16{AF_INET, AF_INET6} {
		b = TransportInfo{
			Version: p.versions.HighestVersion, SocketType: SOCK_DGRAM, Protocol: IPPROTO_UDP,
			AddressFamily: family, ProviderID: providerID,
		}.Append(b)
	}
	if len(b) > len(output) {
		return len(b), STATUS_BUFFER_OVERFLOW
	}
	return copy(output, b), STATUS_SUCCESS
}

// watchTransports is WSK_TRANSPORT_LIST_CHANGE: it puts the IRP on the list of those that wait.
func (ss *Subsystem) watchTransports(c *Client, irp *IRP) NTSTATUS {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	irp.PendingReturned = true
	irp.wait.client = c
	ss.waiting.push(irp)
	leaving := c.isLeaving() // Deregister looks at the list after it has set this
	if irp.arm(ss) && (!leaving || !irp.disarm()) {
		return STATUS_PENDING
	}
	ss.waiting.remove(irp)
	irp.PendingReturned, irp.wait.client = false, nil
	return STATUS_CANCELLED
}

// endWatches cancels the IRPs of a client that deregisters.
func (ss *Subsystem) endWatches(c *Client) {
	var chain *IRP
	end := &chain
	ss.mu.Lock()
	for irp := ss.waiting.head; irp != nil; {
		next := irp.wait.next
		if irp.wait.client == c {
			ss.waiting.remove(irp)
			if irp.disarm() {
				*end = irp
				end = &irp.wait.next
			}
		}
		irp = next
	}
	ss.mu.Unlock()
	completeAll(chain, STATUS_CANCELLED)
}

// cancelIRP implements irpCanceller.
func (ss *Subsystem) cancelIRP(irp *IRP) {
	ss.mu.Lock()
	ss.waiting.remove(irp)
	ss.mu.Unlock()
	irp.completeWait(STATUS_CANCELLED, 0)
}
