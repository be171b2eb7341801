// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A terminal that is closed ends a run as the keyboard does, with its report; one that was started to outlive it goes
// on.
func TestHangup(t *testing.T) {
	l, _ := lab(t, testenv.Topology{})
	netns := fmt.Sprintf("--netns=/proc/%d/fd/%d", os.Getpid(), l.A.NS.FD())
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	// What is ignored here, as under nohup, is ignored by children. What is caught is not.
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	defer signal.Stop(hups)
	for _, c := range []struct {
		name    string
		trap    string
		signals []syscall.Signal
	}{
		{"closed", "", []syscall.Signal{syscall.SIGHUP}},
		{"nohup", `trap "" HUP; `, []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := timeout(t)
			rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
			cmd := exec.CommandContext(ctx, "/bin/sh", "-c", c.trap+`exec "$0" "$@"`, binary(t), "blast", netns, to.String(), "-d", "1h", "-r", "1k",
				"--json", "-q")
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var sent uint64
			for _, signal := range c.signals {
				// It is alive, even after a signal that it ignores.
				sent = rx.Count() + 100
				if err := rx.WaitCount(ctx, sent); err != nil {
					t.Fatalf("before %v: %v: %s", signal, err, &stderr)
				}
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
			}
			_ = cmd.Wait()
			r := result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
			r.want(t, 0)
			if doc := decode[blast.Report](t, r); !doc.Interrupted || doc.Totals.Completed < sent {
				t.Errorf("after %d datagrams: %v", sent, r)
			}
		})
	}
}

// A run whose output nobody reads any more ends as by Ctrl-C, whichever of the two streams is noticed first, and its document is in the file
// of -o.
func TestNobodyReads(t *testing.T) {
	l, _ := lab(t, testenv.Topology{})
	netns := fmt.Sprintf("--netns=/proc/%d/fd/%d", os.Getpid(), l.A.NS.FD())
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	for _, c := range []struct {
		name      string
		args      []string
		interrupt bool
	}{
		{"the live line", nil, false},
		{"records", []string{"--format", "ndjson", "-q"}, false},
		{"the table", []string{"-q"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := timeout(t)
			rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "run.json")
			cmd := exec.CommandContext(ctx, binary(t), append([]string{"blast", netns, to.String(), "-d", "1h", "-r", "1k", "-o", file}, c.args...)...)
			cmd.Stdout, cmd.Stderr = w, w
			if err := errors.Join(cmd.Start(), w.Close()); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(rx.WaitCount(ctx, 1), r.Close()); err != nil {
				t.Fatal(err)
			}
			if c.interrupt { // nothing is written before the end
				if err := errors.Join(rx.WaitCount(ctx, rx.Count()+100), cmd.Process.Signal(os.Interrupt)); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var doc blast.Report
			if err := json.Unmarshal(text, &doc); err != nil || !doc.Interrupted || doc.Totals.Completed == 0 {
				t.Errorf("%v, %s", err, text)
			}
		})
	}
}

// What another program's command has started does not outlive the comparison when the terminal is closed: it would go
// on sending.
func TestHangupEndsOtherPrograms(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP)
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP) // see TestHangup
	defer signal.Stop(hups)
	ctx := timeout(t)
	file := filepath.Join(t.TempDir(), "pid")
	cmd := exec.CommandContext(ctx, binary(t), "bench", "--engines", "udp", "--runs", "1", "-d", "10ms", "--warmup", "0",
		"--external", "other=sleep 1000 & echo $! > "+file+".new; mv "+file+".new "+file+"; wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	err := testenv.Poll(ctx, "the other program", func() (bool, error) {
		raw, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			return false, nil
		}
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(raw)))
		}
		return err == nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("sleep, pid %d, is still there: %v", pid, err)
	}
}
