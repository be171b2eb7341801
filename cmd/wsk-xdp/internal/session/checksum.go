// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Checksum is datapath.ChecksumMode on the command line. It implements pflag.Value.
type Checksum datapath.ChecksumMode

var checksumModes = []datapath.ChecksumMode{
	datapath.ChecksumAuto, datapath.ChecksumSoftware, datapath.ChecksumPartial, datapath.ChecksumKernel,
}

// String is the word on the command line.
func (c Checksum) String() string { return datapath.ChecksumMode(c).String() }

// Type names the form in help texts.
func (c *Checksum) Type() string { return "auto|software|partial|kernel" }

// Set parses the word.
func (c *Checksum) Set(s string) error {
	for _, m := range checksumModes {
		if s == m.String() {
			*c = Checksum(m)
			return nil
		}
	}
	return fmt.Errorf("%q is none of auto, software, partial, kernel", s)
}

// offloadProof says whether a queue's checksums are left to others, and if not wholly, why.
func offloadProof(q datapath.QueueInfo) (proved bool, why string) {
	if q.Granted.OffloadRefused != nil {
		return false, q.Granted.OffloadRefused.Error()
	}
	var whys []string
	for _, o := range q.Offload {
		proved = proved || o.Proved
		if o.Why != nil {
			family := "IPv4"
			if o.IPv6 {
				family = "IPv6"
			}
			whys = append(whys, family+": "+o.Why.Error())
		}
	}
	return proved, strings.Join(whys, "; ")
}

// UpdateProofs brings what a list says about checksums up to date: a proof begins with the first datagram.
func UpdateProofs(list []Granted, info datapath.Info) {
	for _, q := range info.Queues {
		for i := range list {
			if g := &list[i]; g.Interface == q.Interface && g.Queue == q.Queue {
				g.Proved, g.OffloadReason = offloadProof(q)
			}
		}
	}
}

// checksumWarning tells a user who asked for somebody else's checksums in copy mode that they are not to be had.
func (s *Session) checksumWarning(q datapath.QueueInfo) string {
	if s.checksum != datapath.ChecksumPartial && s.checksum != datapath.ChecksumKernel || q.Granted.Offload != xdp.OffloadNone {
		return ""
	}
	_, why := offloadProof(q)
	return "computes checksums in software: " + why
}
