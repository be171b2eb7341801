// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// fakeTB records how a helper ends a test.
type fakeTB struct {
	TB
	fatal, skip string
}

func (*fakeTB) Helper()             {}
func (*fakeTB) Name() string        { return "TestFake" }
func (*fakeTB) Cleanup(func())      {}
func (*fakeTB) Logf(string, ...any) {}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fakeTB) Skipf(format string, args ...any) {
	f.skip = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// ended runs f as a test and returns how it ended it.
func ended(f func(TB)) *fakeTB {
	tb := &fakeTB{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(tb)
	}()
	<-done
	return tb
}

// lack makes the machine one without XDP programs.
func lack(t *testing.T) {
	t.Helper()
	old := xdpProgramOnce
	xdpProgramOnce = func() error { return errors.New("no such luck") }
	t.Cleanup(func() { xdpProgramOnce = old })
}

func TestRequireFailsWhereItMustRunAndSkipsElsewhere(t *testing.T) {
	lack(t)
	for _, c := range []struct {
		ci, allow string
		fails     bool
	}{{"true", "", true}, {"true", "TestOther,TestFake", false}, {"", "", isRoot() == nil}, {"false", "", isRoot() == nil}} {
		t.Setenv("CI", c.ci)
		t.Setenv("WSKXDP_ALLOW_SKIP", c.allow)
		before := len(Skipped())
		f := ended(func(tb TB) { Require(tb, XDPProgram) })
		if (f.fatal != "") != c.fails || (f.skip != "") == c.fails {
			t.Errorf("CI=%q allow=%q: fatal %q skip %q", c.ci, c.allow, f.fatal, f.skip)
		}
		text := f.fatal + f.skip
		for _, want := range []string{"XDP programs", "no such luck", "sudo -E go test"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q does not tell %q", text, want)
			}
		}
		if got := len(Skipped()) - before; got != b2i(!c.fails) {
			t.Errorf("CI=%q allow=%q: counted %d skips", c.ci, c.allow, got)
		}
	}
	skipped.Lock()
	skipped.tests = slices.DeleteFunc(skipped.tests, func(s string) bool { return s == "TestFake" })
	skipped.Unlock()
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	lack(t)
	var missing *MissingError
	if err := Check(XDPProgram); !errors.As(err, &missing) || missing.Capability != XDPProgram {
		t.Errorf("got %v", err)
	}
	if got := (Root | AFXDP).String(); got != "root, AF_XDP sockets" {
		t.Errorf("got %q", got)
	}
	if err := Check(0); err != nil {
		t.Errorf("nothing asked for: %v", err)
	}
}

func TestSeed(t *testing.T) {
	t.Setenv("TEST_SEED", "42")
	if got := Seed(t); got != 42 {
		t.Errorf("got %d", got)
	}
	if Rand(t).Uint64() != Rand(t).Uint64() {
		t.Error("one seed, two sequences")
	}
	t.Setenv("TEST_SEED", "x")
	f := ended(func(tb TB) { Seed(tb) })
	if !strings.Contains(f.fatal, "TEST_SEED") {
		t.Errorf("got %q", f.fatal)
	}
	t.Setenv("TEST_SEED", "")
	if first := Seed(t); first == Seed(t) {
		t.Error("two fresh seeds are the same")
	}
}

func TestPoll(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := Poll(ctx, "nothing", func() (bool, error) { return false, nil }); !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "nothing") {
		t.Errorf("got %v", err)
	}
	boom := errors.New("boom")
	if err := Poll(t.Context(), "it", func() (bool, error) { return false, boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	looks := 0
	if err := Poll(ctx, "the first look", func() (bool, error) { looks++; return true, nil }); err != nil || looks != 1 {
		t.Errorf("got %v after %d looks", err, looks)
	}
	f := ended(func(tb TB) { Eventually(tb, time.Millisecond, "rain", func() bool { return false }) })
	if !strings.Contains(f.fatal, "rain") {
		t.Errorf("got %q", f.fatal)
	}
}

func TestLeaksAreFoundAndNamed(t *testing.T) {
	inv := takeInventory()
	if leaks := inv.leaks(0); len(leaks) != 0 {
		t.Fatalf("found %v before anything leaked", leaks)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(t.TempDir(), "leaky")
	if err != nil {
		t.Fatal(err)
	}
	stop, started := make(chan struct{}), make(chan struct{})
	go leakyGoroutine(started, stop)
	<-started
	text := strings.Join(inv.leaks(0), "\n")
	for _, want := range []string{"IPv4 datagram socket:[", "leaky", "leakyGoroutine"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not among the leaks:\n%s", want, text)
		}
	}
	unix.Close(fd)
	file.Close()
	// Being closed soon is no leak.
	time.AfterFunc(30*time.Millisecond, func() { close(stop) })
	if leaks := inv.leaks(settleTime); len(leaks) != 0 {
		t.Errorf("after everything was given back: %v", leaks)
	}
}

func leakyGoroutine(started, stop chan struct{}) {
	close(started)
	<-stop
}

func TestNamespaceAndRingLeaksAreNamed(t *testing.T) {
	Require(t, NetNS|AFXDP)
	lab := NewLabT(t, Topology{})
	inv := takeInventory()
	ns, err := NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	s, err := openPeerSocket(lab.A.If, 0, xdp.DefaultSocketOptions)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(inv.leaks(0), "\n")
	for _, want := range []string{"network namespace net:[", "AF_XDP raw", "keeps its queue busy"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not among the leaks:\n%s", want, text)
		}
	}
	if err := errors.Join(closePeerSocket(s), ns.Close()); err != nil {
		t.Error(err)
	}
	if leaks := inv.leaks(settleTime); len(leaks) != 0 {
		t.Errorf("left: %v", leaks)
	}
}

func init() {
	children["leaky"] = func() error { Main(leakyMain{}); return nil }
}

// leakyMain stands for a *testing.M whose tests pass and leave a descriptor.
type leakyMain struct{}

func (leakyMain) Run() int {
	_, _ = unix.Open("/dev/zero", unix.O_RDONLY, 0)
	return 0
}

func TestMainFailsOnLeaks(t *testing.T) {
	cmd := childCommand(t, "leaky")
	cmd.Stderr = nil
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != ExitLeak || !strings.Contains(string(exit.Stderr), "/dev/zero") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(string(out), "0 tests ran, 0 skipped") {
		t.Errorf("printed %q", out)
	}
}

func TestMainCountsTests(t *testing.T) {
	if n := countTests(3); n != 0 {
		t.Errorf("a thing without tests has %d", n)
	}
}
