// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// countingTransport notices calls of MTU after Close.
type countingTransport struct {
	sink
	closed atomic.Bool
	calls  atomic.Int64
	late   atomic.Int64
}

func (t *countingTransport) OpenEndpoint(uint16, EndpointEvents) (Endpoint, NTSTATUS) {
	return t, STATUS_SUCCESS
}

func (t *countingTransport) MTU(*Destination) (int, NTSTATUS) {
	t.calls.Add(1)
	if t.closed.Load() {
		t.late.Add(1)
	}
	return 1500, STATUS_SUCCESS
}

func (t *countingTransport) Close(done func()) {
	t.closed.Store(true)
	done()
}

// More goroutines than processors call into one socket when it is closed, so that most of them are stopped somewhere on
// their way in. Each must either have been counted before it looked, and be waited for, or see that the socket is
// closed.
func TestCloseSeesEveryCall(t *testing.T) {
	for began := time.Now(); time.Since(began) < time.Second; {
		transport := new(countingTransport)
		s := newSocketOver(t, transport)
		irp, end := AllocateIRP(), AllocateIRP()
		to := NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9"))
		s.ControlSocket(WskIoctl, SIO_WSK_SET_REMOTE_ADDRESS, 0, to, nil, nil, irp)
		var callers sync.WaitGroup
		for range 16 {
			callers.Go(func() {
				var mtu [4]byte
				for s.ControlSocket(WskGetOption, IP_MTU, IPPROTO_IP, nil, mtu[:], nil, nil) == STATUS_SUCCESS {
				}
			})
		}
		for transport.calls.Load() < 20_000 {
		}
		s.Close(end)
		callers.Wait()
		if transport.late.Load() != 0 || end.pending() {
			t.Fatalf("%d calls reached a closed endpoint; close pending: %v", transport.late.Load(), end.pending())
		}
	}
}
