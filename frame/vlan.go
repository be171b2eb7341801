// SPDX-License-Identifier: Apache-2.0

package frame

import "encoding/binary"

const (
	// VLANTagLen is what one tag adds to a frame.
	VLANTagLen = 4
	// MaxVLANTags is how many tags are built and followed: an 802.1ad service tag and a customer tag.
	MaxVLANTags = 2
	// MaxVLANID is the largest VLAN identifier that may be used on the wire; 4095 is reserved (IEEE 802.1Q
	// table 9-2) and 0 means "priority only, no VLAN".
	MaxVLANID = 4094
)

// VLANTag is one IEEE 802.1Q tag by value.
type VLANTag struct {
	// TPID is the tag's own EtherType. 0 means EtherTypeVLAN; the only other value is EtherTypeQinQ.
	TPID uint16
	// ID is the VLAN, 0 to MaxVLANID.
	ID uint16
	// PCP is the priority, 0 to 7.
	PCP uint8
	// DEI marks the frame as the first to drop.
	DEI bool
}

// TCI is the tag control information as a number: priority in bits 15–13, DEI in bit 12, identifier in bits 11–0.
func (t VLANTag) TCI() uint16 {
	tci := uint16(t.PCP)<<13 | t.ID&0x0fff
	if t.DEI {
		tci |= 1 << 12
	}
	return tci
}

// VLANTagFrom takes a tag apart. It accepts every tci, the reserved identifier 4095 included.
func VLANTagFrom(tpid, tci uint16) VLANTag {
	return VLANTag{TPID: tpid, ID: tci & 0x0fff, PCP: uint8(tci >> 13), DEI: tci&(1<<12) != 0}
}

// VLAN is what follows a tag's EtherType: the control information and the next EtherType.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| PCP |D|        VLAN ID        |           EtherType           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// IEEE 802.1Q clause 9.6. Call Valid once before any accessor; see the package comment.
type VLAN []byte

// Valid reports whether b holds both fields.
func (b VLAN) Valid() bool { return len(b) >= VLANTagLen }

// TCI is the tag control information; see VLANTag.TCI.
func (b VLAN) TCI() uint16 { return binary.BigEndian.Uint16(b[0:2]) }

// EtherType is the type of what follows the tag.
func (b VLAN) EtherType() uint16 { return binary.BigEndian.Uint16(b[2:4]) }

// Payload is what follows the tag.
func (b VLAN) Payload() []byte { return b[VLANTagLen:] }

// SetTCI sets the tag control information.
func (b VLAN) SetTCI(tci uint16) { binary.BigEndian.PutUint16(b[0:2], tci) }

// SetEtherType sets the type of what follows the tag.
func (b VLAN) SetEtherType(t uint16) { binary.BigEndian.PutUint16(b[2:4], t) }

func isVLANType(t uint16) bool { return t == EtherTypeVLAN || t == EtherTypeQinQ }
