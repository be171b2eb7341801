// SPDX-License-Identifier: Apache-2.0

package capture

import "fmt"

// Link is a LINKTYPE (tcpdump.org/linktypes.html): what the packets of an interface begin with.
type Link uint16

// LinkEthernet is Ethernet.
const LinkEthernet Link = 1

// cooked are the link types that people have without having asked for them, and what to do instead.
var cooked = map[Link]string{
	0:   "BSD loopback, without Ethernet headers: capture on an Ethernet interface",
	101: "IP packets without Ethernet headers: capture on an Ethernet interface (not a tunnel)",
	105: "802.11: capture on the interface in managed mode, which has Ethernet headers",
	113: "Linux cooked capture, which has lost the Ethernet headers: capture on one interface by its name, not on \"any\"",
	127: "802.11 with radiotap: capture on the interface in managed mode, which has Ethernet headers",
	276: "Linux cooked capture, which has lost the Ethernet headers: capture on one interface by its name, not on \"any\"",
}

// String says what a link type is, and for one that is not Ethernet what to do.
func (l Link) String() string {
	if l == LinkEthernet {
		return "Ethernet"
	}
	if text := cooked[l]; text != "" {
		return text
	}
	return fmt.Sprintf("link type %d: capture on an Ethernet interface", uint16(l))
}
