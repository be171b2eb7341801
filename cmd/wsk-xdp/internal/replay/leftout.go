// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/capture"
)

// LeftOut counts the records that can't be sent, by cause.
type LeftOut struct {
	Cut, Long, Short, OtherLink uint64
	// Unfinished is 1 where the file ends within a record.
	Unfinished uint64

	first    [faults]uint64 // their numbers, from 1
	link     capture.Link
	longest  int
	snapped  int // what there is of the first that is cut
	original int // how long that was
}

// Total is how many there are.
func (l *LeftOut) Total() uint64 { return l.Cut + l.Long + l.Short + l.OtherLink + l.Unfinished }

func (l *LeftOut) add(f fault, number uint64, rec *capture.Record) {
	if l.first[f] == 0 {
		l.first[f] = number
	}
	switch f {
	case cut:
		if l.Cut == 0 {
			l.snapped, l.original = len(rec.Data), rec.Length
		}
		l.Cut++
	case long:
		l.longest = max(l.longest, len(rec.Data))
		l.Long++
	case short:
		l.Short++
	case otherLink:
		if l.OtherLink == 0 {
			l.link = rec.Link
		}
		l.OtherLink++
	case none, faults:
	}
}

// Refusal says in a sentence what of the file can't be sent, and what to do; nil where all can.
func (l *LeftOut) Refusal(rules *Rules, iface string) error {
	const or = ", or leave what can't be sent out with --skip"
	switch {
	case l.OtherLink > 0:
		return fmt.Errorf("record %d is not of Ethernet but %v%s", l.first[otherLink], l.link, or)
	case l.Cut > 0:
		return fmt.Errorf("record %d is cut, %d bytes of %d: capture whole frames (tcpdump -s 0)%s", l.first[cut], l.snapped, l.original, or)
	case l.Long > 0 && l.longest > MaxFrame:
		return fmt.Errorf("record %d is more than %s takes with its MTU of %d, the longest is %d bytes and a chunk of AF_XDP %d: capture with "+
			"offloads off (ethtool -K eth0 gro off lro off tso off gso off)%s", l.first[long], iface, rules.MTU, l.longest, MaxFrame, or)
	case l.Long > 0:
		return fmt.Errorf("record %d is more than %s takes with its MTU of %d: the longest is %d bytes, see ip link set %s mtu%s", l.first[long],
			iface, rules.MTU, l.longest, iface, or)
	case l.Short > 0:
		return fmt.Errorf("record %d is shorter than an Ethernet header%s", l.first[short], or)
	case l.Unfinished > 0:
		return fmt.Errorf("%w, as where the program that wrote it was killed%s", capture.ErrEnds, or)
	}
	return nil
}
