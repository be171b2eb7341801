// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nf_tables.h, where package unix lacks them.
const (
	ctDirectionKey = 1  // NFT_CT_DIRECTION
	natType        = 1  // NFTA_NAT_TYPE
	natFamily      = 2  // NFTA_NAT_FAMILY
	natAddress     = 3  // NFTA_NAT_REG_ADDR_MIN
	natLast        = 4  // NFTA_NAT_REG_ADDR_MAX
	natPort        = 5  // NFTA_NAT_REG_PROTO_MIN
	natFlags       = 7  // NFTA_NAT_FLAGS
	masqFlags      = 1  // NFTA_MASQ_FLAGS
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
	case unix.NFT_META_IIF, unix.NFT_META_IIFNAME:
		if j.d.Ambiguous {
			unknown(ifNameLength, "the interface that it comes in by")
			return
		}
	case unix.NFT_META_OIF, unix.NFT_META_OIFNAME:
		if j.d.Ambiguous || j.rerouted {
			unknown(ifNameLength, "the interface that it leaves by")
			return
		}
	}
	switch key {
	case unix.NFT_META_L4PROTO:
		j.regs.load(register, []byte{unix.IPPROTO_UDP}, nil, smallRegister, "")
	case unix.NFT_META_NFPROTO:
		j.regs.load(register, []byte{j.family()}, nil, smallRegister, "")
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

// family is that of the datagram, as the chain has it.
func (j *judge) family() byte {
	switch {
	case j.at.netdev:
		return unix.NFPROTO_NETDEV
	case j.d.Destination.Is4():
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
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
	case key == ctDirectionKey && j.state() == New:
		j.regs.load(register, []byte{0}, nil, smallRegister, "")
	default:
		j.regs.load(register, nil, nil, largeRegister, "its connection")
	}
}

// trackingPriority is where among the rules of a hook connections are tracked (NF_IP_PRI_CONNTRACK).
const trackingPriority = -200

// tracks is whether connections have been tracked where the datagram is.
func (j *judge) tracks() Certainty {
	switch {
	case j.at.hook == Ingress:
		return No
	case j.at.hook != Output && j.at.hook != Prerouting, j.at.priority > trackingPriority:
		return Yes
	case j.at.priority < trackingPriority:
		return No
	}
	return Maybe
}

// setUntracked exempts the datagram from connection tracking, which comes too late once it has been tracked.
func (j *judge) setUntracked(sure Certainty) {
	j.untracked = max(j.untracked, min(sure, j.tracks().not()))
	j.out.Untracked = j.untracked
}

// state is that of the connection; 0: not known.
func (j *judge) state() State {
	switch {
	case j.untracked != No || j.d.State == 0:
	case j.tracks() == No:
		return invalid
	case j.tracks() == Maybe:
		return 0
	}
	switch j.untracked {
	case Yes:
		return untracked
	case Maybe:
		return 0
	}
	return j.d.State
}

// asksNAT is whether the chains of type nat are asked about the datagram: they are about the first of a connection, until one has decided.
func (j *judge) asksNAT() Certainty {
	switch j.state() {
	case New:
		return j.mapped.not()
	case 0:
		j.unsure("its connection")
		return min(Maybe, j.mapped.not())
	}
	return No
}

// otherAddress is whether a rule of NAT gives another address, or another port, than the datagram has.
func (j *judge) otherAddress(kind string, f attributes) Certainty {
	switch kind {
	case "masq":
		return j.otherSource(len(f[masqPort]) != 0 || f.number(masqFlags)&mapsPorts != 0)
	case "redir":
		return Yes
	}
	is := j.d.Destination
	if f.number(natType) == natSource {
		is = j.d.Source
	}
	length := len(is.AsSlice())
	value, known, from, ok := j.regs.read(f.number(natAddress), length)
	if !ok || length == 0 || j.rewritten || f.number(natFlags)&mapsPrefix != 0 {
		j.unsure("the address that NAT gives it")
		return Maybe // ports only, or an address made of another
	}
	ports := len(f[natPort]) != 0 || f.number(natFlags)&mapsPorts != 0
	address := is.WithZone("").AsSlice()
	if last, all, _, ok := j.regs.read(f.number(natLast), length); ok && !bytes.Equal(last, value) {
		return outside(address, value, last, known, all)
	}
	other := equals(value, known, address).not()
	if other == Maybe {
		j.unsure(from)
	}
	if ports && other == No {
		return Maybe
	}
	return other
}

// Of linux/netfilter/nf_nat.h: flags of what NAT gives.
const (
	mapsAddresses = 1 << 0
	mapsPorts     = 1<<1 | 1<<2 | 1<<4 | 1<<5 // given, or at random
	mapsPrefix    = 1 << 6
)

// otherSource is whether masquerading gives another source than the datagram has.
func (j *judge) otherSource(ports bool) Certainty {
	other := Maybe
	if j.d.Masquerade.IsValid() && j.d.Source.IsValid() && !j.rerouted && !j.rewritten {
		other = differ(j.d.Source, j.d.Masquerade)
	}
	if other == No && ports {
		other = Maybe
	}
	if other == Maybe {
		j.unsure("the address that masquerading chooses")
	}
	return other
}

// outside is whether an address is none of a range, of which NAT chooses one.
func outside(is, from, to, fromKnown, toKnown []byte) Certainty {
	least, _ := extremes(from, fromKnown)
	_, most := extremes(to, toKnown)
	if bytes.Compare(is, least) < 0 || bytes.Compare(is, most) > 0 {
		return Yes
	}
	return Maybe
}

func differ(a, b netip.Addr) Certainty {
	if a.WithZone("") == b.WithZone("") {
		return No
	}
	return Yes
}
