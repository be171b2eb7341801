// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nf_tables.h, where package unix lacks them.
const (
	ctDirectionKey = 1  // NFT_CT_DIRECTION
	natType        = 1  // NFTA_NAT_TYPE
	natAddress     = 3  // NFTA_NAT_REG_ADDR_MIN
	natPort        = 5  // NFTA_NAT_REG_PROTO_MIN
	masqPort       = 2  // NFTA_MASQ_REG_PROTO_MIN
	natSource      = 0  // NFT_NAT_SNAT
	ifNameLength   = 16 // IFNAMSIZ
)

// loadMeta loads what is known of a datagram besides its bytes.
func (j *judge) loadMeta(f attributes) {
	register, key := f.number(unix.NFTA_META_DREG), f.number(unix.NFTA_META_KEY)
	native := func(n uint32) {
		j.regs.load(register, binary.NativeEndian.AppendUint32(nil, n), nil, smallRegister, "")
	}
	unknown := func(length int, what string) { j.regs.load(register, nil, nil, length, what) }
	is4 := j.d.Destination.Is4()
	switch key {
	case unix.NFT_META_L4PROTO:
		j.regs.load(register, []byte{unix.IPPROTO_UDP}, nil, smallRegister, "")
	case unix.NFT_META_NFPROTO:
		family := byte(unix.NFPROTO_IPV6)
		if is4 {
			family = unix.NFPROTO_IPV4
		}
		j.regs.load(register, []byte{family}, nil, smallRegister, "")
	case unix.NFT_META_PROTOCOL:
		ethertype := uint16(unix.ETH_P_IPV6)
		if is4 {
			ethertype = unix.ETH_P_IP
		}
		j.regs.load(register, binary.BigEndian.AppendUint16(nil, ethertype), nil, smallRegister, "")
	case unix.NFT_META_IIF:
		native(uint32(j.d.InIndex))
	case unix.NFT_META_OIF:
		native(uint32(j.d.OutIndex))
	case unix.NFT_META_IIFNAME:
		j.regs.load(register, name(j.d.In), nil, ifNameLength, "")
	case unix.NFT_META_OIFNAME:
		j.regs.load(register, name(j.d.Out), nil, ifNameLength, "")
	case unix.NFT_META_MARK:
		if j.marked || j.d.In != "" {
			unknown(smallRegister, "a mark")
		} else {
			native(0)
		}
	case unix.NFT_META_SKUID:
		if j.d.Owner < 0 {
			unknown(smallRegister, "the user of the socket")
		} else {
			native(uint32(j.d.Owner))
		}
	default:
		unknown(largeRegister, "what is not known of it (meta)")
	}
}

// name is an interface's name as registers have it.
func name(s string) []byte {
	b := make([]byte, ifNameLength)
	copy(b, s)
	return b
}

func (j *judge) setMeta(key uint32, sure Certainty) {
	switch key {
	case unix.NFT_META_MARK:
		j.marked = true
		j.change(sure)
	case unix.NFT_META_PRIORITY, unix.NFT_META_PKTTYPE, unix.NFT_META_SECMARK:
		j.change(sure)
	}
}

// loadConnection loads what is known of the datagram's connection.
func (j *judge) loadConnection(f attributes) {
	register := f.number(unix.NFTA_CT_DREG)
	switch key := f.number(unix.NFTA_CT_KEY); {
	case key == unix.NFT_CT_STATE && j.state() != 0:
		j.regs.load(register, binary.NativeEndian.AppendUint32(nil, uint32(j.state())), nil, smallRegister, "")
	case key == ctDirectionKey && j.d.State == New:
		j.regs.load(register, []byte{0}, nil, smallRegister, "")
	default:
		j.regs.load(register, nil, nil, largeRegister, "its connection")
	}
}

// state is that of the connection; 0: not known.
func (j *judge) state() State {
	switch j.untracked {
	case Yes:
		return untracked
	case Maybe:
		return 0
	}
	return j.d.State
}

// otherAddress is whether a rule of NAT gives another address than the datagram has.
func (j *judge) otherAddress(kind string, f attributes) Certainty {
	switch kind {
	case "masq":
		if len(f[masqPort]) != 0 || !j.d.Masquerade.IsValid() || !j.d.Source.IsValid() {
			return Maybe
		}
		return differ(j.d.Source, j.d.Masquerade)
	case "redir":
		return Yes
	}
	is := j.d.Destination
	if f.number(natType) == natSource {
		is = j.d.Source
	}
	length := len(is.AsSlice())
	value, known, from, ok := j.regs.read(f.number(natAddress), length)
	if !ok || length == 0 {
		return Maybe // ports only
	}
	other := equals(value, known, is.WithZone("").AsSlice()).not()
	if other == Maybe {
		j.unsure(from)
	}
	if len(f[natPort]) != 0 && other == No {
		return Maybe
	}
	return other
}

func differ(a, b netip.Addr) Certainty {
	if a.WithZone("") == b.WithZone("") {
		return No
	}
	return Yes
}
