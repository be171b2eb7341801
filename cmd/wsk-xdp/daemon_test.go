// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestDemoDaemon: daemon and programs as users of their own, with the capabilities of the unit and no others.
func TestDemoDaemon(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	outcome(t, exec.CommandContext(timeout(t), binary(t), "demo", "--daemon"), run1).want(t, 0,
		"program 1", "program 2", "policy.not_granted", "completion ring", "exit code 0")
}

// TestDaemonWithoutPerfmon: what the verifier refuses is told as the capability that is missing.
func TestDaemonWithoutPerfmon(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	l, _ := lab(t, testenv.Topology{})
	dir, user := t.TempDir(), testenv.OrdinaryUser()
	policy := fmt.Sprintf("version = 1\n[interface.%s]\n", l.A.If.Name())
	if err := os.WriteFile(filepath.Join(dir, "policy.toml"), []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	for path := dir; path != os.TempDir(); path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(timeout(t), binary(t), "daemon", "--policy", filepath.Join(dir, "policy.toml"),
		"--listen", filepath.Join(dir, "s"), "--admin", filepath.Join(dir, "a"))
	outcome(t, cmd, func(cmd *exec.Cmd) error {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: user, Gid: user},
			AmbientCaps: []uintptr{unix.CAP_NET_RAW, unix.CAP_NET_ADMIN, unix.CAP_BPF, unix.CAP_IPC_LOCK},
		}
		return l.A.NS.Do(cmd.Run)
	}).want(t, 3, "CAP_PERFMON")
}

// TestCheck: --check says what is wrong with a policy, with its place, or what it grants.
func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.toml")
	for text, want := range map[string]struct {
		code int
		text string
	}{
		"version = 1\n[interface.eth0]\n[[allow]]\nname = \"a\"\nuid = 1\ndestination = [\"10.0.0.0/8\"]\n": {0, "1 grant"},
		"version = 1\n[interface.eth0]\nqueus = 2\n":                                                        {2, "policy.toml:3:1"},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		outcome(t, exec.CommandContext(timeout(t), binary(t), "daemon", "--check", "--policy", file), run1).want(t, want.code, want.text)
	}
}

// TestSendVia: send goes through a daemon, with the control data that it was given, and is told a reason where that refuses.
func TestSendVia(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	l, _ := lab(t, testenv.Topology{})
	dir := t.TempDir()
	policy := fmt.Sprintf("version = 1\n[interface.%s]\n[[allow]]\nname = \"me\"\nuid = %d\ndestination = [\"10.77.0.0/24\"]\n",
		l.A.If.Name(), os.Getuid())
	if err := os.WriteFile(filepath.Join(dir, "policy.toml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, admin := filepath.Join(dir, "s"), filepath.Join(dir, "a")
	daemon := exec.CommandContext(timeout(t), binary(t), "daemon", "--policy", filepath.Join(dir, "policy.toml"),
		"--listen", socket, "--admin", admin)
	daemon.Stderr = t.Output()
	if err := l.A.NS.Do(daemon.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(daemon.Process.Signal(syscall.SIGTERM), daemon.Wait()); err != nil {
			t.Error(err)
		}
	})
	run := func(args ...string) result {
		return outcome(t, exec.CommandContext(timeout(t), binary(t), args...), run1)
	}
	testenv.Eventually(t, time.Minute, "the daemon", func() bool {
		return exec.CommandContext(timeout(t), binary(t), "status", "--admin", admin).Run() == nil
	})
	far := testenv.NewUDPReceiverT(t, l.B.NS, netip.AddrPortFrom(l.B.IPv4(), testPort), testenv.UDPReceiverOptions{})
	run("send", far.Local().String(), "--via", "daemon="+socket, "--ttl", "9", "--tos", "184").want(t, 0, "STATUS_SUCCESS", "via the daemon")
	got, err := far.Wait(testenv.Context(t, time.Minute), 1)
	if err != nil || got[0].TTL != 9 || got[0].TOS != 184 {
		t.Errorf("%+v, %v", got, err)
	}
	to := far.Local().String()
	blast := exec.CommandContext(timeout(t), binary(t), "blast", to, "--via", "daemon="+socket, "-n", "1000", "-r", "20k")
	outcome(t, blast, func(cmd *exec.Cmd) error { return l.A.NS.Do(cmd.Run) }).want(t, 0, "engine wsk · daemon", "daemon 1,000")
	stop := startEcho(t, netnsB(l), ":9001")
	asks := exec.CommandContext(timeout(t), binary(t), "ping", "10.77.0.2:9001", "--via", "daemon="+socket, patient, "-c", "100", "-q", "--json")
	r := outcome(t, asks, func(cmd *exec.Cmd) error { return l.A.NS.Do(cmd.Run) })
	r.want(t, 0, "engine wsk · daemon")
	if doc := decode[ping.Report](t, r); doc.Totals.Answered != 100 || doc.RoundTrip.Count != 100 {
		t.Errorf("%+v", doc.Totals)
	}
	stop().want(t, 0)
	// From another namespace, B's, the way is not known, nor who is on it.
	there := func(args ...string) result {
		cmd := exec.CommandContext(timeout(t), binary(t), append([]string{"blast", to, "--via", "daemon=" + socket, "-n", "100", "-q"}, args...)...)
		return outcome(t, cmd, func(cmd *exec.Cmd) error { return l.B.NS.Do(cmd.Run) })
	}
	const elsewhere = "the daemon is in another network namespace"
	there("-r", "max").want(t, 3, elsewhere, "--force")
	there("-r", "20k").want(t, 0, elsewhere, "daemon 100")
	nowhere := exec.CommandContext(timeout(t), binary(t), "blast", to, "--via", "daemon="+socket, "-n", "100")
	nowhere.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	outcome(t, nowhere, run1).want(t, 1, "no way to", elsewhere)
	if r := outcome(t, exec.CommandContext(timeout(t), binary(t), "blast", to, "--via", "daemon="+socket, "-n", "100", "-r", "max"),
		func(cmd *exec.Cmd) error { return l.A.NS.Do(cmd.Run) }); r.code != 0 || strings.Contains(r.stderr, elsewhere) {
		t.Errorf("in the daemon's namespace: %v", r)
	}
	run("send", to, "--via", "daemon="+socket, "--source", "0.0.0.0:80").want(t, 3, "policy.source_port")
	run("send", to, "--via", "daemon="+filepath.Join(dir, "none")).want(t, 3, "--via")
	run("send", to, "--via", "carrier pigeon").want(t, 2, "--via")
	run("send", to, "--via", "daemon="+socket, "--mode", "copy").want(t, 2, "--mode")
	for verb, want := range map[string]string{"status": "healthy", "stats": "me", "clients": "session", "reload": "1 grant"} {
		run(verb, "--admin", admin).want(t, 0, want)
	}
	run("status", "--admin", filepath.Join(dir, "none")).want(t, 1, "no daemon answers")
}

// A daemon outlives who reads its log.
func TestDaemonOutlivesItsLog(t *testing.T) {
	l, _ := lab(t, testenv.Topology{})
	dir := t.TempDir()
	policy, admin := filepath.Join(dir, "policy.toml"), filepath.Join(dir, "a")
	if err := os.WriteFile(policy, fmt.Appendf(nil, "version = 1\n[interface.%s]\n", l.A.If.Name()), 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.CommandContext(timeout(t), binary(t), "daemon", "--policy", policy, "--listen", filepath.Join(dir, "s"), "--admin", admin)
	daemon.Stdout, daemon.Stderr = w, w
	if err := errors.Join(l.A.NS.Do(daemon.Start), w.Close()); err != nil {
		t.Fatal(err)
	}
	ask := func(verb string) result {
		return outcome(t, exec.CommandContext(timeout(t), binary(t), verb, "--admin", admin), run1)
	}
	testenv.Eventually(t, time.Minute, "the daemon", func() bool { return ask("status").code == 0 })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // each is a line of the log
		ask("reload").want(t, 0, "reloaded")
	}
	ask("status").want(t, 0, "healthy")
	if err := errors.Join(daemon.Process.Signal(syscall.SIGTERM), daemon.Wait()); err != nil {
		t.Error(err)
	}
}
