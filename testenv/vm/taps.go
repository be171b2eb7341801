// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func tapName(i int) string { return fmt.Sprintf("wskvm%d", i) }

// tapsName is what this program calls itself when it is to make taps and then become another program.
const tapsName = "wsk-xdp-vm-taps"

// Main must be called first in the main function of a program that uses set-ups with taps. Where the program was
// started by this package to make taps, it does not return.
func Main() {
	if len(os.Args) < 3 || os.Args[0] != tapsName {
		return
	}
	taps, err := strconv.Atoi(os.Args[1])
	if err == nil {
		err = bridgeTaps(taps)
	}
	if err == nil {
		err = unix.Exec(os.Args[2], os.Args[2:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(ExitCannot)
}

// behindTaps changes a command so that it runs in a network namespace of its own that holds taps on a bridge, with its
// process number and standard streams as they would be. Namespace, bridge and taps end with it: nothing has to be
// cleaned up, and the host's own interfaces are never touched. An ordinary user gets a user namespace, in which that is
// allowed.
func behindTaps(cmd *exec.Cmd, taps int) error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return Cannotf("a card with several queues needs taps: %w; load the module tun, run as root", err)
	}
	f.Close()
	cmd.Args = append([]string{tapsName, strconv.Itoa(taps), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/proc/self/exe"
	cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNET
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return nil
}

// bridgeTaps fills the network namespace of this process.
func bridgeTaps(taps int) error {
	// The bridge and the taps carry frames of the guest and have nothing of their own to say.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil &&
		!errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("switch IPv6 off for taps: %w", err)
	}
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "wskvmbr"}, MulticastSnooping: &snooping}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make a bridge: %w; load the module bridge", err)
	}
	links := []netlink.Link{bridge}
	for i := range taps {
		tap := &netlink.Tuntap{
			LinkAttrs: netlink.LinkAttrs{Name: tapName(i)}, Mode: netlink.TUNTAP_MODE_TAP,
			Flags: netlink.TUNTAP_MULTI_QUEUE_DEFAULTS | netlink.TUNTAP_VNET_HDR, Queues: 1,
		}
		if err := netlink.LinkAdd(tap); err != nil {
			return fmt.Errorf("make a tap: %w; load the module tun", err)
		}
		for _, fd := range tap.Fds {
			fd.Close() // QEMU opens the queues; the tap stays
		}
		if err := netlink.LinkSetMaster(tap, bridge); err != nil {
			return fmt.Errorf("put %s on the bridge: %w", tap.Name, err)
		}
		links = append(links, tap)
	}
	var errs []error
	for _, l := range links {
		errs = append(errs, netlink.LinkSetUp(l))
	}
	return errors.Join(errs...)
}
