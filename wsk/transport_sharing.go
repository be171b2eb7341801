// SPDX-License-Identifier: Apache-2.0

package wsk

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
// first one's column.
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
// dual-stack wildcard conflicts with both families. Sockets of different owners never share.
func Sharing(first, second *BindRequest) NTSTATUS {
	if first.Local.Port() != second.Local.Port() || !first.Overlaps(second) {
		return STATUS_SUCCESS
	}
	if first.Owner != second.Owner {
		return STATUS_ADDRESS_ALREADY_EXISTS
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
	if any4, any6 := req.wildcard(); !any4 && !any6 {
		kind++
	}
	return kind
}

// Overlaps reports whether one datagram could be for both, were their ports the same. Different specific addresses do not
// overlap, and neither do those of different families but for a dual-stack wildcard; a v4-mapped address is an IPv4 one.
func (req *BindRequest) Overlaps(other *BindRequest) bool {
	x, y := req.Local.Addr().Unmap(), other.Local.Addr().Unmap()
	x4, x6 := req.wildcard()
	y4, y6 := other.wildcard()
	switch anyX, anyY := x4 || x6, y4 || y6; {
	case anyX && anyY:
		return x4 && y4 || x6 && y6
	case anyX:
		return x4 && y.Is4() || x6 && y.Is6()
	case anyY:
		return y4 && x.Is4() || y6 && x.Is6()
	}
	return x == y
}

// wildcard says of which families req wants every address, both false for a specific one.
func (req *BindRequest) wildcard() (any4, any6 bool) {
	addr := req.Local.Addr().Unmap()
	switch {
	case !addr.WithZone("").IsUnspecified():
		return false, false
	case addr.Is4():
		return true, false
	}
	return req.DualStack, true
}
