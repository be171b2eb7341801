// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestSSHSession(t *testing.T) {
	want := SSH{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.1")}
	t.Setenv(sshVariable, "192.0.2.7 50000 ::ffff:192.0.2.1 22")
	if got := SSHSession(); got != want {
		t.Errorf("of the environment: %v", got)
	}
	for _, value := range []string{"", "192.0.2.7", "a 1 b 2", "192.0.2.7 50000 192.0.2.1", "192.0.2.7 50000 x 22"} {
		if got := parseSSH(value); got.Valid() {
			t.Errorf("%q: %v", value, got)
		}
	}
}

// sudo takes the variable away; the shell above it still has it. A circle of parents ends.
func TestSSHOfParents(t *testing.T) {
	proc := t.TempDir()
	process := func(pid, parent int, environ string) {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"environ": environ, "status": "Name:\tsh\nPPid:\t" + strconv.Itoa(parent) + "\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	process(20, 10, "SUDO_USER=me\x00HOME=/root\x00") // sudo
	process(10, 5, "HOME=/home/me\x00SSH_CONNECTION=2001:db8::7 50000 fe80::1%eth0 22\x00")
	process(5, 1, "")
	process(31, 30, "")
	process(30, 31, "")
	want := SSH{netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("fe80::1")}
	for pid, want := range map[int]SSH{20: want, 10: want, 5: {}, 30: {}, 99: {}, 1: {}, 0: {}} {
		if got := sshOfParents(proc, pid); got != want {
			t.Errorf("process %d: %v, want %v", pid, got, want)
		}
	}
}
