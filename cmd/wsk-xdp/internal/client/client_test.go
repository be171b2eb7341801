// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// ended counts the ends of a transport. All but the first are without effect, as those of a datapath are.
type ended struct {
	*wsktest.Transport
	ends int
}

func (e *ended) end() error {
	if e.ends++; e.ends == 1 {
		e.Kill()
	}
	return nil
}

func open(t *testing.T) (*Client, *ended) {
	t.Helper()
	e := &ended{Transport: wsktest.New()}
	c, err := Open(e.Transport, e.end)
	if err != nil {
		t.Fatal(err)
	}
	return c, e
}

func TestClient(t *testing.T) {
	c, e := open(t)
	local := netip.MustParseAddrPort("0.0.0.0:4433")
	socket, err := c.Socket(t.Context(), wsk.AF_INET, nil, nil)
	if err == nil {
		err = SetOption(t.Context(), socket, wsk.SOL_SOCKET, wsk.SO_BROADCAST, 1)
	}
	if err == nil {
		err = Bind(t.Context(), socket, local)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := LocalAddress(t.Context(), socket); err != nil || got != local {
		t.Errorf("local address %v, %v", got, err)
	}
	if len(c.Sockets()) != 1 || c.Sockets()[0] != socket {
		t.Errorf("sockets %v", c.Sockets())
	}
	if err := c.Close(t.Context()); err != nil || e.ends != 1 {
		t.Errorf("close: %v; the transport was ended %d times", err, e.ends)
	}
}

// An error says which call failed and the status it ended in.
func TestErrorsNameTheCall(t *testing.T) {
	c, e := open(t)
	defer c.Close(t.Context())
	if _, err := c.Socket(t.Context(), 99, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "WskSocket: ") {
		t.Errorf("family 99: %v", err)
	}
	socket, err := c.Socket(t.Context(), wsk.AF_INET, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = Bind(t.Context(), socket, netip.MustParseAddrPort("[::1]:9"))
	if want := "WskBind [::1]:9: "; !errors.As(err, new(wsk.NTSTATUS)) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("bind an IPv4 socket to ::1: %v", err)
	}
	err = SetOption(t.Context(), socket, wsk.SOL_SOCKET, 0x7777, 1)
	if err == nil || !strings.HasPrefix(err.Error(), "WskControlSocket level 0xffff option 0x7777: ") {
		t.Errorf("an option that there is not: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	e.DelayBinds(true)
	err = Bind(over, socket, netip.MustParseAddrPort("0.0.0.0:9"))
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "WskBind 0.0.0.0:9: ") {
		t.Errorf("a bind that nobody waits for any more: %v", err)
	}
	e.DelayBinds(false)
}

// A transport that keeps a frame is ended first, for the client can't be deregistered before. An interrupt does not
// shorten the wait.
func TestCloseEndsWhatIsStuck(t *testing.T) {
	c, e := open(t)
	socket, err := c.Socket(t.Context(), wsk.AF_INET, nil, nil)
	if err == nil {
		err = Bind(t.Context(), socket, netip.MustParseAddrPort("0.0.0.0:0"))
	}
	if err != nil {
		t.Fatal(err)
	}
	irp := wsk.AllocateIRP()
	e.SetMode(wsktest.Post)
	socket.SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL([]byte("stuck")), Length: 5}, 0, wsk.NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9")), nil, irp)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(over); err == nil || !strings.Contains(err.Error(), "did not give every frame back") || e.ends != 2 {
		t.Errorf("close: %v; the transport was ended %d times", err, e.ends)
	}
	if err := irp.Wait(t.Context()); err != nil || irp.IoStatus.Status == wsk.STATUS_SUCCESS {
		t.Errorf("the send: %v, %v", err, irp.IoStatus.Status)
	}
}
