// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// ordinaryUser prepares the program to be run by a user without privilege, in a directory that such a user may enter.
func ordinaryUser(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(timeout(t), binary(t), args...)
	cmd.Dir = "/"
	if testenv.Check(testenv.Root) == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: testenv.OrdinaryUser(), Gid: testenv.OrdinaryUser()}}
	}
	return cmd
}

func run1(cmd *exec.Cmd) error { return cmd.Run() }

// leftovers is what a run must not add to.
type leftovers struct {
	links, named string
}

func takeLeftovers(t *testing.T) (l leftovers) {
	t.Helper()
	links, err := testenv.Dump(netlink.LinkList)
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		l.links += link.Attrs().Name + " "
	}
	entries, err := os.ReadDir("/run/netns")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		// Other packages' tests make namespaces of their own at the same time.
		if strings.HasPrefix(e.Name(), labName()) {
			l.named += e.Name() + " "
		}
	}
	return l
}

func TestDemoAsRoot(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	before := takeLeftovers(t)
	r := cli(timeout(t), "demo")
	r.want(t, 0, "demo as root", "AF_XDP peer", "64 frames received by asavie/xdp", "50,000", "STATUS_HOST_UNREACHABLE", "clean up")
	if strings.Contains(r.stdout, "FAILED") || strings.Contains(r.stdout, "not run") || strings.Count(r.stdout, "  verified\n") != 8 {
		t.Error(r)
	}
	if after := takeLeftovers(t); after != before {
		t.Errorf("left behind: %+v, before %+v", after, before)
	}
}

func TestDemoRootless(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	testenv.UsualMemlockT(t)
	before := takeLeftovers(t)
	r := cli(timeout(t), "demo", "--rootless")
	r.want(t, 0, "user and network namespace of its own", "AF_XDP peer", "not run: needs root", "sudo wsk-xdp demo", "clean up")
	if strings.Contains(r.stdout, "FAILED") || strings.Count(r.stdout, "  verified\n") != 7 {
		t.Error(r)
	}
	if after := takeLeftovers(t); after != before {
		t.Errorf("left behind: %+v, before %+v", after, before)
	}
}

func TestDemoAsOrdinaryUser(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	testenv.UsualMemlockT(t)
	r := outcome(t, ordinaryUser(t, "demo"), run1)
	r.want(t, 0, "not run: needs root", "verified")
	if strings.Contains(r.stdout, "FAILED") {
		t.Error(r)
	}
}

// Where user namespaces are forbidden, that is said, with the form that works.
func TestDemoForbidden(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	cmd := exec.CommandContext(timeout(t), binary(t), "demo", "--rootless")
	cmd.Env = append(os.Environ(), limited+"=max_user_namespaces=0")
	r := outcome(t, cmd, testenv.RunInUserNamespace)
	r.want(t, 3, "user namespaces are not available", "max_user_namespaces", "sudo ", " demo")
}

// The exit code of a demo that fails in its user namespace is that of the whole.
func TestDemoFailsInside(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	cmd := exec.CommandContext(timeout(t), binary(t), "demo", "--rootless")
	// One for the limited process, one for the demo, none for the laboratory.
	cmd.Env = append(os.Environ(), limited+"=max_net_namespaces=2")
	r := outcome(t, cmd, testenv.RunInUserNamespace)
	r.want(t, 3, "a laboratory can't be built here", "namespace")
	if strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("the error is told more than once: %v", r)
	}
}

func TestDoctorInALab(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	r := cli(timeout(t), "doctor", netns, "wsk0", l.B.IPv4().String(), "--json", "--try", "--prove")
	r.want(t, 0)
	doc := decode[doctorReport](t, r)
	ids := map[string]string{}
	for _, f := range doc.Findings {
		ids[f.ID] = string(f.Level)
	}
	for id, level := range map[string]string{
		"WX-AFXDP-01": "ok", "WX-CAP-TX-01": "ok", "WX-LINK-01": "ok", "WX-QUEUE-02": "ok", "WX-ROUTE-01": "ok", "WX-SOURCE-01": "ok",
		"WX-ZEROCOPY-01": "note", "WX-VETH-01": "ok", "WX-XDP-01": "ok", "WX-PROVE-01": "ok", "WX-MTU-01": "ok",
	} {
		if ids[id] != level {
			t.Errorf("%s is %q, want %q", id, ids[id], level)
		}
	}
	if doc.Interface != "wsk0" || !doc.Summary.TXPossible || doc.Facts.Proof == nil || doc.Facts.Proof.Received != 1000 {
		t.Errorf("%+v", doc)
	}
	cli(timeout(t), "doctor", netns, "nosuch0").want(t, 2, "nosuch0", "no interface of that name")
	cli(timeout(t), "doctor", netns, "192.0.2.1").want(t, 0, "FAIL", "no way to 192.0.2.1")
	// Only the destination: its interface is looked at.
	cli(timeout(t), "doctor", netns, l.B.IPv6().String()).want(t, 0, "interface wsk0", "source address fd77::1", "WX-NEIGH-01")
	if err := l.B.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	cli(timeout(t), "doctor", netns, "wsk0").want(t, 0, "FAIL", "no carrier", "set the other end")
}

func TestDoctorAsOrdinaryUser(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	testenv.UsualMemlockT(t)
	r := outcome(t, ordinaryUser(t, "doctor", "--prove"), run1)
	r.want(t, 0, "WX-CAP-TX-01", "1,000 received", "TX: ", "RX: ", "Zero-copy: ")
	if testenv.Check(testenv.Root) == nil {
		r.want(t, 0, "not as this user here", "setcap")
	}
}

func labName() string { return fmt.Sprintf("wsktest%d", os.Getpid()) }

func TestLab(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP)
	name := "--name=" + labName()
	t.Cleanup(func() { cli(t.Context(), "lab", "down", name) })
	before := takeLeftovers(t)
	cli(timeout(t), "lab", "status", name).want(t, 0, "no laboratory", "lab up --name")
	cli(timeout(t), "lab", "up", name, "--mtu", "2000", "--queues", "2").
		want(t, 0, labName()+"-a", labName()+"-b", "wsk0", "2000", "2/2", "10.77.0.1/24", "ip netns exec "+labName()+"-a wsk-xdp send 10.77.0.2:9000")
	cli(timeout(t), "lab", "up", name).want(t, 1, "lab down")
	doc := decode[labReport](t, cli(timeout(t), "lab", "status", name, "--json"))
	if !doc.Up || len(doc.Namespaces) != 2 || len(doc.Namespaces[0].Links) != 1 || doc.Namespaces[0].Links[0].MTU != 2000 {
		t.Errorf("%+v", doc)
	}
	// The command that lab up names.
	b, err := testenv.OpenNamespace(labName() + "-b")
	if err != nil {
		t.Fatal(err)
	}
	rx := testenv.NewUDPReceiverT(t, b, mustAddrPort("10.77.0.2:9000"), testenv.UDPReceiverOptions{})
	b.Close()
	cli(timeout(t), "send", "--netns", labName()+"-a", "10.77.0.2:9000", "--payload", "text:hello", "--require", "afxdp").want(t, 0, "STATUS_SUCCESS")
	if _, err := rx.Wait(timeout(t), 1); err != nil {
		t.Error(err)
	}
	rx.Close()
	cli(timeout(t), "lab", "down", name).want(t, 0, "removed namespace "+labName()+"-a", "removed namespace "+labName()+"-b")
	cli(timeout(t), "lab", "down", name).want(t, 0, "no laboratory")
	if after := takeLeftovers(t); after != before {
		t.Errorf("left behind: %+v, before %+v", after, before)
	}
}
