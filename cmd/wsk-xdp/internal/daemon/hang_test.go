// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/admin"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// pipe puts a pipe into the place of the policy, which hangs whoever reads it.
func (r *rig) pipe() {
	r.t.Helper()
	path := r.path("policy.toml")
	if err := os.Remove(path); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { // whoever still reads it may end
		if f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
			f.Close()
		}
	})
}

// TestReloadHangs: a policy that can't be read keeps neither the operator nor the end of the daemon, and does not stand in
// the way of one that can be.
func TestReloadHangs(t *testing.T) {
	r := start(t)
	r.pipe()
	r.hup(1)
	answer, err := r.admin.Reload(t.Context())
	if err != nil || answer.OK || !strings.Contains(answer.Error, r.path("policy.toml")) {
		t.Errorf("reload: %+v, %v", answer, err)
	}
	if _, err := r.admin.Metrics(t.Context()); err != nil {
		t.Error(err)
	}
	late := r.path("policy.toml")
	if err := os.Rename(late, r.path("late")); err != nil {
		t.Fatal(err)
	}
	r.write(everything)
	if answer, err := r.admin.Reload(t.Context()); err != nil || !answer.OK {
		t.Errorf("reload beside two that hang: %+v, %v", answer, err)
	}
	loaded := r.loaded()
	if err := os.WriteFile(r.path("late"), []byte("nonsense"), 0o600); err != nil { // into the pipe
		t.Fatal(err)
	}
	testenv.Eventually(t, waitLimit, "the readers of the pipe to end", func() bool {
		r.config.rules.mu.Lock()
		defer r.config.rules.mu.Unlock()
		return r.config.rules.hung < 2
	})
	if s, err := r.admin.Status(t.Context()); err != nil || s.Policy.Error != "" || !r.loaded().Equal(loaded) {
		t.Errorf("what came late is not thrown away: %+v, %v", s, err)
	}
	r.pipe()
	r.hup(4)
	r.end()
}

// hup asks this process for a reload, which is to be its nth.
func (r *rig) hup(n uint64) {
	r.t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	testenv.Eventually(r.t, waitLimit, "the reload to begin", func() bool {
		s, err := r.admin.Status(r.t.Context())
		return err == nil && s.Policy.Reloads == n
	})
}

func (r *rig) loaded() time.Time {
	loaded, _, _ := r.config.rules.state()
	return loaded
}

// TestNotifyHangs: a systemd that does not read what it is told keeps neither the start of the daemon nor its end.
func TestNotifyHangs(t *testing.T) {
	systemd(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for err == nil { // until there is no room
		_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
		_, err = c.Write([]byte("X=1"))
	}
	r := start(t)
	if answer, err := r.admin.Reload(t.Context()); err != nil || !answer.OK {
		t.Errorf("%+v, %v", answer, err)
	}
	r.end()
}

// TestScraperHangs: who asks and does not read the answers does not keep the daemon.
func TestScraperHangs(t *testing.T) {
	r := start(t)
	c, err := net.Dial("unix", r.path("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for err == nil { // until there is no room for answers, nor for questions
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = c.Write(bytes.Repeat([]byte("GET /metrics HTTP/1.1\r\nHost: daemon\r\n\r\n"), 100))
	}
	if s, err := r.admin.Status(t.Context()); err != nil || !s.Ready {
		t.Errorf("%+v, %v", s, err)
	}
	r.end()
}

// TestLogHangs: a daemon whose log nobody reads hangs, and ends all the same.
func TestLogHangs(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	r := &rig{t: t, lab: testenv.NewLabT(t, testenv.Topology{}), dir: t.TempDir()}
	r.write(everything)
	var log [2]int
	if err := unix.Pipe2(log[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(log[0])
	for n := os.Getpagesize(); n > 0; n /= 2 { // what does not fit whole is tried in halves, until a byte does not fit
		for {
			if _, err := unix.Write(log[1], make([]byte, n)); err != nil {
				break
			}
		}
	}
	if err := unix.SetNonblock(log[1], false); err != nil {
		t.Fatal(err)
	}
	stderr := os.NewFile(uintptr(log[1]), "log")
	ctx := testenv.Context(t, waitLimit)
	daemon := exec.CommandContext(ctx, os.Args[0])
	daemon.Env = append(os.Environ(), daemonIn+"="+r.dir)
	daemon.Stderr = stderr
	if err := r.lab.A.NS.Do(daemon.Start); err != nil {
		t.Fatal(err)
	}
	stderr.Close()
	operator := admin.NewClient(r.path("a"))
	testenv.Eventually(t, waitLimit, "the daemon", func() bool {
		_, err := operator.Status(ctx)
		return err == nil
	})
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); daemon.ProcessState.ExitCode() != 1 {
		t.Errorf("it ends with %v", err)
	}
	testenv.Eventually(t, waitLimit, "the XDP program to be gone", func() bool { return !hasProgram(t, r.lab.A.If) })
}

// TestEndAnyway: the process ends when what was to end it hangs, and only then.
func TestEndAnyway(t *testing.T) {
	for _, hangs := range []bool{true, false} {
		t.Run(fmt.Sprint("hangs=", hangs), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			codes := make(chan int, 1)
			var exits atomic.Int32
			after := time.Millisecond
			if !hangs {
				after = time.Hour
			}
			stop := endAfter(ctx, after, new(bytes.Buffer), func(code int) {
				exits.Add(1)
				codes <- code
			})
			cancel()
			if hangs {
				if code := <-codes; code != 1 {
					t.Errorf("code %d", code)
				}
			}
			stop()
			if n := exits.Load(); (n == 1) != hangs {
				t.Errorf("it has ended %d times", n)
			}
		})
	}
}
