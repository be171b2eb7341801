// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// Layout of SOCKET_ADDRESS_LIST and SOCKET_ADDRESS on x64: iAddressCount INT 0; at 8 begin the entries, one of 16 bytes
// for each address, {lpSockaddr pointer 0, iSockaddrLength INT 8}; behind them lie the addresses themselves. Raw bytes
// can't contain pointers here: in the place of each pointer stands the distance of the address from the beginning of
// the list.
const (
	sizeofListHead  = 8
	sizeofListEntry = 16
)

// AppendAddressList appends a SOCKET_ADDRESS_LIST, the input of SIO_ADDRESS_LIST_SORT, to b, which is empty.
func AppendAddressList(b []byte, list []SOCKADDR) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(list)))
	at := sizeofListHead + sizeofListEntry*len(list)
	for _, sa := range list {
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
		b = binary.LittleEndian.AppendUint64(b, uint64(len(sa)))
		at += len(sa)
	}
	for _, sa := range list {
		b = append(b, sa...)
	}
	return b
}

// ParseAddressList reads a SOCKET_ADDRESS_LIST, the output of SIO_ADDRESS_LIST_QUERY and SIO_ADDRESS_LIST_SORT. The
// addresses it returns lie in b. It reports false when b is not such a list.
func ParseAddressList(b []byte) ([]SOCKADDR, bool) {
	if len(b) < sizeofListHead {
		return nil, false
	}
	count := uint64(binary.LittleEndian.Uint32(b))
	if count > uint64(len(b)-sizeofListHead)/sizeofListEntry {
		return nil, false
	}
	list := make([]SOCKADDR, 0, count)
	for i := range int(count) {
		entry := b[sizeofListHead+sizeofListEntry*i:]
		at, size := binary.LittleEndian.Uint64(entry), uint64(binary.LittleEndian.Uint32(entry[8:]))
		if at > uint64(len(b)) || size > uint64(len(b))-at {
			return nil, false
		}
		list = append(list, SOCKADDR(b[at:at+size:at+size]))
	}
	return list, true
}

// putList stores a list, or reports the room that it needs.
func putList(output []byte, list []SOCKADDR) (int, NTSTATUS) {
	b := AppendAddressList(nil, list)
	if len(b) > len(output) {
		return len(b), STATUS_BUFFER_OVERFLOW
	}
	return copy(output, b), STATUS_SUCCESS
}

// sockaddr returns a in the form of the family.
func (a *Address) sockaddr(family uint16) SOCKADDR {
	sa := make(SOCKADDR, sizeofSockaddr(family))
	putAddress(sa, family, a)
	return sa
}

// address returns the address of a SOCKADDR of the family.
func (sa SOCKADDR) address(family uint16) (a Address, ok bool) {
	var r remote
	if r.parse(sa, family) != STATUS_SUCCESS {
		return a, false
	}
	r.Store(&a.Addr)
	a.Scope, a.Port = r.scope, r.port
	return a, true
}

// addressListQuery is SIO_ADDRESS_LIST_QUERY: the host's unicast addresses of the socket's family, with port 0.
func (s *Socket) addressListQuery(sn *snapshot, output []byte) (int, NTSTATUS) {
	source := s.addressSource()
	if source == nil {
		return 0, STATUS_NOT_SUPPORTED
	}
	var list []SOCKADDR
	for _, a := range source.Addresses(sn.family) {
		list = append(list, a.sockaddr(sn.family))
	}
	return putList(output, list)
}

// addressListSort is SIO_ADDRESS_LIST_SORT: the addresses of input, in the order in which a client should try them.
func (s *Socket) addressListSort(sn *snapshot, input, output []byte) (int, NTSTATUS) {
	source := s.addressSource()
	if source == nil {
		return 0, STATUS_NOT_SUPPORTED
	}
	list, ok := ParseAddressList(input)
	if !ok {
		return 0, STATUS_INVALID_PARAMETER
	}
	candidates := make([]candidate, len(list))
	for i, sa := range list {
		if candidates[i].to, ok = sa.address(sn.family); !ok {
			return 0, STATUS_INVALID_PARAMETER
		}
	}
	sortCandidates(candidates, source)
	for i := range candidates {
		list[i] = candidates[i].to.sockaddr(sn.family)
	}
	return putList(output, list)
}

// routingInterfaceQuery is SIO_ROUTING_INTERFACE_QUERY: the local address from which a send to the address in input
// would leave.
func (s *Socket) routingInterfaceQuery(sn *snapshot, input, output []byte) (int, NTSTATUS) {
	if s.addressSource() == nil {
		return 0, STATUS_NOT_SUPPORTED
	}
	to, ok := SOCKADDR(input).address(sn.family)
	if !ok {
		return 0, STATUS_INVALID_PARAMETER
	}
	if len(output) < sizeofSockaddr(sn.family) {
		return 0, STATUS_BUFFER_TOO_SMALL
	}
	from, status := s.sourceFor(sn, to)
	if status != STATUS_SUCCESS {
		return 0, status
	}
	from.Port = 0
	return putAddress(output, sn.family, &from), STATUS_SUCCESS
}
