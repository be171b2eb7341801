// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Whatever engine sends, over either version of IP and in either size, engine xdp accounts for every number; of a run that is announced and of
// one that is not. Nothing reaches the host. Each engine meets both versions and both sizes in two of the four ways, in all of them where
// WSKXDP_RELAY is set, which is for longer tests.
func TestRecvXDP(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	testenv.RequireKernel(t, 5, 18, "live frames") // one of the engines that send
	l, netns := lab(t, testenv.Topology{})
	for i, engine := range engineNames {
		if engine == blast.EngineGSO && !testenv.KernelAtLeast(6, 11) {
			t.Log("without engine gso: this kernel cuts nothing for a device without checksum offload, and those of a laboratory have none")
			continue
		}
		for j, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
			for k, size := range []string{"84", "1518"} {
				if os.Getenv("WSKXDP_RELAY") == "" && (i+j+k)%2 != 0 {
					continue
				}
				to := netip.AddrPortFrom(host, testPort).String()
				received := background(t, timeout(t), "answered on TCP", "recv", fmt.Sprintf(":%d", testPort), netnsB(l), "--engine", "xdp", "--one-off", "--json", "-q")
				r := cli(timeout(t), "blast", netns, to, "--engine", engine, "-r", "20k", "-n", "900", "--flows", "300", "-s", size, "--peer", "--json", "-q")
				r.want(t, 0)
				doc := decode[blast.Report](t, r)
				p := doc.Peer
				if p == nil || p.Received != 900 || p.Lost+p.Duplicate+p.Late+p.Corrupt+p.Foreign+p.Refused != 0 || !p.Balanced || p.Engine != "xdp" ||
					len(p.Drops) > 0 || p.Delay == nil || p.Delay.Count != 900 {
					t.Errorf("%s, %s of %s: %+v, %+v", engine, to, size, doc.Totals, p)
				}
				r = <-received
				r.want(t, 0, "XDP program is on wsk1")
				their := decode[recv.Report](t, r)
				if !strings.Contains(strings.Join(their.Warnings, ";"), "XDP program is on wsk1") {
					t.Errorf("warnings %q", their.Warnings)
				}
				if len(their.Runs) != 1 || their.Totals.Received != 900 || their.Totals.Packets != 900 || !their.Verdict.OK || !their.Runs[0].Ended ||
					*their.Runs[0].Delay != *p.Delay {
					t.Errorf("%s, %s of %s: %+v", engine, to, size, their)
				}
			}
		}
	}
	received := background(t, timeout(t), "answered on TCP", "recv", ":9000", netnsB(l), "--engine", "xdp", "-i", "wsk1", "--expect", "507", "--json", "-q")
	to := netip.AddrPortFrom(l.B.IPv4(), testPort).String()
	cli(timeout(t), "blast", netns, to, "--engine", "frames", "-r", "20k", "-n", "500", "-q").want(t, 0)
	cli(timeout(t), "blast", netns, to, "--engine", "wsk", "-r", "20k", "-n", "7", "--stamp", "none", "-q").want(t, 0)
	their := decode[recv.Report](t, <-received)
	if len(their.Runs) != 1 || their.Totals.Received != 500 || their.Totals.Foreign != 7 || their.Totals.Packets != 507 || !their.Runs[0].Balanced ||
		their.Runs[0].Announced || len(their.Drops) > 0 {
		t.Errorf("%+v", their)
	}
}

// What the program does not account for is named.
func TestRecvXDPNamesWhatPasses(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	testenv.RequireKernel(t, 5, 12, "BPF_CMPXCHG")
	l, netns := lab(t, testenv.Topology{})
	received := background(t, timeout(t), "answered on TCP", "recv", ":9000", netnsB(l), "--engine", "xdp", "--one-off", "--json", "-q")
	s := testenv.NewUDPSenderT(t, l.A.NS, testenv.UDPSenderOptions{})
	for range 3 { // in two fragments
		if err := s.Send(netip.AddrPortFrom(l.B.IPv4(), testPort), make([]byte, 2000)); err != nil {
			t.Fatal(err)
		}
	}
	r := cli(timeout(t), "blast", netns, netip.AddrPortFrom(l.B.IPv4(), testPort).String(), "-r", "1k", "-n", "10", "--peer", "--json", "-q")
	r.want(t, 0)
	their := decode[recv.Report](t, <-received)
	if their.Drops[recv.ThroughStack] != 3 || their.Totals.Packets != 10 || their.Verdict.ID != "drops" || !strings.Contains(their.Verdict.Text, "through kernel stack") {
		t.Errorf("%+v", their)
	}
}

// Another's program is not replaced, and ours is gone with its process, however that ends.
func TestRecvXDPLeavesNothing(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.XDPProgram)
	testenv.RequireKernel(t, 5, 12, "BPF_CMPXCHG")
	l, _ := lab(t, testenv.Topology{})
	held := func() (n int) {
		t.Helper()
		err := l.B.NS.Do(func() error {
			h, err := bpf.Holders(l.B.If.Index())
			n = len(h)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ctx := timeout(t)
	cmd := exec.CommandContext(ctx, binary(t), "recv", ":9000", fmt.Sprintf("--netns=/proc/%d/fd/%d", os.Getpid(), l.B.NS.FD()), "--engine", "xdp", "-q")
	ready := make(chan struct{})
	cmd.Stderr = struct{ io.Writer }{&closeAt{text: "answered on TCP", call: func() { close(ready) }}} // its buffer would read past Write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	select {
	case <-ready:
	case <-ctx.Done():
		t.Fatal("it has not begun")
	}
	if n := held(); n != 1 {
		t.Errorf("%d programs", n)
	}
	cli(ctx, "recv", ":9001", netnsB(l), "--engine", "xdp", "-q").want(t, 3, "wsk1 has program", `"wsktally"`, "is not replaced")
	if n := held(); n != 1 {
		t.Errorf("%d programs after a refusal", n)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := testenv.Poll(ctx, "the program to go", func() (bool, error) { return held() == 0, nil }); err != nil {
		t.Error(err)
	}
	cli(ctx, "recv", ":9000", netnsB(l), "--engine", "xdp", "-i", "lo").want(t, 2, "without Ethernet addresses")
	cli(ctx, "recv", "127.0.0.1:9000", netnsB(l), "--engine", "xdp").want(t, 2, "127.0.0.1 is none of those")
	cli(ctx, "recv", ":9000", netnsB(l), "--engine", "xdp", "-i", "eth77").want(t, 2, "eth77")
	cli(ctx, "recv", "10.77.0.99:9000", netnsB(l), "--engine", "xdp").want(t, 2, "no Ethernet interface that is up has that address")
	if n := held(); n != 0 {
		t.Errorf("%d programs at the end", n)
	}
	var text bytes.Buffer
	child := exec.CommandContext(ctx, binary(t), "recv", ":9000", fmt.Sprintf("--netns=/proc/%d/fd/%d", os.Getpid(), l.B.NS.FD()), "--engine", "xdp", "-i", "wsk1", "-q")
	child.Stderr = &text
	child.Env = append(os.Environ(), asProgram+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := child.Run(); err == nil || child.ProcessState.ExitCode() != 3 {
		t.Errorf("an ordinary user: %v, %s", err, &text)
	}
}
