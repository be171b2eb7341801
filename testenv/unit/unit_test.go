// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// In the environment of the children: the filter to become such a child under, and what that has done already.
const (
	filterIn = "WSKXDP_TEST_FILTER"
	isUnder  = "WSKXDP_TEST_UNDER"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(filterIn); text != "" {
		os.Unsetenv(filterIn)
		os.Setenv(isUnder, "1")
		f, err := ParseFilter(text)
		if err == nil {
			err = f.Exec("/proc/self/exe", os.Args, os.Environ())
		}
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	testenv.Main(m)
}

func write(t *testing.T, text string) *Unit {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const testLimit = time.Minute

const some = `[Service]
# AmbientCapabilities=CAP_KILL
AmbientCapabilities=CAP_CHOWN
AmbientCapabilities=
AmbientCapabilities=CAP_NET_RAW CAP_BPF
CapabilityBoundingSet=CAP_NET_RAW CAP_BPF
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @keyring umask
SystemCallFilter=umask
SystemCallErrorNumber=EPERM
RestrictAddressFamilies=AF_UNIX AF_NETLINK
`

func TestCapabilities(t *testing.T) {
	if got, err := write(t, some).Capabilities(); err != nil || !slices.Equal(got, []uintptr{unix.CAP_NET_RAW, unix.CAP_BPF}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"AmbientCapabilities=CAP_NET_RAW\n", "AmbientCapabilities=CAP_X\nCapabilityBoundingSet=CAP_X\n"} {
		if got, err := write(t, bad).Capabilities(); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// filterOf is the filter of a unit, where what that takes is to be had.
func filterOf(t *testing.T, u *Unit) Filter {
	t.Helper()
	for _, program := range []string{"systemd-analyze", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			testenv.Skipf(t, "the filter cannot be made: %v", err)
		}
	}
	f, err := u.Filter()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFilter: what the lines let through goes through, in their order, and nothing else.
func TestFilter(t *testing.T) {
	if os.Getenv(isUnder) == "" {
		f := filterOf(t, write(t, some))
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(testenv.Context(t, testLimit), self, "-test.run=^TestFilter$")
		cmd.Env = append(os.Environ(), filterIn+"="+f.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	socket := func(domain int) error {
		fd, err := unix.Socket(domain, unix.SOCK_RAW, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	keyring := func() error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		return err
	}
	for name, try := range map[string]struct {
		do   func() error
		want error
	}{
		"a socket that is listed":     {func() error { return socket(unix.AF_NETLINK) }, nil},
		"a socket that is not":        {func() error { return socket(unix.AF_INET) }, unix.EAFNOSUPPORT},
		"chroot, of a group in ~":     {func() error { return unix.Chroot("/") }, unix.EPERM},
		"chown, of a group in that":   {func() error { return unix.Chown("/dev/null", -1, -1) }, unix.EPERM},
		"keyctl":                      {keyring, unix.EPERM},
		"mount, of no group at all":   {func() error { return unix.Mount("", "/", "", unix.MS_PRIVATE, "") }, unix.EPERM},
		"umask, taken and given back": {func() error { unix.Umask(unix.Umask(0)); return nil }, nil},
	} {
		if err := try.do(); !errors.Is(err, try.want) {
			t.Errorf("%s: %v, want %v", name, err, try.want)
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || !strings.Contains(string(status), "Seccomp:\t2\n") || !strings.Contains(string(status), "NoNewPrivs:\t1\n") {
		t.Errorf("%v\n%s", err, status)
	}
}

// TestFilterRefusesWhatItDoesNotUnderstand: a line that is not understood never makes a filter of the others.
func TestFilterRefusesWhatItDoesNotUnderstand(t *testing.T) {
	filterOf(t, write(t, some))
	for from, to := range map[string]string{
		"=@system-service":              "=~@system-service",
		"SystemCallErrorNumber=EPERM\n": "",
		"=umask":                        "=umask:ENOSYS",
		"@keyring":                      "@locksmith",
		"AF_UNIX":                       "~AF_UNIX",
	} {
		if f, err := write(t, strings.Replace(some, from, to, 1)).Filter(); err == nil {
			t.Errorf("%s: a filter of %d", to, len(f))
		}
	}
}
