// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// common is what the destinations of a shared flow have in common.
type common struct {
	lead     route.Lead
	source   [16]byte
	ifIndex  uint32
	mark     uint32
	ttl, tos uint8
	fragment wsk.FragmentPolicy
	flags    wsk.DestinationFlags
}

func commonOf(to *wsk.Destination, lead route.Lead) common {
	return common{lead, to.Source, to.IfIndex, to.Mark, to.TTL, to.TOS, to.Fragment, to.Flags}
}

// is reports whether a destination that is led so has it; field by field, see isSame.
func (c *common) is(to *wsk.Destination, lead *route.Lead) bool {
	return c.lead.Hop == lead.Hop && c.ttl == to.TTL && c.tos == to.TOS && c.fragment == to.Fragment && c.flags == to.Flags &&
		c.ifIndex == to.IfIndex && c.mark == to.Mark && c.source == to.Source && c.lead.Source == lead.Source
}
