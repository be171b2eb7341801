// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// SecurityDescriptor is a descriptor that WSK_CACHE_SD has cached: the PSECURITY_DESCRIPTOR that WskSocket and
// SO_WSK_SECURITY take. There is only one security context here, so a descriptor decides one thing: whether a second
// socket may share the address of a socket that has the descriptor (see [Sharing]).
type SecurityDescriptor struct {
	client *Client
	handle uint64
	raw    string
	share  bool
	refs   int // guarded by the client's mutex
}

// Handle returns the bytes that are the pointer in C: the input of SO_WSK_SECURITY and of WSK_RELEASE_SD.
func (sd *SecurityDescriptor) Handle() []byte {
	return binary.LittleEndian.AppendUint64(nil, sd.handle)
}

// permitsSharing reports whether others may share the address. nil is the default descriptor, which refuses.
func (sd *SecurityDescriptor) permitsSharing() bool { return sd != nil && sd.share }

// putHandle gets SO_WSK_SECURITY; the default descriptor is NULL.
func (sd *SecurityDescriptor) putHandle(output []byte) (int, NTSTATUS) {
	if len(output) < sizeofHandle {
		return 0, STATUS_BUFFER_TOO_SMALL
	}
	var handle uint64
	if sd != nil {
		handle = sd.handle
	}
	binary.LittleEndian.PutUint64(output, handle)
	return sizeofHandle, STATUS_SUCCESS
}

const sizeofHandle = 8 // a pointer on x64

// Control flags of a self-relative SECURITY_DESCRIPTOR, and the parts of an ACL, [MS-DTYP] sections 2.4.4 to 2.4.6.
const (
	seDACLPresent  = 0x0004
	seSelfRelative = 0x8000

	sizeofDescriptor = 20 // revision 0, sbz 1, control 2, owner 4, group 8, sacl 12, dacl 16
	sizeofACL        = 8  // revision 0, sbz 1, size 2, count 4, sbz 6
	sizeofACEHeader  = 8  // type 0, flags 1, size 2, mask 4

	aceAllowed = 0
	aceDenied  = 1
)

// sidEveryone is S-1-1-0 in binary.
const sidEveryone = "\x01\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"

// SharingDescriptor returns a self-relative SECURITY_DESCRIPTOR for WSK_CACHE_SD. With permit it has a NULL DACL, which
// lets everyone share, otherwise an empty one, which lets nobody.
func SharingDescriptor(permit bool) []byte {
	b := make([]byte, sizeofDescriptor, sizeofDescriptor+sizeofACL)
	b[0] = 1
	binary.LittleEndian.PutUint16(b[2:], seDACLPresent|seSelfRelative)
	if permit {
		return b
	}
	b[16] = sizeofDescriptor
	return append(b, 2, 0, sizeofACL, 0, 0, 0, 0, 0)
}

// parseDescriptor reads as much of a self-relative descriptor as matters here. Without a DACL, or with a NULL one,
// everyone may share; else the first entry for Everyone decides, and without such an entry nobody may. It reports false
// when b is not such a descriptor.
func parseDescriptor(b []byte) (share, ok bool) {
	if len(b) < sizeofDescriptor || b[0] != 1 {
		return false, false
	}
	control := binary.LittleEndian.Uint16(b[2:])
	if control&seSelfRelative == 0 {
		return false, false
	}
	offset := uint64(binary.LittleEndian.Uint32(b[16:]))
	if control&seDACLPresent == 0 || offset == 0 {
		return true, true
	}
	if offset < sizeofDescriptor || offset+sizeofACL > uint64(len(b)) {
		return false, false
	}
	acl := b[offset:]
	size := int(binary.LittleEndian.Uint16(acl[2:]))
	if size < sizeofACL || size > len(acl) {
		return false, false
	}
	return parseACL(acl[sizeofACL:size], int(binary.LittleEndian.Uint16(acl[4:])))
}

func parseACL(b []byte, count int) (share, ok bool) {
	decided := false
	for range count {
		if len(b) < sizeofACEHeader {
			return false, false
		}
		size := int(binary.LittleEndian.Uint16(b[2:]))
		if size < sizeofACEHeader || size > len(b) {
			return false, false
		}
		everyone := string(b[sizeofACEHeader:size]) == sidEveryone && binary.LittleEndian.Uint32(b[4:]) != 0
		if kind := b[0]; everyone && !decided && (kind == aceAllowed || kind == aceDenied) {
			share, decided = kind == aceAllowed, true
		}
		b = b[size:]
	}
	return share, true
}

// setSecurity is SO_WSK_SECURITY: the descriptor of the handle replaces the earlier one; handle 0 is the default
// descriptor.
func (s *Socket) setSecurity(input []byte) NTSTATUS {
	if len(input) != sizeofHandle {
		return STATUS_INVALID_PARAMETER
	}
	var sd *SecurityDescriptor
	if handle := binary.LittleEndian.Uint64(input); handle != 0 {
		if sd = s.client.descriptor(handle); sd == nil {
			return STATUS_INVALID_PARAMETER
		}
	}
	return s.update(func(sn *snapshot) NTSTATUS {
		switch {
		case sn.refuse != STATUS_SUCCESS: // closed since the call began
			return sn.refuse
		case sn.bind != unbound:
			return STATUS_INVALID_DEVICE_STATE
		}
		sn.security = sd
		return STATUS_SUCCESS
	})
}
