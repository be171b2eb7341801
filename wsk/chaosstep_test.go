// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// step makes one call at random.
func (c *chaosClient) step(inRoutine bool) {
	choice := c.dice.n(24)
	s := c.socket()
	if choice == 0 || s == nil {
		if !inRoutine {
			c.open()
		}
		return
	}
	x := &chaosIRP{client: c, socket: s}
	buf, to := text("chaos"), addr("192.0.2.1:9")
	enable := func(mask uint32) func(*wsk.IRP) wsk.NTSTATUS {
		return func(irp *wsk.IRP) wsk.NTSTATUS {
			return s.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, sol, wsk.NewEventCallbackControl(mask), nil, nil, irp)
		}
	}
	switch choice {
	default:
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS { return s.SendTo(buf, 0, to, nil, irp) }
	case 1, 2:
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS { return s.SendMessages(list(buf, buf), 0, to, nil, irp) }
	case 3:
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS { return s.SendTo(buf, 1, to, nil, irp) }
	case 20:
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS {
			batch := wsk.Batch{Sends: []wsk.BatchSend{{Buf: buf, Remote: to, IRP: irp}, {Buf: buf}}}
			s.SendBatch(&batch)
			return batch.Sends[0].Status
		}
	case 4, 5, 6, 7:
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS { return s.ReceiveFrom(text("room"), 0, nil, nil, nil, nil, irp) }
	case 8:
		x.call = enable(wsk.WSK_EVENT_RECEIVE_FROM)
	case 9:
		x.call = enable(wsk.WSK_EVENT_RECEIVE_FROM | wsk.WSK_EVENT_DISABLE)
	case 10:
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS {
			return s.ControlSocket(wsk.WskIoctl, wsk.SIO_ADDRESS_LIST_CHANGE, 0, nil, nil, nil, irp)
		}
	case 11:
		s.ControlSocket(wsk.WskSetOption, wsk.IP_TTL, ip, le32(9), nil, nil, nil)
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS { return s.GetLocalAddress(make([]byte, 16), irp) }
	case 18, 19:
		s.ControlSocket(wsk.WskIoctl, wsk.SIO_WSK_SET_SENDTO_ADDRESS, 0, to, nil, nil, wsk.AllocateIRP())
		for range 8 {
			s.ControlSocket(wsk.WskGetOption, wsk.IP_MTU, ip, nil, make([]byte, 4), nil, nil)
		}
		return
	case 12:
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS { return s.Bind(addr("0.0.0.0:0"), 0, irp) }
	case 13:
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS {
			return s.ControlSocket(wsk.WskSetOption, wsk.SO_RCVBUF, sol, le32(uint32(c.dice.n(300))), nil, nil, irp)
		}
	case 14:
		s.close()
		return
	case 15:
		s.giveBack()
		return
	case 16:
		if inRoutine { // the client may be leaving, and then it must not call the provider
			return
		}
		x.socket = nil
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS {
			return c.npi.ControlClient(wsk.WSK_TRANSPORT_LIST_CHANGE, nil, nil, nil, irp)
		}
	case 17:
		if inRoutine {
			return
		}
		x.socket = nil
		var result *wsk.AddrInfo
		x.call = func(irp *wsk.IRP) wsk.NTSTATUS {
			return c.npi.GetAddressInfo("a.example", "", 0, nil, nil, &result, nil, nil, irp)
		}
	}
	if c.dice.n(4) == 0 && x.socket != nil {
		x.again = c.dice.n(3)
	} else {
		c.mu.Lock()
		c.irps = append(c.irps, x)
		c.mu.Unlock()
		if c.dice.n(32) == 0 {
			x.Cancel()
		}
	}
	x.pass()
}
