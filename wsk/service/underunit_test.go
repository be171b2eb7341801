// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/unit"
)

// filterIn in the environment has this program begin anew under that filter, to run its tests.
const filterIn = "WSKXDP_TEST_FILTER"

func TestMain(m *testing.M) {
	if filter := os.Getenv(filterIn); filter != "" {
		f, err := unit.ParseFilter(filter)
		if err == nil {
			err = errors.Join(os.Unsetenv(filterIn), f.Exec("/proc/self/exe", os.Args, os.Environ()))
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testenv.Main(m)
}

// TestUnderUnit runs the tests of this package that need no laboratory as a user of its own, with the capabilities of the
// daemon's unit and no others, and with the system calls and the families of sockets that it lets through. What the
// daemon does on a wire package cmd/wsk-xdp/internal/daemon has under them.
func TestUnderUnit(t *testing.T) {
	testenv.Require(t, testenv.Root)
	for _, name := range []string{"systemd-analyze", "go"} {
		if _, err := exec.LookPath(name); err != nil {
			testenv.Skipf(t, "%v", err)
		}
	}
	u, err := unit.Read("../../scripts/package/systemd/wsk-xdp.service")
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
	self, err := os.Open("/proc/self/exe") // its path may be closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	user := testenv.OrdinaryUser()
	cmd := exec.CommandContext(testenv.Context(t, 5*patience), "/proc/self/fd/3", "-test.v")
	cmd.Dir, cmd.ExtraFiles = "/", []*os.File{self}
	// Nothing of CI, so that the tests with a laboratory, which takes more capabilities, are skipped.
	cmd.Env = append(os.Environ(), filterIn+"="+filter.String(), "CI=", "TMPDIR=/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}, AmbientCaps: capabilities}
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil || strings.Count(text, "\n--- PASS") < 20 || !strings.Contains(text, "\n--- SKIP: TestUnderUnit") {
		t.Errorf("%v\n%s", err, text)
	}
}
