// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

func init() {
	children["builder"] = buildAndBlock
	children["panic"] = func() error { return buildAnd(func() { panic("as planned") }) }
	children["exit"] = func() error { return buildAnd(func() { os.Exit(3) }) }
}

// sentinelFD is where a child finds the namespace that watches it.
const sentinelFD = 3

func buildAndBlock() error {
	return buildAnd(func() { _ = announceAndBlock() })
}

// buildAnd builds everything this package has, ties both ends to the watching namespace, and then does end, closing
// nothing.
func buildAnd(end func()) error {
	lab, err := NewLab(Topology{Shape: Routed})
	if err != nil {
		return err
	}
	watch := &Namespace{fd: sentinelFD}
	for name, ns := range map[string]*Namespace{"child-a": lab.A.NS, "child-b": lab.B.NS, "child-r": lab.Router.NS} {
		e := End{Name: name, TX: 1, RX: 1}
		if _, _, err := newVeth(ns, e, 0, watch, e, 1500); err != nil {
			return err
		}
	}
	var errs []error
	_, err = NewCapture(lab.A.If, CaptureOptions{})
	errs = append(errs, err)
	_, err = NewUDPReceiver(lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7), UDPReceiverOptions{})
	errs = append(errs, err)
	if Check(AFXDP) == nil {
		_, err = openPeerSocket(lab.A.If, 0, xdp.DefaultSocketOptions)
		errs = append(errs, err)
	}
	if Check(XDPProgram) == nil {
		_, err = NewXDPPeer(lab.B.If, XDPPeerOptions{})
		errs = append(errs, err)
		_, err = NewDropCounter(lab.Router.A, DropCounterOptions{})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	end()
	return nil
}

// A process that dies in any way leaves no namespace, and with it no link and no program.
func TestNothingIsLeftBehind(t *testing.T) {
	Require(t, NetNS)
	for name, kill := range map[string]os.Signal{"builder": unix.SIGKILL, "panic": nil, "exit": nil} {
		t.Run(name, func(t *testing.T) {
			watch := NewNamespaceT(t)
			cmd := childCommand(t, name)
			cmd.Stderr = nil // the stack of the panic is expected
			cmd.ExtraFiles = []*os.File{dupFile(t, watch)}
			ends := map[string]*Iface{}
			if kill != nil {
				stdin, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer stdin.Close()
				awaitLine(t, cmd, "ready")
				for _, end := range []string{"child-a", "child-b", "child-r"} {
					i, err := FindIface(watch, end)
					if err != nil {
						t.Fatalf("the child's lab is not tied to ours: %v", err)
					}
					ends[end] = i
				}
				if err := cmd.Process.Signal(kill); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait()
			} else if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() < 2 {
				t.Fatalf("the child ended with %v", err)
			}
			for _, end := range ends {
				if err := end.AwaitGone(soon); err != nil {
					t.Error(err)
				}
			}
			// Also for those that were too short-lived to be looked up: nothing but lo stays.
			Eventually(t, soon, "all links to vanish", func() bool {
				links, err := watch.Links()
				if err != nil {
					t.Fatal(err)
				}
				return len(links) == 0
			})
		})
	}
}

func dupFile(t *testing.T, ns *Namespace) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(ns.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "namespace")
	t.Cleanup(func() { f.Close() })
	return f
}
