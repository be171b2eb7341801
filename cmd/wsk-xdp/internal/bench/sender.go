// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// StartSender starts an engine in a process of its own that sends to one port of a laboratory's host B from its host A,
// for measurements of what arrives there. argv is the command line of a program that calls [Child].
func StartSender(in proc.In, argv []string, engine string, lab *testenv.Lab, to netip.AddrPort, payload int) (*proc.Process, error) {
	if find(engine) == nil {
		return nil, fmt.Errorf("no engine %q", engine)
	}
	return proc.StartChild(in, argv, &job{
		Engine: engine, Interface: lab.A.If.Name(), IfIndex: lab.A.If.Index(), SrcMAC: frame.MAC(lab.A.If.MAC()), Source: lab.A.IPv4(),
		Targets: []target{{to, frame.MAC(lab.B.If.MAC())}}, Payload: payload, Queues: 1,
	})
}
