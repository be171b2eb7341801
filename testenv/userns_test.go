// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	children["rootless"] = runTestsRootless
	children["userns-parent"] = startInUserNamespaceAndBlock
	children["userns-child"] = announceAndBlock
	children["userns-forbidden"] = forbidAndTry
	children["userns-isroot"] = tellRoot
}

// rootlessTests need no XDP program, so they must pass for an ordinary user in a user namespace of its own. Those
// that find XDP programs missing must be skipped, not fail.
const rootlessTests = "^(TestNamespace|TestThread|TestLab|TestRouted|TestStacked|TestStatic|TestReceiver|TestMulticast|" +
	"TestSender|TestCapture|TestDecodeAgrees|TestLink|TestDelete|TestChange|TestSilent|TestHold|TestNeighbourStorm|" +
	"TestNothingIsLeft|TestNamedLab|TestDropCounterCounts|TestXDPPeer)"

// runTestsRootless is what an ordinary user's process does: it enters a user namespace through the function under test.
func runTestsRootless() error {
	if uid := os.Getuid(); uid == 0 {
		return fmt.Errorf("child runs as user %d", uid)
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.timeout="+Patience(10*time.Minute).String(), "-test.run="+rootlessTests)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return RunInUserNamespace(cmd)
}

// asOrdinaryUser makes the command run without any privilege. As root the test binary is handed over as a descriptor,
// because its path may be closed to others.
func asOrdinaryUser(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Dir = "/"
	if os.Getuid() != 0 || isRoot() != nil {
		return
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: OrdinaryUser(), Gid: OrdinaryUser()}}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { self.Close() })
	cmd.ExtraFiles = []*os.File{self}
	cmd.Path = "/proc/self/fd/3"
}

func TestRootlessInUserNamespace(t *testing.T) {
	if err := isRoot(); err != nil {
		t.Logf("nothing to prove: these tests run without root anyway (%v)", err)
		return
	}
	cmd := childCommand(t, "rootless")
	asOrdinaryUser(t, cmd)
	UsualMemlockT(t)
	cmd.Env = append(cmd.Env, "CI=", "TMPDIR=/tmp", "HOME=/")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	text := out.String()
	if err != nil {
		t.Fatalf("as an ordinary user: %v\n%s", err, text)
	}
	for _, want := range []string{"--- PASS: TestLabCarriesBothFamilies", "--- PASS: TestHoldReceive/release",
		"--- PASS: TestSilentNeighbour/ipv6",
		"--- PASS: TestHoldReceiveKeepsCompletionsBack", "--- PASS: TestNothingIsLeftBehind/builder",
		"--- SKIP: TestDropCounterCountsWhatItSays",
		"sudo -E go test", "--- PASS: TestNamedLab"} {
		if !strings.Contains(text, want) {
			t.Errorf("output lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// startInUserNamespaceAndBlock hands its own standard input and output down.
func startInUserNamespaceAndBlock() error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"=userns-child")
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	return RunInUserNamespace(cmd)
}

// When the starter is killed, the kernel kills what runs in the user namespace.
func TestUserNamespaceDiesWithItsStarter(t *testing.T) {
	cmd := childCommand(t, "userns-parent")
	// A pipe of our own: cmd.Wait would close one of cmd's, and the command would end by that.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	cmd.Stdin = r
	awaitLine(t, cmd, "ready")
	grandchild := childOf(t, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	Eventually(t, soon, "the command to be killed", func() bool {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", grandchild))
		// A zombie waits for the process that adopted it; it holds nothing any more.
		return errors.Is(err, os.ErrNotExist) || bytes.Contains(raw, []byte(") Z ")) || err != nil
	})
}

func childOf(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if f := strings.Fields(string(raw)); err == nil && len(f) > 0 {
			child, _ := strconv.Atoi(f[0])
			return child
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}

// Root's own user namespace maps 0 to 0 and is still not root.
func TestRootInAUserNamespaceIsNotRoot(t *testing.T) {
	Require(t, NetNS)
	cmd := childCommand(t, "userns-isroot")
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), "is not root") {
		t.Errorf("got %q, %v", out, err)
	}
}

func tellRoot() error {
	const inside = "TESTENV_TEST_INSIDE"
	if os.Getenv(inside) != "" {
		fmt.Println(isRoot())
		return nil
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"=userns-isroot", inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return RunInUserNamespace(cmd)
}

func TestRunInUserNamespaceReportsErrors(t *testing.T) {
	var exit *exec.ExitError
	if err := RunInUserNamespace(exec.Command("/bin/sh", "-c", "exit 7")); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("exit status: %v", err)
	}
	err := RunInUserNamespace(exec.Command("/no/such/program"))
	if !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrUserNamespace) {
		t.Errorf("missing program: %v", err)
	}
	if err := RunInUserNamespace(&exec.Cmd{SysProcAttr: &syscall.SysProcAttr{}}); err == nil {
		t.Error("SysProcAttr was overwritten")
	}
	for errno, forbidden := range map[error]bool{unix.ENOSPC: true, unix.EPERM: true, unix.ENOENT: false, unix.ENOMEM: false} {
		if got := forbidsUserNamespace(&os.PathError{Op: "fork/exec", Path: "x", Err: errno}); got != forbidden {
			t.Errorf("%v: forbidden %v, want %v", errno, got, forbidden)
		}
	}
}

// Inside a user namespace whose limit is 0 no further one can be made: the real refusal, not an imitation.
func TestForbiddenUserNamespaceIsTold(t *testing.T) {
	Require(t, NetNS)
	cmd := childCommand(t, "userns-forbidden")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if text := string(out); !strings.Contains(text, "max_user_namespaces is 0") || !strings.Contains(text, "not available") {
		t.Errorf("got %q", text)
	}
}

// forbidAndTry runs twice: first it enters a user namespace, and there it forbids them.
func forbidAndTry() error {
	const inside = "TESTENV_TEST_INSIDE"
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"=userns-forbidden", inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if os.Getenv(inside) == "" {
		return RunInUserNamespace(cmd)
	}
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		return err
	}
	err := RunInUserNamespace(cmd)
	if !errors.Is(err, ErrUserNamespace) {
		return fmt.Errorf("got %w", err)
	}
	fmt.Println(err)
	return nil
}
