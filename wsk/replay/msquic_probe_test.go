// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// probe is a basic socket with the one IRP and event that serve all of its calls.
type probe struct {
	quic   *quic
	irp    wsk.IRP
	event  event
	socket *wsk.Socket
}

func (q *quic) openProbe(socketType uint16, protocol uint32) (*probe, wsk.NTSTATUS) {
	p := &probe{quic: q, event: newEvent()}
	c := q.audit.arm(&p.irp, "WskSocket (probe)", setEvent, p.event)
	status := c.returns(q.npi.Socket(wsk.AF_INET6, socketType, protocol, wsk.WSK_FLAG_BASIC_SOCKET, nil, nil, nil, nil, nil, &p.irp))
	if status == wsk.STATUS_PENDING {
		p.event.wait(q.t, "WskSocket (probe)")
	} else if !status.Success() {
		return nil, status
	}
	if status = p.irp.IoStatus.Status; status.Success() {
		p.socket = p.irp.IoStatus.Socket
	}
	return p, status
}

// call makes one call on the probe's socket.
func (p *probe) call(what string, f func(irp *wsk.IRP) wsk.NTSTATUS) wsk.NTSTATUS {
	p.irp.Reuse(wsk.STATUS_SUCCESS)
	c := p.quic.audit.arm(&p.irp, what, setEvent, p.event)
	p.event.reset()
	status := c.returns(f(&p.irp))
	if status == wsk.STATUS_PENDING {
		p.event.wait(p.quic.t, what)
	} else if !status.Success() {
		return status
	}
	return p.irp.IoStatus.Status
}

func (p *probe) close() {
	if status := p.call("WskCloseSocket (probe)", p.socket.Close); !status.Success() {
		p.quic.t.Errorf("WskCloseSocket (probe): %v", status)
	}
}

// probeRSS asks a TCP socket. Any failure means that there is no such feature, and nothing else.
func (q *quic) probeRSS() {
	p, status := q.openProbe(wsk.SOCK_STREAM, wsk.IPPROTO_TCP)
	if !status.Success() {
		return
	}
	defer p.close()
	var returned uintptr
	enabled := make([]byte, 1)
	p.call("SIO_QUERY_RSS_SCALABILITY_INFO", func(irp *wsk.IRP) wsk.NTSTATUS {
		return p.socket.ControlSocket(wsk.WskIoctl, wsk.SIO_QUERY_RSS_SCALABILITY_INFO, 0, nil, enabled, &returned, irp)
	})
}

func (q *quic) probeOptions() {
	p, status := q.openProbe(wsk.SOCK_DGRAM, wsk.IPPROTO_UDP)
	if !status.Success() {
		q.t.Errorf("the probing socket does not open: %v", status)
		return
	}
	defer p.close()
	var returned uintptr
	get := func(option uint32) bool {
		value := make([]byte, 4)
		return p.call("get UDP option", func(irp *wsk.IRP) wsk.NTSTATUS {
			return p.socket.ControlSocket(wsk.WskGetOption, option, wsk.IPPROTO_UDP, nil, value, &returned, irp)
		}).Success()
	}
	q.segmentation = get(wsk.UDP_SEND_MSG_SIZE)
	q.coalescing = get(wsk.UDP_RECV_MAX_COALESCED_SIZE)
	lowerEffort := binary.LittleEndian.AppendUint32(nil, 1)
	q.dscp = p.call("set IPV6_TCLASS", func(irp *wsk.IRP) wsk.NTSTATUS {
		return p.socket.ControlSocket(wsk.WskSetOption, wsk.IPV6_TCLASS, wsk.IPPROTO_IPV6, lowerEffort, nil, &returned, irp)
	}).Success()
}
