// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// asProgram in the environment makes the test binary behave as wsk-xdp: for the processes that the program starts of
// itself, and for tests that run it as another user.
const asProgram = "WSKXDP_TEST_AS_PROGRAM"

// limited makes it first limit the namespaces of the user namespace that it is in: "max_user_namespaces=0".
const limited = "WSKXDP_TEST_LIMITED"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		if name, value, ok := strings.Cut(os.Getenv(limited), "="); ok {
			os.Unsetenv(limited)
			if err := os.WriteFile("/proc/sys/user/"+name, []byte(value), 0); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(99)
			}
		}
		os.Exit(program(os.Stdout, os.Stderr))
	}
	isolate()
	os.Setenv(asProgram, "1")
	testenv.Main(m)
}

// isolated in the environment says that this process has a network namespace of its own.
const isolated = "WSKXDP_TEST_ISOLATED"

// isolate runs the tests again in a network namespace of their own, where that takes no user namespace: what goes wrong
// there can't send anything over the interfaces of the machine.
func isolate() {
	if os.Getenv(isolated) != "" || testenv.Check(testenv.Root) != nil {
		return
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), isolated+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the death signal comes when the starting thread ends
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "run the tests in a network namespace of their own:", err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// result is what a run of the program left.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", r.code, r.stdout, r.stderr)
}

// cli runs the program in this process.
func cli(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader("standard input"), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// want ends the test unless the program ended with the code and wrote every part somewhere.
func (r result) want(t *testing.T, code int, parts ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("want exit code %d: %v", code, r)
	}
	for _, part := range parts {
		if !strings.Contains(r.stdout+r.stderr, part) {
			t.Fatalf("%q is missing: %v", part, r)
		}
	}
}

// decode parses the one JSON document on standard output, refusing anything besides it, and holds it to its schema.
func decode[T any](t *testing.T, r result) (doc T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(r.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%v: %v", err, r)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("something stands behind the document: %v", r)
	}
	followsSchema(t, []byte(r.stdout))
	return doc
}

// lab is a laboratory, and the flag that makes the program work at its end A.
func lab(t *testing.T, top testenv.Topology) (*testenv.Lab, string) {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	l := testenv.NewLabT(t, top)
	return l, fmt.Sprintf("--netns=/proc/self/fd/%d", l.A.NS.FD())
}

func timeout(t *testing.T) context.Context { return testenv.Context(t, 3*time.Minute) }

// binary is the test binary in a directory of its own, where every user can read and run it.
func binary(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wsk-xdp-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wsk-xdp")
	// A copy of 50 MB for each test was a quarter of the processor time of them all.
	if unix.Linkat(unix.AT_FDCWD, "/proc/self/exe", unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW) == nil {
		return path
	}
	copyProgram(t, path) // another file system, or one where a link is not allowed
	return path
}

func copyProgram(t *testing.T, path string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Chmod(0o755); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// outcome runs a prepared command of the program.
func outcome(t *testing.T, cmd *exec.Cmd, run func(*exec.Cmd) error) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := run(cmd)
	if cmd.ProcessState == nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
