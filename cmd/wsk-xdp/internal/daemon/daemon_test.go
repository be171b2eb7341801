// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/admin"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

func TestMain(m *testing.M) {
	if filter := os.Getenv(filterIn); filter != "" {
		os.Exit(enter(filter))
	}
	if dir := os.Getenv(daemonIn); dir != "" {
		os.Exit(runDaemon(dir))
	}
	testenv.Main(m)
}

const waitLimit = time.Minute

// rig is a daemon in a laboratory.
type rig struct {
	t      *testing.T
	lab    *testenv.Lab
	dir    string
	config *Config
	admin  *admin.Client
	stop   func()
	ended  chan error
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// write writes a policy that grants this user what destinations says.
func (r *rig) write(destinations string) {
	r.t.Helper()
	text := fmt.Sprintf("version = 1\n[interface.%s]\n[[allow]]\nname = \"me\"\nuid = %d\ndestination = [%s]\n"+
		"multicast = [\"239.1.0.0/16\"]\nlocal = true\n", r.lab.A.If.Name(), os.Getuid(), destinations)
	if err := os.WriteFile(r.path("policy.toml"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

const everything = `"10.0.0.0/8", "fd00::/8"`

// start starts a daemon in this process.
func start(t *testing.T) *rig { return startBy(t, (*rig).run) }

func startBy(t *testing.T, run func(*rig)) *rig {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	r := &rig{t: t, lab: testenv.NewLabT(t, testenv.Topology{}), dir: t.TempDir(), ended: make(chan error, 1)}
	r.write(everything)
	settings := fmt.Sprintf("version = 1\npolicy = %q\nlisten = %q\nadmin = %q\n", r.path("policy.toml"), r.path("s"), r.path("a"))
	if err := os.WriteFile(r.path("daemon.toml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.config, err = Load(Options{Config: r.path("daemon.toml"), Version: "test"}); err != nil {
		t.Fatal(err)
	}
	r.admin = admin.NewClient(r.path("a"))
	run(r)
	t.Cleanup(r.end)
	r.awaitReady()
	return r
}

func (r *rig) run() {
	ctx, stop := context.WithCancel(r.t.Context())
	r.stop = stop
	ns := netns.Borrow(r.lab.A.NS.FD())
	log := r.t.Output()
	go func() { r.ended <- Run(ctx, r.config, ns, log) }()
}

func (r *rig) awaitReady() {
	testenv.Eventually(r.t, waitLimit, "the daemon to be ready", func() bool {
		select {
		case err := <-r.ended:
			r.stop = nil
			r.t.Fatal(err)
		default:
		}
		s, err := r.admin.Status(r.t.Context())
		return err == nil && s.Ready
	})
}

// end stops the daemon, once.
func (r *rig) end() {
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
}

// listen opens a connection through the daemon.
func (r *rig) listen(o client.Options) *netconn.Conn {
	r.t.Helper()
	o.Path = r.path("s")
	transport := client.Open(o)
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(transport, wsk.ProviderOptions{})
	npi, release, err := netconn.Capture(subsystem)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := netconn.Listen(npi, "udp", netip.AddrPort{}, netconn.Options{Strict: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		c.Close()
		release()
		subsystem.Detach()
		transport.Close()
	})
	return c
}

// TestDaemon: a client sends and receives over both versions of IP, an operator sees it, and at the end nothing is left.
func TestDaemon(t *testing.T) { testDaemon(t, start(t)) }

func testDaemon(t *testing.T, r *rig) {
	c := r.listen(client.Options{})
	for _, addr := range []netip.Addr{r.lab.B.IPv4(), r.lab.B.IPv6()} {
		far := testenv.NewUDPReceiverT(t, r.lab.B.NS, netip.AddrPortFrom(addr, 9000), testenv.UDPReceiverOptions{})
		if _, err := c.WriteToUDPAddrPort([]byte("hello"), far.Local()); err != nil {
			t.Fatal(err)
		}
		got, err := far.Wait(testenv.Context(t, waitLimit), 1)
		if err != nil {
			t.Fatal(err)
		}
		if string(got[0].Payload) != "hello" {
			t.Errorf("%q", got[0].Payload)
		}
		back := testenv.NewUDPSenderT(t, r.lab.B.NS, testenv.UDPSenderOptions{Source: netip.AddrPortFrom(addr, 0)})
		here := r.lab.A.IPv4()
		if addr.Is6() {
			here = r.lab.A.IPv6()
		}
		port := c.LocalAddr().(*net.UDPAddr).Port
		if err := back.Send(netip.AddrPortFrom(here, uint16(port)), []byte("and back")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil || string(buf[:n]) != "and back" || from.Addr().Unmap() != addr {
			t.Errorf("%q from %v: %v", buf[:n], from, err)
		}
	}
	r.look()
	c.Close() // or else the daemon gives it two seconds
	r.end()
	for _, name := range []string{"s", "a"} {
		if _, err := os.Stat(r.path(name)); err == nil {
			t.Errorf("the socket %s is left", name)
		}
	}
}

// look checks what an operator is told.
func (r *rig) look() {
	t := r.t
	var s *admin.Status
	testenv.Eventually(t, waitLimit, "both datagrams to be counted", func() (done bool) {
		var err error
		if s, err = r.admin.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(s.Grants) == 1 && s.Grants[0].Sent == 2
	})
	if !s.Healthy || s.Sessions != 1 || len(s.Grants) != 1 || s.Grants[0].Sent != 2 || s.Grants[0].Received != 2 || s.Grants[0].Sockets != 1 {
		t.Errorf("%+v", s)
	}
	if len(s.Queues) != 1 || s.Queues[0].Completed < 2 || s.Queues[0].Interface != r.lab.A.If.Name() {
		t.Errorf("queues %+v", s.Queues)
	}
	l, err := r.admin.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Sessions) != 1 || l.Sessions[0].UID != uint32(os.Getuid()) || l.Sessions[0].PID != os.Getpid() || len(l.Sessions[0].Sockets) != 1 {
		t.Errorf("clients %+v", l)
	}
	text, err := r.admin.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`wsk_daemon_datagrams_total{direction="sent",grant="me"} 2`, "wsk_daemon_sessions 1", "wsk_daemon_healthy 1",
		"wsk_daemon_reload_success 1", `wsk_daemon_build_info{version="test"} 1`,
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("metrics have no line %s", line)
		}
	}
}

// TestReload: a policy that is broken changes nothing and says where it is broken; one that is in order takes hold of
// sockets that are open.
func TestReload(t *testing.T) { testReload(t, start(t)) }

func testReload(t *testing.T, r *rig) {
	refusals := make(chan client.Refusal, 1000)
	c := r.listen(client.Options{OnRefusal: func(f client.Refusal) { refusals <- f }})
	to := netip.AddrPortFrom(r.lab.B.IPv4(), 9000)
	send := func() error {
		_, err := c.WriteToUDPAddrPort([]byte("hello"), to)
		return err
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	r.write("nonsense")
	answer, err := r.admin.Reload(t.Context())
	if err != nil || answer.OK || !strings.Contains(answer.Error, r.path("policy.toml")+":6:") {
		t.Errorf("reload of a broken file: %+v, %v", answer, err)
	}
	if err := send(); err != nil {
		t.Errorf("under the old policy: %v", err)
	}
	if s, err := r.admin.Status(t.Context()); err != nil || s.Policy.Error == "" || s.Policy.Reloads != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	r.write(`"192.0.2.0/24"`)
	if answer, err := r.admin.Reload(t.Context()); err != nil || !answer.OK || answer.Grants != 1 {
		t.Errorf("reload: %+v, %v", answer, err)
	}
	if s, err := r.admin.Status(t.Context()); err != nil || s.Policy.Error != "" || s.Policy.Reloads != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	testenv.Eventually(t, waitLimit, "the new policy", func() bool { return send() != nil })
	if f := <-refusals; f.Reason != ipc.ReasonDestination || f.Status != wsk.STATUS_ACCESS_DENIED {
		t.Errorf("%+v", f)
	}
	r.write(everything)
	if answer, err := r.admin.Reload(t.Context()); err != nil || !answer.OK {
		t.Errorf("reload: %+v, %v", answer, err)
	}
	testenv.Eventually(t, waitLimit, "the old policy", func() bool { return send() == nil })
}
