// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func tapName(i int) string { return fmt.Sprintf("wskvm%d", i) }

// inTapNamespace calls f on a thread in a network namespace of its own that holds taps on a bridge; programs that f starts
// are in it. The namespace, the bridge and the taps end with f and those programs: nothing is there to be cleaned up, and
// the host's own interfaces are never touched.
func inTapNamespace(taps, queues int, f func() error) error {
	if err := canTap(); err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and takes the namespace with it.
		runtime.LockOSThread()
		result <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return Cannotf("make a network namespace for taps: %w; run as root", err)
			}
			if err := bridgeTaps(taps, queues); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-result
}

func canTap() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return Cannotf("a card with several queues needs taps: %w; load the module tun, run as root", err)
	}
	return f.Close()
}

func bridgeTaps(taps, queues int) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	// The bridge and the taps carry frames of the guest and have nothing of their own to say.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil &&
		!errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("switch IPv6 off for taps: %w", err)
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "wskvmbr"}}
	snooping := false
	bridge.MulticastSnooping = &snooping
	if err := h.LinkAdd(bridge); err != nil {
		return Cannotf("make a bridge: %w; run as root with the module bridge", err)
	}
	links := []netlink.Link{bridge}
	for i := range taps {
		tap := &netlink.Tuntap{
			LinkAttrs: netlink.LinkAttrs{Name: tapName(i)}, Mode: netlink.TUNTAP_MODE_TAP,
			Flags: netlink.TUNTAP_MULTI_QUEUE_DEFAULTS | netlink.TUNTAP_VNET_HDR, Queues: 1,
		}
		if err := h.LinkAdd(tap); err != nil {
			return Cannotf("make a tap: %w; run as root with the module tun", err)
		}
		for _, fd := range tap.Fds {
			fd.Close()
		}
		if err := h.LinkSetMaster(tap, bridge); err != nil {
			return fmt.Errorf("put %s on the bridge: %w", tap.Name, err)
		}
		links = append(links, tap)
	}
	var errs []error
	for _, l := range links {
		errs = append(errs, h.LinkSetUp(l))
	}
	return errors.Join(errs...)
}
