// SPDX-License-Identifier: Apache-2.0

package peer_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/peer"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// pair is a connection between a client and a server.
func pair(t *testing.T) (client *net.UnixConn, server *peer.Conn, raw *net.UnixConn) {
	t.Helper()
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixpacket"}
	l, err := net.ListenUnix("unixpacket", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.DialUnix("unixpacket", nil, address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if raw, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	if server, err = peer.New(raw); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(nil) })
	server.SetDeadline(time.Now().Add(time.Minute))
	return client, server, raw
}

// TestRights: descriptors that the kernel lets through are thrown away, and the message says so.
func TestRights(t *testing.T) {
	client, server, raw := pair(t)
	rc, err := raw.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = rc.Control(func(fd uintptr) { // as if the kernel could not refuse them
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 1)
	})
	if _, _, err := client.WriteMsgUnix([]byte("x"), unix.UnixRights(int(os.Stdin.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Receive(make([]byte, 100)); !errors.Is(err, peer.ErrRights) {
		t.Errorf("%v, want ErrRights", err)
	}
}

// TestReceive: a message, one that is too long, and the end.
func TestReceive(t *testing.T) {
	client, server, _ := pair(t)
	b := make([]byte, 10)
	for _, tt := range []struct {
		n    int
		want error
	}{{10, nil}, {11, peer.ErrSize}, {1, nil}} {
		if _, err := client.Write(make([]byte, tt.n)); err != nil {
			t.Fatal(err)
		}
		if n, err := server.Receive(b); !errors.Is(err, tt.want) || err == nil && n != tt.n {
			t.Errorf("%d bytes: %d, %v", tt.n, n, err)
		}
	}
	client.Close()
	if _, err := server.Receive(b); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

// shelf is memory for one message.
type shelf struct {
	b     []byte
	given chan struct{}
}

func (s *shelf) Take() []byte { return s.b }

func (s *shelf) Give([]byte) { s.given <- struct{}{} }

// TestReceiveLent: who waits has no memory, and who has got a message has it.
func TestReceiveLent(t *testing.T) {
	client, server, _ := pair(t)
	s := &shelf{make([]byte, 10), make(chan struct{}, 10)}
	type answer struct {
		b   []byte
		n   int
		err error
	}
	got := make(chan answer)
	go func() {
		b, n, err := server.ReceiveLent(nil, s)
		got <- answer{b, n, err}
	}()
	<-s.given
	if _, err := client.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	a := <-got
	if a.err != nil || len(a.b) != 10 || string(a.b[:a.n]) != "abc" {
		t.Fatalf("%q, %d, %v", a.b, a.n, a.err)
	}
	go func() {
		b, n, err := server.ReceiveLent(a.b, s)
		got <- answer{b, n, err}
	}()
	<-s.given
	client.Close()
	if a = <-got; !errors.Is(a.err, io.EOF) {
		t.Errorf("%d, %v", a.n, a.err)
	}
}

// TestFull: sending to a client that does not read fails and does not wait, and goes on when it has read.
func TestFull(t *testing.T) {
	client, server, _ := pair(t)
	msg := make([]byte, 60000)
	sent := 0
	for ; server.HasRoom(len(msg)); sent++ {
		if err := server.Send(msg); err != nil {
			t.Fatalf("with room: %v", err)
		}
	}
	if sent == 0 {
		t.Fatal("an empty socket has no room")
	}
	var err error
	for range 1000 {
		if err = server.Send(msg); err != nil {
			break
		}
		sent++
	}
	if !errors.Is(err, peer.ErrFull) {
		t.Fatalf("%v, want ErrFull", err)
	}
	room := make(chan error, 1)
	go func() { room <- server.AwaitRoom() }()
	for range sent {
		if n, err := client.Read(msg); err != nil || n != len(msg) {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if err := <-room; err != nil || !server.HasRoom(len(msg)) {
		t.Errorf("%v, and no room", err)
	}
}

// TestNotReadAnyMore: a client that has shut down reading has ended its session, and nobody waits for room that would
// never be of use.
func TestNotReadAnyMore(t *testing.T) {
	client, server, _ := pair(t)
	if err := client.CloseRead(); err != nil {
		t.Fatal(err)
	}
	if err := server.Send([]byte("x")); err == nil || errors.Is(err, peer.ErrFull) {
		t.Errorf("Send: %v", err)
	}
	server.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := server.Receive(make([]byte, 10)); !errors.Is(err, io.EOF) {
		t.Errorf("Receive: %v, want EOF", err)
	}
	if err := server.AwaitRoom(); err == nil {
		t.Error("there is room")
	}
}

// TestCloseTells: the last message arrives although what the client has sent was not read.
func TestCloseTells(t *testing.T) {
	client, server, _ := pair(t)
	for range 20 {
		if _, err := client.Write([]byte("unread")); err != nil {
			t.Fatal(err)
		}
	}
	server.Close([]byte("why"))
	b := make([]byte, 10)
	if n, err := client.Read(b); err != nil || string(b[:n]) != "why" {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// TestIdentify: the kernel says who this process is.
func TestIdentify(t *testing.T) {
	_, server, _ := pair(t)
	id, err := server.Identify("tests")
	if err != nil {
		t.Fatal(err)
	}
	if int(id.UID) != os.Getuid() || int(id.GID) != os.Getgid() || id.PID != os.Getpid() || id.Listener != "tests" {
		t.Errorf("%+v", id)
	}
	groups, _ := os.Getgroups()
	if len(id.Groups) != len(groups) {
		t.Errorf("groups %v, want %v", id.Groups, groups)
	}
	if in := id.InUnit("no-such-unit.service"); in {
		t.Error("in a unit that is not there")
	}
}

// TestInstance: a client in an instance of a template is in that unit, in its slices, and in no other.
func TestInstance(t *testing.T) {
	if !peer.CanTellUnits() {
		testenv.Skipf(t, "the units of a process can't be told here")
	}
	const slice, unit = "wskxdptest.slice", "client@1.service"
	inGroup(t, filepath.Join(slice, unit))
	_, server, _ := pair(t)
	id, err := server.Identify("tests")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{unit: true, slice: true, "client@2.service": false, "system.slice": false} {
		if in := id.InUnit(name); in != want || id.Err != nil {
			t.Errorf("in %s: %t, %v", name, in, id.Err)
		}
	}
}

// inGroup puts this process into a control group of its own, until the test ends.
func inGroup(t *testing.T, group string) {
	t.Helper()
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cgroup.procs"); err != nil {
		root += "/unified"
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	_, before, _ := strings.Cut("\n"+string(own), "\n0::")
	before, _, _ = strings.Cut(before, "\n")
	if err := os.MkdirAll(filepath.Join(root, group), 0o755); err != nil {
		testenv.Skipf(t, "no control group may be made here: %v", err)
	}
	enter := func(group string) error {
		return os.WriteFile(filepath.Join(root, group, "cgroup.procs"), []byte("0"), 0)
	}
	t.Cleanup(func() {
		if err := enter(before); err != nil {
			t.Error(err)
		}
		for ; group != "."; group = filepath.Dir(group) {
			if err := unix.Rmdir(filepath.Join(root, group)); err != nil {
				t.Error(err)
			}
		}
	})
	if err := enter(group); err != nil {
		testenv.Skipf(t, "the process may not be moved: %v", err)
	}
}

// TestClientHasEnded: a process that connects, leaves the connection to a child and ends can't be told from others. It is
// not one that is in no unit.
func TestClientHasEnded(t *testing.T) {
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixpacket"}
	l, err := net.ListenUnix("unixpacket", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	child := exec.Command(os.Args[0], "-test.run=^TestConnectAndEnd$")
	child.Env = append(os.Environ(), "PEER_TEST_SOCKET="+address.Name)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	server, err := peer.New(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(nil)
	id, err := server.Identify("tests")
	if err != nil {
		t.Fatal(err)
	}
	if in := id.InUnit("a.service"); in || id.Err == nil {
		t.Errorf("in a unit: %t, %v, want an error", in, id.Err)
	}
}

// TestConnectAndEnd is the child of TestClientHasEnded.
func TestConnectAndEnd(t *testing.T) {
	name := os.Getenv("PEER_TEST_SOCKET")
	if name == "" {
		t.Skip("is a child of TestClientHasEnded")
	}
	if _, err := net.Dial("unixpacket", name); err != nil {
		t.Fatal(err)
	}
}

// TestBreak: it ends what is waited for.
func TestBreak(t *testing.T) {
	_, server, _ := pair(t)
	go server.Break()
	if _, err := server.Receive(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want EOF", err)
	}
	server.Break()
}
