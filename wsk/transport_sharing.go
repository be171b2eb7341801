// SPDX-License-Identifier: Apache-2.0

package wsk

import "net/netip"

// shareKind is the row or column of the sharing matrix that a bind belongs to.
type shareKind uint8

const (
	defaultWildcard shareKind = iota
	defaultSpecific
	reuseWildcard
	reuseSpecific
	exclusiveWildcard
	exclusiveSpecific
	shareKinds
)

// shareVerdict is a cell of the matrix.
type shareVerdict uint8

const (
	shared shareVerdict = iota
	inUse
	denied
	checked // the first socket's security descriptor decides
)

// shareMatrix is the table of "Sharing Transport Addresses" in the WSK documentation: the second socket's row, the
// first one's column (wsk.md §2.5).
var shareMatrix = [shareKinds][shareKinds]shareVerdict{
	defaultWildcard:   {inUse, shared, inUse, shared, inUse, shared},
	defaultSpecific:   {checked, inUse, checked, denied, denied, inUse},
	reuseWildcard:     {denied, shared, shared, shared, denied, shared},
	reuseSpecific:     {checked, denied, shared, shared, denied, denied},
	exclusiveWildcard: {inUse, inUse, inUse, inUse, inUse, inUse},
	exclusiveSpecific: {checked, inUse, checked, inUse, denied, inUse},
}

// Sharing says whether a second socket may bind its address while a first one has its own: STATUS_SUCCESS,
// STATUS_ADDRESS_ALREADY_EXISTS or STATUS_ACCESS_DENIED. It is for transports, which ask it about every pair of
// sockets. Sockets with different ports never conflict, nor do different specific addresses or different families; a
// dual-stack wildcard conflicts with both families.
func Sharing(first, second *BindRequest) NTSTATUS {
	if !meet(first, second) {
		return STATUS_SUCCESS
	}
	switch shareMatrix[second.shareKind()][first.shareKind()] {
	case inUse:
		return STATUS_ADDRESS_ALREADY_EXISTS
	case denied:
		return STATUS_ACCESS_DENIED
	case checked:
		if !first.ShareGranted {
			return STATUS_ACCESS_DENIED
		}
	}
	return STATUS_SUCCESS
}

func (req *BindRequest) shareKind() shareKind {
	kind := defaultWildcard
	if req.ExclusiveAddressUse {
		kind = exclusiveWildcard
	} else if req.ReuseAddress {
		kind = reuseWildcard
	}
	if !req.Local.Addr().IsUnspecified() {
		kind++
	}
	return kind
}

// meet reports whether one datagram could be for both.
func meet(a, b *BindRequest) bool {
	if a.Local.Port() != b.Local.Port() {
		return false
	}
	x, y := a.Local.Addr(), b.Local.Addr()
	switch {
	case x.IsUnspecified() && y.IsUnspecified():
		return x.Is4() == y.Is4() || a.DualStack || b.DualStack
	case x.IsUnspecified():
		return covers(a, y)
	case y.IsUnspecified():
		return covers(b, x)
	}
	return x.Unmap() == y.Unmap()
}

// covers reports whether the wildcard of req includes addr.
func covers(req *BindRequest, addr netip.Addr) bool {
	if req.Local.Addr().Is4() {
		return addr.Unmap().Is4()
	}
	return req.DualStack || !addr.Unmap().Is4()
}
