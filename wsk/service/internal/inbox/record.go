// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// record is a datagram in the terms of the protocol.
func record(d *wsk.Datagram) ipc.Record {
	r := ipc.Record{
		Length: uint32(len(d.Payload)), Source: d.Source.Addr, Destination: d.Destination, IfIndex: d.IfIndex,
		Scope: d.Source.Scope, Port: d.Source.Port, Segment: d.Segment, TTL: d.TTL, TOS: d.TOS, Cast: uint8(d.Cast),
	}
	if int(r.Segment) >= len(d.Payload) {
		r.Segment = 0
	}
	if e := d.Err; e != nil {
		r.Kind, r.Protocol, r.Type, r.Code, r.Info = ipc.KindError, e.Protocol, e.Type, e.Code, e.Info
		r.Length, r.Segment, r.Cast = 0, 0, 0
	}
	return r
}
