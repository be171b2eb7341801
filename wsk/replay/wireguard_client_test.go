// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// wgDevice is the socket half of wireguard-nt: a device with two sockets on one port.
type wgDevice struct {
	t            *testing.T
	audit        *audit
	registration wsk.Registration
	npi          wsk.ProviderNPI
	has4, has6   bool // transports
	queries      int
	retries      int
	owner        wsk.EPROCESS
	up           atomic.Bool
	port         uint16

	rcu          sync.RWMutex // the reader's side stands for an RCU read section
	sock4, sock6 *wgSocket

	work     chan *wgPacket
	worker   sync.WaitGroup
	consumed func(p *wgPacket) // upcall of the worker, before the packet goes back

	contexts, contextsFreed atomic.Int64
	discards, kept          atomic.Int64
}

// wgSocket is the context of a socket. sock is nil until the socket has been made.
type wgSocket struct {
	device   *wgDevice
	sock     atomic.Pointer[wsk.Socket]
	inFlight rundown
}

// wgPacket is a received NET_BUFFER_LIST, which owns an indication.
type wgPacket struct {
	data   *wsk.DatagramIndication
	header uint32 // message type
	socket *wgSocket
}

// Message types, and the size of the header that is read at once.
const (
	wgHandshake  = 1
	wgData       = 4
	wgHeaderSize = 4
)

// wgMaxRetries limits the search for a port that is free for both IP versions.
const wgMaxRetries = 100

func newWgDevice(t *testing.T, r *rig) *wgDevice {
	t.Helper()
	wg := &wgDevice{t: t, audit: &r.audit, work: make(chan *wgPacket, 4096)}
	wg.up.Store(true)
	r.register(&wg.registration, &wg.npi)
	wg.queryTransports(16)
	status := wg.npi.ControlClient(wsk.WSK_SET_STATIC_EVENT_CALLBACKS,
		wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, nil)
	if status != wsk.STATUS_SUCCESS {
		t.Fatalf("WSK_SET_STATIC_EVENT_CALLBACKS: %v", status)
	}
	bypass := binary.LittleEndian.AppendUint32(nil, wsk.WSK_TDI_BEHAVIOR_BYPASS_TDI)
	wg.npi.ControlClient(wsk.WSK_TDI_BEHAVIOR, bypass, nil, nil, nil) // the status is ignored
	wg.worker.Go(wg.decrypt)
	return wg
}

// queryTransports asks with room for the given number of entries, and again with as much as is said to be needed.
func (wg *wgDevice) queryTransports(entries int) {
	wg.t.Helper()
	wg.has4, wg.has6 = false, false
	size := uintptr(entries * wsk.SizeofTransport)
	for wg.queries = 1; ; wg.queries++ {
		list := make([]byte, size)
		status := wg.npi.ControlClient(wsk.WSK_TRANSPORT_LIST_QUERY, nil, list, &size, nil)
		if status == wsk.STATUS_BUFFER_OVERFLOW && wg.queries < 5 {
			continue
		}
		if status != wsk.STATUS_SUCCESS {
			wg.t.Fatalf("WSK_TRANSPORT_LIST_QUERY: %v", status)
		}
		transports, ok := wsk.ParseTransports(list[:size])
		if !ok {
			wg.t.Fatalf("a transport list of %d bytes", size)
		}
		for _, tr := range transports {
			if tr.SocketType == wsk.SOCK_DGRAM && tr.Protocol == wsk.IPPROTO_UDP {
				wg.has4 = wg.has4 || tr.AddressFamily == wsk.AF_INET || tr.AddressFamily == wsk.AF_UNSPEC
				wg.has6 = wg.has6 || tr.AddressFamily == wsk.AF_INET6 || tr.AddressFamily == wsk.AF_UNSPEC
			}
		}
		return
	}
}

// unload is the end of the driver. The worker must have given everything back before the sockets can be closed.
func (wg *wgDevice) unload() {
	wg.up.Store(false)
	wg.reinit(nil, nil, 0)
	close(wg.work)
	wg.worker.Wait()
	wsk.ReleaseProviderNPI(&wg.registration)
	wsk.Deregister(&wg.registration)
}

// sync makes a call and waits, with an IRP on the stack.
func (wg *wgDevice) sync(what string, f func(irp *wsk.IRP) wsk.NTSTATUS) (*wsk.Socket, wsk.NTSTATUS) {
	var irp wsk.IRP
	done := newEvent()
	c := wg.audit.arm(&irp, what, setEvent, done)
	status := c.returns(f(&irp))
	if status == wsk.STATUS_PENDING {
		done.wait(wg.t, what)
		status = irp.IoStatus.Status
	}
	return irp.IoStatus.Socket, status
}

func (wg *wgDevice) setOption(s *wsk.Socket, level, option uint32) wsk.NTSTATUS {
	stack := binary.LittleEndian.AppendUint32(nil, 1)
	_, status := wg.sync("set option", func(irp *wsk.IRP) wsk.NTSTATUS {
		return s.ControlSocket(wsk.WskSetOption, option, level, stack, nil, nil, irp)
	})
	return status
}

var wgDispatch = wsk.ClientDatagramDispatch{ReceiveFromEvent: wgReceive}

// createAndBind makes one of the sockets and stores the address that it got in sa.
func (wg *wgDevice) createAndBind(sa wsk.SOCKADDR) (*wgSocket, wsk.NTSTATUS) {
	socket := &wgSocket{device: wg}
	s, status := wg.sync("WskSocket", func(irp *wsk.IRP) wsk.NTSTATUS {
		return wg.npi.Socket(sa.Family(), wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, socket, &wgDispatch,
			&wg.owner, nil, nil, irp)
	})
	if !status.Success() {
		return nil, status
	}
	socket.sock.Store(s)
	if sa.Family() == wsk.AF_INET {
		status = wg.setOption(s, wsk.IPPROTO_IP, wsk.IP_PKTINFO)
	} else if status = wg.setOption(s, wsk.IPPROTO_IPV6, wsk.IPV6_V6ONLY); status.Success() {
		status = wg.setOption(s, wsk.IPPROTO_IPV6, wsk.IPV6_PKTINFO)
	}
	if status.Success() {
		_, status = wg.sync("WskBind", func(irp *wsk.IRP) wsk.NTSTATUS { return s.Bind(sa, 0, irp) })
	}
	if status.Success() {
		_, status = wg.sync("WskGetLocalAddress", func(irp *wsk.IRP) wsk.NTSTATUS { return s.GetLocalAddress(sa, irp) })
	}
	if !status.Success() {
		wg.closeSocket(socket)
		return nil, status
	}
	return socket, status
}

func (wg *wgDevice) closeSocket(socket *wgSocket) {
	if socket == nil {
		return
	}
	socket.inFlight.wait(wg.t)
	s := socket.sock.Load()
	if _, status := wg.sync("WskCloseSocket", s.Close); status != wsk.STATUS_SUCCESS {
		wg.t.Errorf("WskCloseSocket: %v", status)
	}
	if stats := s.ReceiveStatistics(); stats.Retained != 0 {
		wg.t.Errorf("closed with %d indications retained", stats.Retained)
	}
}

// socketInit binds an IPv4 socket, and then an IPv6 one to the same port. With port 0, if the port that the IPv4 socket
// has got is taken for IPv6, another one is tried. between, if not nil, is called between the two binds: that is when
// other programs run.
func (wg *wgDevice) socketInit(port uint16, between func(port uint16)) wsk.NTSTATUS {
	for wg.retries = 0; ; wg.retries++ {
		sa4 := wsk.NewSockaddr(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
		sa6 := wsk.NewSockaddr(netip.AddrPortFrom(netip.IPv6Unspecified(), port))
		new4, status := wg.createAndBind(sa4)
		if !status.Success() {
			return status
		}
		copy(sa6[2:4], sa4[2:4])
		ap, _ := sa4.AddrPort()
		if between != nil {
			between(ap.Port())
		}
		new6, status := wg.createAndBind(sa6)
		if !status.Success() {
			wg.closeSocket(new4)
			if status == wsk.STATUS_ADDRESS_ALREADY_EXISTS && port == 0 && wg.retries < wgMaxRetries {
				continue
			}
			return status
		}
		wg.reinit(new4, new6, ap.Port())
		return wsk.STATUS_SUCCESS
	}
}

// reinit replaces the sockets, waits until no sender is in a call with the old ones, and closes those.
func (wg *wgDevice) reinit(new4, new6 *wgSocket, port uint16) {
	wg.rcu.Lock()
	old4, old6 := wg.sock4, wg.sock6
	wg.sock4, wg.sock6, wg.port = new4, new6, port
	wg.rcu.Unlock()
	wg.closeSocket(old4)
	wg.closeSocket(old6)
}
