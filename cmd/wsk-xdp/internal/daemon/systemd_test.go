// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// systemd is the socket that it listens on.
func systemd(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := os.Chmod(path, 0o777); err != nil { // the daemon may be another user's
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

// TestNotify: systemd is told in the right order, and the watchdog as long as all is well.
func TestNotify(t *testing.T) { testNotify(t, start) }

func testNotify(t *testing.T, start func(*testing.T) *rig) {
	c := systemd(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	r := start(t)
	seen := make(map[string]int)
	read := func() string {
		buf := make([]byte, 256)
		c.SetReadDeadline(time.Now().Add(waitLimit))
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		state := strings.TrimSpace(string(buf[:n]))
		seen[state]++
		return state
	}
	if first := read(); first != "READY=1" {
		t.Errorf("first %q", first)
	}
	for seen["WATCHDOG=1"] < 3 {
		read()
	}
	if _, err := r.admin.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for seen["RELOADING=1"] == 0 || seen["READY=1"] < 2 {
		read()
	}
	r.end()
	for read() != "STOPPING=1" {
	}
}

// TestFileInTheWay: what is no socket is left as it is, whatever it is.
func TestFileInTheWay(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "policy.toml"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("version = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		for _, network := range []string{"unixpacket", "unix"} {
			if l, err := listen(network, path, 0o660); err == nil {
				l.Close()
				t.Errorf("%s: a socket is in its place", path)
			}
		}
	}
	if text, err := os.ReadFile(link); err != nil || string(text) != "version = 1\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestStaleSocket: what a daemon that was killed has left is replaced; what answers is not.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := listen("unixpacket", path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen("unixpacket", path, 0o660); err == nil {
		t.Error("two daemons on one socket")
	}
	first.SetUnlinkOnClose(false)
	first.Close()
	second, err := listen("unixpacket", path, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
