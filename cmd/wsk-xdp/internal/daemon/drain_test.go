// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// stuck is a transport whose queue hangs: what has left never completes, and it can't be closed, until it is freed.
type stuck struct {
	*wsktest.Transport
	free chan struct{}
}

func (s *stuck) Close() error {
	<-s.free
	return nil
}

// TestDrainBound: an operation that never completes does not keep the daemon, and the client whose it is is told.
func TestDrainBound(t *testing.T) {
	queue := &stuck{wsktest.New(), make(chan struct{})}
	queue.SetMode(wsktest.Post)
	queue.SetLocal(netip.MustParseAddr("10.77.0.1"))
	d := &daemon{log: slog.New(slog.DiscardHandler), started: time.Now(), queues: queue}
	p, err := policy.Parse("p.toml", []byte("version = 1\n[interface.eth0]\n[[allow]]\nname = \"all\"\nlistener = \"l\"\n"+
		"destination = [\"10.0.0.0/8\"]\n"), policy.Host{})
	if err != nil {
		t.Fatal(err)
	}
	if d.server, err = service.New(service.Config{
		Transport: queue, Policy: policy.NewCurrent(p), Interface: func(uint32) string { return "eth0" },
	}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	served := begin(func() error { return d.server.Serve(l, "l") })
	irp := sendOne(boundSocket(t, through(t, path), netip.MustParseAddr("10.77.0.1")), wsk.NewSockaddr(netip.MustParseAddrPort("10.77.0.7:9")))
	testenv.Eventually(t, waitLimit, "the datagram to be under way", func() bool { return queue.Counts().Pending == 1 })

	ended := begin(d.close)
	if err := irp.Wait(testenv.Context(t, waitLimit)); err != nil || irp.IoStatus.Status != wsk.STATUS_FILE_FORCED_CLOSED {
		t.Errorf("the client is told %v, %v", irp.IoStatus.Status, err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, errLeft) {
			t.Errorf("close: %v", err)
		}
	case <-testenv.Context(t, waitLimit).Done():
		t.Error("the daemon does not end")
	}
	close(queue.free)
	queue.CompleteAll(wsk.STATUS_SUCCESS)
	if err := <-served; !errors.Is(err, service.ErrClosed) {
		t.Error(err)
	}
	if err := d.close(); err != nil {
		t.Errorf("nothing is left: %v", err)
	}
}
