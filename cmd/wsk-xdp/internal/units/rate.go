// SPDX-License-Identifier: Apache-2.0

package units

import (
	"fmt"
	"math/big"
	"strings"
)

// Rate is how fast to send, on the command line: packets a second (250k, 1.5Mpps, 0.5), bits a second (10Gbit,
// 2.5Gbit/s), a share of the link's speed (5%), or max. The zero value is max. It implements pflag.Value.
type Rate struct {
	kind rateKind
	// value is in millionths of a packet a second, of a bit a second, or of a per cent.
	value uint64
}

type rateKind uint8

const (
	rateMax rateKind = iota
	ratePackets
	rateBits
	rateShare
)

// MicroPerPacket is how many parts of a rate are one packet a second: rates are whole numbers of such parts.
const MicroPerPacket = 1_000_000

// MaxRate is the largest rate, in packets a second: beyond any NIC, and small enough for products with nanoseconds.
const MaxRate = 1_000_000_000_000

// maxBits is the largest bit rate.
const maxBits = 1_000_000_000_000

// PacketsPerSecond is a Rate of so many packets a second.
func PacketsPerSecond(n uint64) Rate { return Rate{ratePackets, n * MicroPerPacket} }

// String is the rate as Set takes it.
func (r Rate) String() string {
	value := new(big.Rat).SetFrac(new(big.Int).SetUint64(r.value), big.NewInt(MicroPerPacket))
	text := strings.TrimSuffix(strings.TrimRight(value.FloatString(6), "0"), ".")
	switch r.kind {
	case ratePackets:
		return text
	case rateBits:
		return text + "bit"
	case rateShare:
		return text + "%"
	}
	return "max"
}

// Type names the form in help texts.
func (r *Rate) Type() string { return "rate" }

// Set parses s.
func (r *Rate) Set(s string) error {
	if s == "max" || s == "unlimited" {
		*r = Rate{}
		return nil
	}
	value, rest, ok := number(s)
	if !ok {
		return fmt.Errorf("%q is no number and no rate: write 250k, 1.5Mpps, 10Gbit, 5%% or max", s)
	}
	if rest == "%" {
		return r.set(s, rateShare, value, "per cent", 100)
	}
	value, rest, err := multiple(value, rest)
	if err != nil {
		return err
	}
	switch strings.TrimSuffix(rest, "/s") {
	case "", "pps":
		if rest != "/s" {
			return r.set(s, ratePackets, value, "packets a second", MaxRate)
		}
	case "bit", "bps":
		return r.set(s, rateBits, value, "bits a second", maxBits)
	case "B", "Byte", "byte", "Bps", "b":
		return fmt.Errorf("%q: rates are in packets or bits, 1 byte is 8 bits: write 250k, 1.5Mpps, 10Gbit, 5%% or max", s)
	}
	return fmt.Errorf("%q is no rate: %q is behind the number, write 250k, 1.5Mpps, 10Gbit, 5%% or max", s, rest)
}

func (r *Rate) set(s string, kind rateKind, value *big.Rat, what string, most uint64) error {
	if value.Sign() == 0 {
		return fmt.Errorf("a rate of %s never sends: give more, or max", s)
	}
	n, isWhole, fits := whole(value, MicroPerPacket)
	switch {
	case !isWhole:
		return fmt.Errorf("%q is finer than a millionth", s)
	case !fits || n/MicroPerPacket > most || n/MicroPerPacket == most && n%MicroPerPacket > 0:
		return fmt.Errorf("%q is above %s %s: did you mean max?", s, Grouped(most), what)
	}
	*r = Rate{kind, n}
	return nil
}

// IsMax is whether there is no limit.
func (r Rate) IsMax() bool { return r.kind == rateMax }

// IsShare is whether the rate is known only with the speed of a link.
func (r Rate) IsShare() bool { return r.kind == rateShare }

// InPackets is the rate in millionths of a packet a second, if it was given in packets.
func (r Rate) InPackets() (micro uint64, ok bool) { return r.value, r.kind == ratePackets }

// Load is what so many packets are in bits, on the layer that bit rates count.
type Load struct{ Packets, Bits uint64 }

// Packets is the rate in millionths of a packet a second, 0 for max, when packets are as in load. speed is that of the
// link in bits a second, for a share of it; 0 means that it is not known, and the error is then about that. A rate that
// comes to nothing, or to more than MaxRate, is an error.
func (r Rate) Packets(load Load, speed uint64) (micro uint64, err error) {
	bits := new(big.Int).SetUint64(r.value) // in millionths
	switch r.kind {
	case rateMax:
		return 0, nil
	case ratePackets:
		return r.value, nil
	case rateShare:
		if speed == 0 {
			return 0, fmt.Errorf("%v of the link's speed: that is not known, give packets or bits a second", r)
		}
		bits.Mul(bits, new(big.Int).SetUint64(speed))
		bits.Div(bits, big.NewInt(100))
	}
	if load.Bits == 0 {
		return 0, fmt.Errorf("%v: a packet is 0 bits on this layer, give packets a second", r)
	}
	bits.Mul(bits, new(big.Int).SetUint64(load.Packets))
	bits.Div(bits, new(big.Int).SetUint64(load.Bits))
	switch {
	case bits.Sign() == 0:
		return 0, fmt.Errorf("%v is less than a packet in eleven days", r)
	case !bits.IsUint64() || bits.Uint64() > MaxRate*MicroPerPacket:
		return 0, fmt.Errorf("%v is above %s packets a second: did you mean max?", r, Grouped(MaxRate))
	}
	return bits.Uint64(), nil
}

// Rates are several, with commas between, for comparisons. It implements pflag.Value.
type Rates []Rate

// String is the list as Set takes it.
func (l Rates) String() string {
	words := make([]string, len(l))
	for i, r := range l {
		words[i] = r.String()
	}
	return strings.Join(words, ",")
}

// Type names the form in help texts.
func (l *Rates) Type() string { return "rates" }

// Set parses s.
func (l *Rates) Set(s string) error {
	var out Rates
	for word := range strings.SplitSeq(s, ",") {
		var r Rate
		if err := r.Set(word); err != nil {
			return err
		}
		out = append(out, r)
	}
	*l = out
	return nil
}

// Whole are the rates in whole packets a second, 0 for max.
func (l Rates) Whole() ([]int, error) {
	out := make([]int, len(l))
	for i, r := range l {
		if !r.IsMax() && r.kind != ratePackets || r.value%MicroPerPacket != 0 {
			return nil, fmt.Errorf("%v: give whole packets a second, or max", r)
		}
		out[i] = int(r.value / MicroPerPacket)
	}
	return out, nil
}

// Layer is what a bit rate counts. It implements pflag.Value.
type Layer uint8

// The layers, from the wire up.
const (
	L1           Layer = iota // with preamble and the gap between frames
	L2                        // with Ethernet header, padding and FCS
	LayerPayload              // of UDP
)

var layerNames = [...]string{L1: "l1", L2: "l2", LayerPayload: "payload"}

// String is the word on the command line.
func (l Layer) String() string { return layerNames[l] }

// Type names the form in help texts.
func (l *Layer) Type() string { return "l1|l2|payload" }

// Set parses the word.
func (l *Layer) Set(s string) error {
	for i, name := range layerNames {
		if s == name {
			*l = Layer(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of l1, l2, payload", s)
}
