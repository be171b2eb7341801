// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/unit"
)

const unitDir = "../../../../scripts/package/systemd"

// needs skips a test where one of these programs is not installed.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			testenv.Skipf(t, "%v", err)
		}
	}
}

// TestUnitFiles: systemd finds nothing to say against the units, and little that the service could do and need not.
func TestUnitFiles(t *testing.T) {
	needs(t, "systemd-analyze")
	analyze := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(testenv.Context(t, waitLimit), "systemd-analyze", args...)
		if out, err := cmd.CombinedOutput(); err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	analyze("security", "--offline=true", "--threshold=25", "--no-pager", filepath.Join(unitDir, "wsk-xdp.service"))
	// verify wants the program to be there, which it is not where nothing is installed.
	dir := t.TempDir()
	var copies []string
	for _, name := range []string{"wsk-xdp.service", "wsk-xdp.socket"} {
		text, err := os.ReadFile(filepath.Join(unitDir, name))
		if err != nil {
			t.Fatal(err)
		}
		there := strings.ReplaceAll(string(text), "=/usr/bin/wsk-xdp ", "=/bin/true ")
		copies = append(copies, filepath.Join(dir, name))
		if err := os.WriteFile(copies[len(copies)-1], []byte(there), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	analyze(append([]string{"verify", "--man=no"}, copies...)...)
}

// filterIn in the environment has this program begin anew under that filter.
const filterIn = "WSKXDP_TEST_FILTER"

func enter(filter string) int {
	f, err := unit.ParseFilter(filter)
	if err == nil {
		err = errors.Join(os.Unsetenv(filterIn), f.Exec("/proc/self/exe", os.Args, os.Environ()))
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// TestUnderUnit: the daemon does all that the other tests see it do also as a user of its own, with the capabilities of the
// unit and no others, and with the system calls and the families of sockets that the unit lets through.
func TestUnderUnit(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	needs(t, "systemd-analyze", "go")
	u, err := unit.Read(filepath.Join(unitDir, "wsk-xdp.service"))
	if err != nil {
		t.Fatal(err)
	}
	filter, err := u.Filter()
	if err != nil {
		t.Fatal(err)
	}
	capabilities, err := u.Capabilities()
	if err != nil {
		t.Fatal(err)
	}
	var mask uint64
	for _, c := range capabilities {
		mask |= 1 << c
	}
	start := func(t *testing.T) *rig {
		t.Helper()
		return startBy(t, func(r *rig) { r.runUnder(filter, capabilities) })
	}
	t.Run("exactly", func(t *testing.T) { start(t).confined(mask) })
	t.Run("daemon", func(t *testing.T) { testDaemon(t, start(t)) })
	t.Run("companion", func(t *testing.T) { testCompanion(t, start(t)) })
	t.Run("reload", func(t *testing.T) { testReload(t, start(t)) })
	t.Run("python", func(t *testing.T) { testPython(t, start) })
	t.Run("systemd", func(t *testing.T) { testNotify(t, start) })
}

// runUnder starts the daemon in a process of its own.
func (r *rig) runUnder(filter unit.Filter, capabilities []uintptr) {
	t, user := r.t, testenv.OrdinaryUser()
	t.Helper()
	for dir := r.dir; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{r.dir, r.path("policy.toml")} {
		if err := os.Chown(path, int(user), int(user)); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Open("/proc/self/exe") // its path may be closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.Dir, cmd.ExtraFiles, cmd.Stderr = "/", []*os.File{self}, t.Output()
	cmd.Env = append(os.Environ(), daemonIn+"="+r.dir, filterIn+"="+filter.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}, AmbientCaps: capabilities}
	if err := r.lab.A.NS.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	r.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended, which r.ended tells
	}
	late := time.AfterFunc(testenv.Patience(5*waitLimit), func() { _ = cmd.Process.Kill() })
	go func() {
		r.ended <- cmd.Wait()
		late.Stop()
	}()
}

// confined checks that the daemon has what the unit gives it, and nothing else.
func (r *rig) confined(mask uint64) {
	t := r.t
	t.Helper()
	s, err := r.admin.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID))
	if err != nil {
		t.Fatal(err)
	}
	user := testenv.OrdinaryUser()
	for _, want := range []string{
		fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d", user, user, user, user), fmt.Sprintf("CapPrm:\t%016x", mask), fmt.Sprintf("CapEff:\t%016x", mask),
		fmt.Sprintf("CapAmb:\t%016x", mask), "NoNewPrivs:\t1", "Seccomp:\t2",
	} {
		if !strings.Contains(string(status), "\n"+want+"\n") {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
}
