// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	children["named"] = namedLabStory
	children["named-cut-short"] = func() error {
		if _, err := UpNamed("cut", Topology{Shape: Routed}); err != nil {
			return err
		}
		return announceAndBlock()
	}
}

// TestNamedLab runs the life of a named lab in a mount namespace with a /run of its own, so that nothing of it can stay
// behind or meet a lab that is in use.
func TestNamedLab(t *testing.T) {
	Require(t, NetNS)
	cmd := childCommand(t, "named")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if out, err := cmd.Output(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func privateRun() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// Where ip netns has been used, its directory is a mount, which would still be listed below the new /run.
	for range mostLayers {
		if unix.Unmount(namespaceDir, unix.MNT_DETACH) != nil {
			break
		}
	}
	var err error
	if inheritedMounts, err = mountsOnNames(); err != nil {
		return err
	}
	return unix.Mount("tmpfs", "/run", "tmpfs", 0, "")
}

func namedLabStory() error {
	if err := privateRun(); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"down before up", downFindsNothing}, {"up, status, down", upStatusDown}, {"up twice", upTwice},
		{"foreign", foreignIsLeftAlone},
		{"foreign before up", foreignBeforeUp}, {"killed", killedHalfWay}, {"up after a kill", upAfterKill}, {"names", badNames},
		{"ip netns add after up", addedAfterUp}, {"covered", coveredNames},
	} {
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func downFindsNothing() error {
	if removed, err := DownNamed("wsk"); err != nil || len(removed) != 0 {
		return fmt.Errorf("removed %v, %v", removed, err)
	}
	status, err := StatusNamed("")
	if err != nil || len(status) != 0 {
		return fmt.Errorf("status %v, %v", status, err)
	}
	return nil
}

func upStatusDown() error {
	lab, err := UpNamed("wsk", Topology{Shape: Routed, FarMTU: 1400})
	if err != nil {
		return err
	}
	// The names outlive what the process holds.
	if err := lab.Close(); err != nil {
		return err
	}
	status, err := StatusNamed("")
	if err != nil || len(status) != 1 || len(status[0].Namespaces) != 3 {
		return fmt.Errorf("status %+v, %v", status, err)
	}
	for _, ns := range status[0].Namespaces {
		if ns.Presence != Present || ns.Name != "wsk-"+ns.Role || len(ns.Links) == 0 ||
			ns.Links[0].OperState != "up" || len(ns.Links[0].Addrs) != 2 {
			return fmt.Errorf("namespace %+v", ns)
		}
	}
	// Others find it by name, iproute2 too where there is one.
	b, err := OpenNamespace("wsk-b")
	if err != nil {
		return err
	}
	defer b.Close()
	far, err := FindIface(b, "wsk1")
	if err != nil {
		return err
	}
	// Only the ip of iproute2 counts: busybox has another.
	if version, err := exec.Command("ip", "-V").CombinedOutput(); err == nil && strings.Contains(string(version), "iproute2") {
		out, err := exec.Command("ip", "-n", "wsk-b", "link", "show", "wsk1").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "mtu 1400") {
			return fmt.Errorf("ip: %v: %s", err, out)
		}
	}
	removed, err := DownNamed("wsk")
	if err != nil || len(removed) != 3 {
		return fmt.Errorf("removed %v, %v", removed, err)
	}
	// Our descriptor keeps the namespace, as a process inside would; the link is gone all the same.
	if err := far.AwaitGone(soon); err != nil {
		return err
	}
	return nothingIn("/run/netns", "/run/wsk-xdp", "lab.lock")
}

func nothingIn(netns, state, except string) error {
	for _, dir := range []string{netns, state} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Name() != except {
				return fmt.Errorf("%s/%s is left", dir, e.Name())
			}
		}
	}
	return downFindsNothing()
}

func upTwice() error {
	lab, err := UpNamed("wsk", Topology{})
	if err != nil {
		return err
	}
	defer lab.Close()
	if again, err := UpNamed("wsk", Topology{}); !errors.Is(err, ErrLabExists) {
		return fmt.Errorf("second up: %v, %v", again, err)
	}
	// The refused second must not have harmed the first.
	if status, err := StatusNamed("wsk"); err != nil || status[0].Namespaces[1].Presence != Present {
		return fmt.Errorf("status %+v, %v", status, err)
	}
	other, err := UpNamed("wsk2", Topology{})
	if err != nil {
		return err
	}
	defer other.Close()
	if removed, err := DownNamed("wsk"); err != nil || len(removed) != 2 {
		return fmt.Errorf("removed %v, %v", removed, err)
	}
	if status, err := StatusNamed("wsk2"); err != nil || status[0].Namespaces[0].Presence != Present {
		return fmt.Errorf("the other lab: %+v, %v", status, err)
	}
	_, err = DownNamed("wsk2")
	return err
}

// foreignNamespace gives a name to a namespace that no lab knows.
func foreignNamespace(name string) (*Namespace, error) {
	ns, err := NewNamespace()
	if err != nil {
		return nil, err
	}
	return ns, ns.giveName(name)
}

func removeForeign(ns *Namespace, name string) error {
	inode, err := ns.Inode()
	if err != nil {
		return err
	}
	return namedNamespace{Name: name, Inode: inode}.remove()
}

// onlyForeignLeft checks that a namespace of somebody else is there, and nothing of ours once it is removed.
func onlyForeignLeft(theirs *Namespace, name string) error {
	still, err := OpenNamespace(name)
	if err != nil {
		return fmt.Errorf("theirs was removed: %w", err)
	}
	still.Close()
	if err := removeForeign(theirs, name); err != nil {
		return err
	}
	return nothingIn("/run/netns", "/run/wsk-xdp", "lab.lock")
}

func foreignIsLeftAlone() error {
	lab, err := UpNamed("wsk", Topology{})
	if err != nil {
		return err
	}
	defer lab.Close()
	// Somebody removes ours by hand and makes one of the same name.
	if err := errors.Join(unix.Unmount("/run/netns/wsk-b", unix.MNT_DETACH), os.Remove("/run/netns/wsk-b")); err != nil {
		return err
	}
	theirs, err := foreignNamespace("wsk-b")
	if err != nil {
		return err
	}
	defer theirs.Close()
	if status, err := StatusNamed("wsk"); err != nil || status[0].Namespaces[1].Presence != Foreign {
		return fmt.Errorf("status %+v, %v", status, err)
	}
	removed, err := DownNamed("wsk")
	if !errors.Is(err, ErrNotOurs) || len(removed) != 1 {
		return fmt.Errorf("removed %v, %v", removed, err)
	}
	return onlyForeignLeft(theirs, "wsk-b")
}

func foreignBeforeUp() error {
	theirs, err := foreignNamespace("wsk-b")
	if err != nil {
		return err
	}
	defer theirs.Close()
	if lab, err := UpNamed("wsk", Topology{}); !errors.Is(err, ErrLabExists) {
		return fmt.Errorf("up over a foreign namespace: %v, %v", lab, err)
	}
	if _, err := os.Stat("/run/netns/wsk-a"); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the failed up left wsk-a: %v", err)
	}
	return onlyForeignLeft(theirs, "wsk-b")
}

func badNames() error {
	// Of 63 letters and the suffix no namespace can be opened by its name, nor be read from the record to be removed.
	for _, name := range []string{"", "..", "a/b", "-x", strings.Repeat("x", 63), strings.Repeat("x", 65)} {
		if _, err := UpNamed(name, Topology{}); err == nil {
			return fmt.Errorf("up %q", name)
		}
		if _, err := DownNamed(name); err == nil {
			return fmt.Errorf("down %q", name)
		}
	}
	for _, name := range []string{"", "..", "a/b", "-x", strings.Repeat("x", 65)} {
		if _, err := OpenNamespace(name); err == nil {
			return fmt.Errorf("open %q", name)
		}
	}
	longest := strings.Repeat("x", 62)
	lab, err := UpNamed(longest, Topology{})
	if err != nil {
		return err
	}
	if err := lab.Close(); err != nil {
		return err
	}
	if removed, err := DownNamed(longest); err != nil || len(removed) != 2 {
		return fmt.Errorf("removed %v, %v", removed, err)
	}
	if _, err := UpNamed("wsk", Topology{PeerXDP: XDPDrop}); err == nil {
		return errors.New("a program that would die with the process was accepted")
	}
	return nil
}
