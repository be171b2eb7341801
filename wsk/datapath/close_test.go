// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestCloseWhileBinding closes a datapath, and aborts an endpoint, while a bind is under way: the bind comes to an end, no kernel
// socket is left with a goroutine that reads it, and Close returns although nobody closes the endpoint.
func TestCloseWhileBinding(t *testing.T) {
	dp, _ := newFakeDatapath(t, xdptest.Config{}, Options{Logger: testLogger(t)})
	open, status := dp.OpenEndpoint(wsk.AF_INET, newCatcher(t))
	mustSucceed(t, "open endpoint", status)
	proceed := make(chan struct{})
	inNetNS := dp.companions.InNetNS
	dp.companions.InNetNS = func(f func() error) error {
		<-proceed
		return inNetNS(f)
	}
	bound := make(chan wsk.NTSTATUS, 1)
	open.Bind(anyAddress, func(_ netip.AddrPort, status wsk.NTSTATUS) { bound <- status })
	open.Abort()
	closed := make(chan error, 1)
	go func() { closed <- dp.Close() }()
	eventually(t, "the close to begin", dp.endpoints.isClosed)
	close(proceed)
	if status := <-bound; status != wsk.STATUS_FILE_FORCED_CLOSED {
		t.Errorf("bind beside a close: %v", status)
	}
	awaitClose(t, closed)
	if dp.companions.PortsHeld() != 0 {
		t.Errorf("%d ports are held", dp.companions.PortsHeld())
	}
	open.Close(func() {})
}

// TestUseAfterClose: endpoints that are still open when their datapath has been closed can neither be bound nor join.
func TestUseAfterClose(t *testing.T) {
	lab, dp := companionLab(t, testenv.Topology{})
	p := bind(t, dp, "10.77.0.1:7990")
	late, status := dp.OpenEndpoint(wsk.AF_INET, newCatcher(t))
	mustSucceed(t, "open endpoint", status)
	closed := make(chan error, 1)
	go func() { closed <- dp.Close() }()
	awaitClose(t, closed)
	bound := make(chan wsk.NTSTATUS, 1)
	late.Bind(anyAddress, func(_ netip.AddrPort, status wsk.NTSTATUS) { bound <- status })
	if status := <-bound; status != wsk.STATUS_FILE_FORCED_CLOSED {
		t.Errorf("bind: %v", status)
	}
	// The join runs where the namespace of the datapath is at hand, as in a program that has one only.
	group := netip.MustParseAddr("239.7.7.90")
	err := lab.A.NS.Do(func() error {
		status = p.Change(wsk.Membership{Group: group.As16(), IfIndex: uint32(lab.A.If.Index())})
		return nil
	})
	if n := socketsOn(t, lab, group); err != nil || status == wsk.STATUS_SUCCESS || n != 0 {
		t.Errorf("join: %v, %v, %d sockets", err, status, n)
	}
	p.close()
	late.Close(func() {})
}

var anyAddress = wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:0")}

func awaitClose(t *testing.T, closed <-chan error) {
	t.Helper()
	var err error
	done := false
	eventually(t, "the end of the close", func() bool {
		select {
		case err = <-closed:
			done = true
		default:
		}
		return done
	})
	if err != nil {
		t.Error(err)
	}
}
