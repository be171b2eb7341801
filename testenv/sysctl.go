// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/vishvananda/netlink"
)

// Sysctl writes a value below /proc/sys/net as the namespace sees it; key is a path such as ipv4/conf/all/rp_filter.
func (n *Namespace) Sysctl(key, value string) error {
	return n.Do(func() error { return writeSysctl(key, value) })
}

// ReadSysctl reads a value below /proc/sys/net as the namespace sees it, without the final newline.
func (n *Namespace) ReadSysctl(key string) (string, error) {
	var value string
	err := n.Do(func() error {
		raw, err := os.ReadFile(sysctlPath(key))
		if err != nil {
			return fmt.Errorf("read sysctl: %w", err)
		}
		value = strings.TrimSuffix(string(raw), "\n")
		return nil
	})
	return value, err
}

func sysctlPath(key string) string { return path.Join("/proc/sys/net", path.Clean("/"+key)) }

func writeSysctl(key, value string) error {
	if err := os.WriteFile(sysctlPath(key), []byte(value), 0); err != nil {
		return fmt.Errorf("write sysctl %s=%s: %w", key, value, err)
	}
	return nil
}

// labSysctls make a fresh namespace predictable whatever the host's defaults are. IPv6 ones are skipped where the
// kernel has no IPv6.
var labSysctls = []struct{ key, value string }{
	// A new namespace inherits these from the host; a strict filter would eat spoofed and asymmetric test traffic.
	{"ipv4/conf/all/rp_filter", "0"},
	{"ipv4/conf/default/rp_filter", "0"},
	// Errors are test results: none may be swallowed by a limit.
	{"ipv4/icmp_ratelimit", "0"},
	{"ipv6/icmp/ratelimit", "0"},
	// Duplicate address detection keeps an address tentative for a second or more.
	{"ipv6/conf/default/accept_dad", "0"},
	// Nothing advertises routes here; solicitations would only be noise in captures and counters.
	{"ipv6/conf/default/router_solicitations", "0"},
	{"ipv6/conf/default/accept_ra", "0"},
}

func (n *Namespace) prepare() error {
	err := n.Do(func() error {
		for _, s := range labSysctls {
			if err := writeSysctl(s.key, s.value); err != nil {
				if strings.HasPrefix(s.key, "ipv6/") && errors.Is(err, fs.ErrNotExist) {
					continue
				}
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("prepare network namespace: %w", err)
	}
	h, err := n.Netlink()
	if err != nil {
		return err
	}
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := h.LinkSetUp(&netlink.Device{LinkAttrs: *lo.Attrs()}); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// disableIPv6 turns IPv6 off for interfaces that are created from now on.
func (n *Namespace) disableIPv6() error {
	err := n.Sysctl("ipv6/conf/default/disable_ipv6", "1")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
