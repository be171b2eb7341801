// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/admin"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// daemonIn in the environment makes this program a daemon, which has policy and sockets in that directory.
const daemonIn = "WSKXDP_TEST_DAEMON"

func runDaemon(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	defer EndAnyway(ctx, os.Stderr, os.Exit)()
	c, err := Load(Options{
		Policy: filepath.Join(dir, "policy.toml"), Listen: filepath.Join(dir, "s"), Admin: filepath.Join(dir, "a"), Version: "test",
	})
	if err == nil {
		c.patient = testenv.Patience(waitLimit) // how fast it ends is not the question here
		err = Run(ctx, c, nil, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestDaemonKilled: a daemon that is killed under load ends every IRP of its client once, in the status that is documented;
// its XDP program and its queue go with it, and the next socket sends through those of the next daemon.
func TestDaemonKilled(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	l := testenv.NewLabT(t, testenv.Topology{})
	dir := t.TempDir()
	policy := fmt.Sprintf("version = 1\n[interface.%s]\n[[allow]]\nname = \"me\"\nuid = %d\ndestination = [\"10.77.0.0/24\"]\nrate = \"unlimited\"\n",
		l.A.If.Name(), os.Getuid())
	if err := os.WriteFile(filepath.Join(dir, "policy.toml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := testenv.Context(t, waitLimit)
	operator := admin.NewClient(filepath.Join(dir, "a"))
	start := func() *exec.Cmd {
		daemon := exec.CommandContext(ctx, os.Args[0])
		daemon.Env = append(os.Environ(), daemonIn+"="+dir)
		daemon.Stderr = t.Output()
		if err := l.A.NS.Do(daemon.Start); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if daemon.ProcessState == nil {
				_ = daemon.Process.Kill()
				_ = daemon.Wait()
			}
		})
		testenv.Eventually(t, waitLimit, "the daemon", func() bool {
			s, err := operator.Status(ctx)
			return err == nil && s.Ready
		})
		if !hasProgram(t, l.A.If) {
			t.Error("the daemon has no XDP program on the interface")
		}
		return daemon
	}
	first := start()
	npi := through(t, filepath.Join(dir, "s"))
	far := testenv.NewUDPReceiverT(t, l.B.NS, netip.AddrPortFrom(l.B.IPv4(), 9000), testenv.UDPReceiverOptions{})
	load := &load{socket: boundSocket(t, npi, l.A.IPv4()), to: wsk.NewSockaddr(far.Local()), window: make(chan struct{}, 2000)}
	loading := make(chan struct{})
	go func() {
		defer close(loading)
		for load.lost.Load() == 0 {
			load.send()
		}
	}()
	testenv.Eventually(t, waitLimit, "datagrams to be sent", func() bool { return load.sent.Load() > 1000 })
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // says that it was killed
	<-loading
	load.check(t)
	testenv.Eventually(t, waitLimit, "the XDP program to be gone", func() bool { return !hasProgram(t, l.A.If) })

	second := start()
	irp := sendOne(boundSocket(t, npi, l.A.IPv4()), load.to)
	if err := irp.Wait(testenv.Context(t, waitLimit)); err != nil || irp.IoStatus.Status != wsk.STATUS_SUCCESS {
		t.Errorf("through the next daemon: %v, %v", irp.IoStatus.Status, err)
	}
	testenv.Eventually(t, waitLimit, "the frame to come back from the queue", func() bool {
		s, err := operator.Status(ctx)
		if err != nil || len(s.Queues) != 1 || len(s.Slow) > 0 {
			t.Fatalf("the next daemon: %+v, %v", s, err)
		}
		return s.Queues[0].State == "up" && s.Queues[0].Completed == 1
	})
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("the next daemon ends with %v", err)
	}
}

func hasProgram(t *testing.T, i *testenv.Iface) bool {
	t.Helper()
	attrs, err := i.Attrs()
	if err != nil {
		t.Fatal(err)
	}
	return attrs.Xdp != nil && attrs.Xdp.Attached
}

// load is a client that keeps many IRPs under way.
type load struct {
	socket *wsk.Socket
	to     wsk.SOCKADDR
	window chan struct{}
	sent   atomic.Int64 // that have ended well
	lost   atomic.Int64 // and in STATUS_FILE_FORCED_CLOSED

	mu    sync.Mutex
	other []wsk.NTSTATUS
	irps  []*wsk.IRP
	ends  []*atomic.Int32 // how often each has ended
}

func (l *load) send() {
	l.window <- struct{}{}
	irp, ends := wsk.AllocateIRP(), new(atomic.Int32)
	l.irps, l.ends = append(l.irps, irp), append(l.ends, ends)
	irp.SetCompletionRoutine(func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
		ends.Add(1)
		switch status := irp.IoStatus.Status; status {
		case wsk.STATUS_SUCCESS:
			l.sent.Add(1)
		case wsk.STATUS_FILE_FORCED_CLOSED:
			l.lost.Add(1)
		default:
			l.mu.Lock()
			l.other = append(l.other, status)
			l.mu.Unlock()
		}
		<-l.window
		return wsk.STATUS_SUCCESS
	}, nil, true, true, true)
	l.socket.SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 64)), Length: 64}, 0, l.to, nil, irp)
}

// check waits for all IRPs.
func (l *load) check(t *testing.T) {
	t.Helper()
	for i, irp := range l.irps {
		if err := irp.Wait(testenv.Context(t, waitLimit)); err != nil {
			t.Fatalf("IRP %d of %d: %v", i, len(l.irps), err)
		}
	}
	for i, ends := range l.ends {
		if n := ends.Load(); n != 1 {
			t.Errorf("IRP %d has ended %d times", i, n)
		}
	}
	if sum := l.sent.Load() + l.lost.Load(); sum != int64(len(l.irps)) || len(l.other) != 0 {
		t.Errorf("of %d IRPs %d were sent and %d lost; others: %v", len(l.irps), l.sent.Load(), l.lost.Load(), l.other)
	}
}

// through is WSK over the daemon whose socket is at path.
func through(t *testing.T, path string) *wsk.ProviderNPI {
	t.Helper()
	transport := client.Open(client.Options{Path: path})
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(transport, wsk.ProviderOptions{})
	npi, release, err := netconn.Capture(subsystem)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		release()
		subsystem.Detach()
		transport.Close()
	})
	return npi
}

// boundSocket is a socket with an address, until the end of the test.
func boundSocket(t *testing.T, npi *wsk.ProviderNPI, local netip.Addr) *wsk.Socket {
	t.Helper()
	call := func(begin func(*wsk.IRP)) *wsk.IRP {
		irp := wsk.AllocateIRP()
		begin(irp)
		if err := irp.Wait(testenv.Context(t, waitLimit)); err != nil || irp.IoStatus.Status != wsk.STATUS_SUCCESS {
			t.Fatal(irp.IoStatus.Status, err)
		}
		return irp
	}
	socket := call(func(irp *wsk.IRP) {
		npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	}).IoStatus.Socket
	t.Cleanup(func() {
		irp := wsk.AllocateIRP()
		socket.Close(irp)
		if err := irp.Wait(testenv.Context(t, waitLimit)); err != nil {
			t.Error(err)
		}
	})
	call(func(irp *wsk.IRP) {
		socket.Bind(wsk.NewSockaddr(netip.AddrPortFrom(local, 0)), 0, irp)
	})
	return socket
}

func sendOne(socket *wsk.Socket, to wsk.SOCKADDR) *wsk.IRP {
	irp := wsk.AllocateIRP()
	socket.SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 64)), Length: 64}, 0, to, nil, irp)
	return irp
}
