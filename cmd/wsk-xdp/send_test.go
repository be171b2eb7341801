// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

const testPort = 9000

func TestSend(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
		to := netip.AddrPortFrom(host, testPort)
		source := l.A.IPv4()
		if host.Is6() {
			source = l.A.IPv6()
		}
		rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{})
		r := cli(timeout(t), "send", netns, to.String(), "-n", "3", "--payload", "hex:00ff7f", "--size", "1201", "--ttl", "7", "--dscp", "46",
			"--source", netip.AddrPortFrom(source, 4321).String(), "--require", "afxdp", "--json")
		r.want(t, 0, "via wsk0 (veth, mtu 1500)", "engine wsk · AF_XDP on wsk0", "queue 0", "copy mode")
		doc := decode[sendReport](t, r)
		if doc.Totals.Completed != 3 || doc.Totals.Bytes != 3*1201 || doc.Totals.SlowPath != 0 || len(doc.Results) != 3 || len(doc.Granted) != 1 {
			t.Errorf("%+v", doc)
		}
		got, err := rx.Wait(timeout(t), 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range got {
			if len(d.Payload) != 1201 || !bytes.HasPrefix(d.Payload, []byte{0, 0xff, 0x7f, 0, 0xff}) || d.TTL != 7 || d.TOS != 46<<2 ||
				d.Source != netip.AddrPortFrom(source, 4321) {
				t.Errorf("%d bytes %x…, TTL %d, TOS %#x, from %v", len(d.Payload), d.Payload[:5], d.TTL, d.TOS, d.Source)
			}
		}
	}
}

func TestSendSegments(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{})
	cli(timeout(t), "send", netns, to.String(), "--payload", "zero", "--size", "2500", "--segment", "1000").want(t, 0, "STATUS_SUCCESS", "2500")
	got, err := rx.Wait(timeout(t), 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1000, 1000, 500} {
		if len(got[i].Payload) != want {
			t.Errorf("datagram %d has %d bytes, want %d", i, len(got[i].Payload), want)
		}
	}
}

func TestSendThroughAnInterface(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	cli(timeout(t), "send", netns, to.String(), "-i", "wsk0", "--payload", "@-", "--require", "afxdp").want(t, 0, "STATUS_SUCCESS", "14")
	cli(timeout(t), "send", netns, to.String(), "-i", "eth77").want(t, 2, "eth77", "no such interface")
	// A destination that the interface does not reach does not leave through another one.
	if err := l.A.If.AddRoute(netip.MustParsePrefix("2001:db8::/32"), l.B.IPv6()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.A.If.Macvlan("other0", nil); err != nil {
		t.Fatal(err)
	}
	capture := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{})
	cli(timeout(t), "send", netns, "[2001:db8::1]:77", "-i", "other0").want(t, 1, "no way to the destination", "STATUS_")
	cli(timeout(t), "send", netns, "[2001:db8::1]:78").want(t, 0, "STATUS_SUCCESS")
	if _, err := capture.Wait(timeout(t), testenv.IsUDP(78)); err != nil {
		t.Fatal(err)
	}
	for _, f := range capture.Frames() {
		if testenv.IsUDP(77)(f) {
			t.Error("the datagram left through another interface than the one asked for")
		}
	}
}

func TestSendReportsFailure(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	b := netip.AddrPortFrom(l.B.IPv4(), testPort).String()
	cli(timeout(t), "send", netns, "192.0.2.1:9").want(t, 1, "STATUS_NETWORK_UNREACHABLE", "ip route get 192.0.2.1")
	if err := l.A.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	cli(timeout(t), "send", netns, b, "--timeout", "100ms").want(t, 1, "STATUS_", "ip ")
}

// What is asked for and can't be is a wrong command line, said in one sentence before anything is sent.
func TestAskedForAndNotThere(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	b4, b6 := netip.AddrPortFrom(l.B.IPv4(), testPort).String(), netip.AddrPortFrom(l.B.IPv6(), testPort).String()
	capture := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{})
	for _, c := range []struct {
		args string
		part string
	}{
		{"send " + b4 + " --df --size 1473", "over wsk0 with its MTU of 1500 takes 1472: send less, or leave --df out"},
		{"send " + b6 + " --df --size 1453", "takes 1452"},
		{"send " + b4 + " --df --size 3000 --segment 1473", "takes 1472"},
		{"blast " + b4 + " --df --payload-size 1473", "takes 1472"},
		{"send " + b4 + " --source 192.0.2.9", "source 192.0.2.9 is no address of this host: see ip addr"},
		{"blast " + b4 + " --source 192.0.2.9 -i wsk0", "source 192.0.2.9 is no address of wsk0: see ip addr show wsk0"},
		{"send [fe80::77]:9", "as in fe80::77%wsk0"},
		{"blast [fe80::77%eth77]:9", "there is no interface eth77 here"},
		{"send " + b4 + " -i eth77", "no such interface"},
	} {
		r := cli(timeout(t), append(strings.Fields(c.args), netns)...)
		r.want(t, 2, c.part, "--help")
		if strings.Count(r.stderr, "\n") != 2 || r.stdout != "" || goish.MatchString(r.stderr) {
			t.Errorf("%s: %v", c.args, r)
		}
	}
	// The next one may leave, so it is behind all that did not.
	cli(timeout(t), "send", netns, b4, "--df", "--size", "1472").want(t, 0)
	if _, err := capture.Wait(timeout(t), testenv.IsUDP(testPort)); err != nil {
		t.Fatal(err)
	}
	udp := 0
	for _, f := range capture.Frames() {
		if testenv.IsUDP(testPort)(f) {
			udp++
		}
	}
	if udp != 1 {
		t.Errorf("%d datagrams left", udp)
	}
}

// More flows than there are descriptors for are refused before the first datagram, with the number that it takes.
func TestFlowsNeedDescriptors(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	cmd := exec.CommandContext(timeout(t), "/bin/sh", "-c", `ulimit -n 60; exec /proc/self/fd/3 "$@"`, "sh", "blast",
		"--netns=/proc/self/fd/4", netip.AddrPortFrom(l.B.IPv4(), testPort).String(), "--flows", "1000", "-n", "1000")
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	inside, err := os.Open(strings.TrimPrefix(netns, "--netns="))
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	cmd.ExtraFiles = []*os.File{program, inside}
	r := outcome(t, cmd, (*exec.Cmd).Run)
	r.want(t, 2, "--flows 1000 takes", "this process may have 60", "ulimit -n")
}

// Where AF_XDP is not available, a warning says so, and --require refuses.
func TestSlowPathIsLoud(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	own := netip.AddrPortFrom(l.A.IPv4(), testPort)
	rx := testenv.NewUDPReceiverT(t, l.A.NS, own, testenv.UDPReceiverOptions{})
	r := cli(timeout(t), "send", netns, own.String(), "--json")
	r.want(t, 0, "SLOW PATH", "address of this host", "engine wsk · kernel stack")
	if doc := decode[sendReport](t, r); doc.Totals.SlowPath != 1 || len(doc.Granted) != 0 || doc.Path.SlowPath == "" || len(doc.Warnings) == 0 {
		t.Errorf("%+v", doc)
	}
	if _, err := rx.Wait(timeout(t), 1); err != nil {
		t.Fatal(err)
	}
	cli(timeout(t), "send", netns, own.String(), "--require", "afxdp").want(t, 3, "--require afxdp", "address of this host")
	cli(timeout(t), "blast", netns, own.String(), "--require", "afxdp").want(t, 3, "--require afxdp")
}

// A queue that a socket holds: the error names interface, queue, errno, remedy, and the process that holds it, or may.
func TestQueueTaken(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	var holder *xdp.Socket
	err := l.A.NS.Do(func() (err error) {
		holder, err = xdp.Open(xdp.Options{Ifname: "wsk0", Mode: xdp.ModeCopy, TxChunks: 8})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	who := fmt.Sprintf("pid %d (", os.Getpid())
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{})
	// Copy mode by name: after a try at zero-copy, its UMEM may still count against the locked memory of an ordinary
	// user.
	cli(timeout(t), "send", netns, to.String(), "--mode", "copy", "--require", "afxdp").
		want(t, 3, "wsk0", "queue 0", "device or resource busy", "choose another queue or end it", who)
	cli(timeout(t), "send", netns, to.String(), "--mode", "copy").want(t, 0, "SLOW PATH", "wsk0", "queue 0", "device or resource busy", who, "doctor wsk0", "STATUS_SUCCESS")
	if _, err := rx.Wait(timeout(t), 1); err != nil {
		t.Error(err)
	}
	r := cli(timeout(t), "doctor", netns, "wsk0")
	if strings.Contains(r.stdout, "sockets hold: yes") || strings.Contains(r.stdout, "(sock_diag of AF_XDP): yes") {
		r.want(t, 0, "WX-QUEUE-02", "holds queue 0", who)
	} else {
		r.want(t, 0, "WX-QUEUE-02", "not known which queues", "CONFIG_XDP_SOCKETS_DIAG", who)
	}
	doc := decode[doctorReport](t, cli(timeout(t), "doctor", netns, "wsk0", "--json"))
	f, told := doc.Facts.Interface, doc.Facts.Trial.Taken.Yes() || doc.Facts.Trial.Diag.Yes()
	if f.TakenKnown != told || (len(f.TakenQueues) == 1) != told || f.Sockets != 1 || f.HoldersKnown.Yes() != doc.Facts.Trial.Diag.Yes() {
		t.Errorf("%+v, trial %+v", f, doc.Facts.Trial)
	}
}

func TestRequireZeroCopy(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort).String()
	cli(timeout(t), "send", netns, to, "--require", "zerocopy").want(t, 3, "--require zerocopy", "wsk0", "operation not supported")
	cli(timeout(t), "send", netns, to, "--mode", "zerocopy").want(t, 3, "--mode zerocopy", "wsk0")
	cli(timeout(t), "send", netns, to, "--mode", "auto").want(t, 0, "copy mode")
}

// An ordinary user without any capability is told what is missing.
func TestSendWithoutPrivilege(t *testing.T) {
	r := outcome(t, ordinaryUser(t, "send", "127.0.0.1:9", "--require", "afxdp"), run1)
	r.want(t, 3, "--require afxdp")
	r = outcome(t, ordinaryUser(t, "lab", "up", "--name", fmt.Sprintf("wsktest%d", testPort)), run1)
	r.want(t, 3, "root", "wsk-xdp demo")
}

// TestChecksumFlag: what is granted and proved is in the document, and what a user asked for and did not get is on the
// screen.
func TestChecksumFlag(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	if err := l.A.If.SetFeature("tx-checksum-ip-generic", true); err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{})
	metadata := xdp.ProbeTxMetadata() == nil
	for _, c := range []struct {
		mode, granted string
		proved, why   bool
	}{{"software", "none", false, false}, {"auto", "none", false, true}, {"partial", "partial", false, true}, {"kernel", "kernel", true, false}} {
		r := cli(timeout(t), "blast", netns, to.String(), "-r", "50", "-n", "40", "--checksum", c.mode, "--mode", "copy", "--json")
		if !metadata && c.granted != "none" {
			r.want(t, 0, "computes checksums in software", "6.12")
			continue
		}
		doc := decode[blast.Report](t, r)
		if doc.Totals.Completed != 40 || doc.Totals.Failed != 0 {
			t.Errorf("--checksum %s: %+v", c.mode, doc.Totals)
		}
		if g := doc.Granted[0]; g.Offload != c.granted || g.Proved != c.proved || (g.OffloadReason != "") != c.why {
			t.Errorf("--checksum %s: granted %s, proved %v, reason %q", c.mode, g.Offload, g.Proved, g.OffloadReason)
		}
	}
	if _, err := rx.Wait(timeout(t), 4*40); err != nil {
		t.Error(err)
	}
}

// A namespace that this user may not enter, or not even see, is not an error of the run: it has the exit code for what
// is not possible here.
func TestNamespaceNotForThisUser(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS)
	name := labName() + "u"
	t.Cleanup(func() { cli(context.Background(), "lab", "down", "--name", name).want(t, 0) })
	cli(timeout(t), "lab", "up", "--name", name).want(t, 0)
	l := testenv.NewLabT(t, testenv.Topology{})
	for _, netns := range []string{name + "-a", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), l.A.NS.FD())} {
		for _, command := range []string{"send", "blast"} {
			outcome(t, ordinaryUser(t, command, "10.77.0.2:9", "--netns", netns), run1).want(t, 3, "network namespace")
		}
	}
}

// A user with CAP_NET_RAW alone, as setcap gives it, sends through the kernel's stack and is told why, and what to do.
func TestWithNetRawAlone(t *testing.T) {
	testenv.Require(t, testenv.Root)
	l, _ := lab(t, testenv.Topology{})
	program := binary(t)
	as := func(args ...string) result {
		return outcome(t, exec.CommandContext(timeout(t), program, args...), func(cmd *exec.Cmd) error {
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Credential:  &syscall.Credential{Uid: testenv.OrdinaryUser(), Gid: testenv.OrdinaryUser()},
				AmbientCaps: []uintptr{unix.CAP_NET_RAW},
			}
			return l.A.NS.Do(cmd.Run)
		})
	}
	to := netip.AddrPortFrom(l.B.IPv4(), testPort).String()
	const why = "IPsec policies can't be read (CAP_NET_ADMIN)"
	as("send", to).want(t, 0, "STATUS_SUCCESS", why, "--assume-no-ipsec")
	as("send", to, "--require", "afxdp").want(t, 3, why, "--assume-no-ipsec")
	as("send", to, "--require", "afxdp", "--assume-no-ipsec").want(t, 0, "STATUS_SUCCESS")
	as("blast", to, "--engine", "frames", "-n", "5", "-q").want(t, 3, why, "--assume-no-ipsec")
	as("blast", to, "--engine", "frames", "-n", "5", "-q", "--assume-no-ipsec").want(t, 0)
	as("doctor").want(t, 0, "WX-IPSEC-01", "--assume-no-ipsec")
}
