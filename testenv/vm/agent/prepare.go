// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/cable"
	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

type mountPoint struct{ source, target, kind, data string }

// mountBase mounts what every program expects. An initramfs has no devices but those that it brings, so that until
// /dev is there nothing can be said.
func mountBase() {
	for _, m := range []mountPoint{
		{"devtmpfs", "/dev", "devtmpfs", ""},
		{"proc", "/proc", "proc", ""},
		{"sysfs", "/sys", "sysfs", ""},
		{"bpf", "/sys/fs/bpf", "bpf", ""},
		{"cgroup", "/sys/fs/cgroup", "cgroup2", ""},
		{"debugfs", "/sys/kernel/debug", "debugfs", ""},
		{"tmpfs", "/tmp", "tmpfs", "mode=1777"},
		{"tmpfs", "/run", "tmpfs", ""},
	} {
		if err := mount(m, 0); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
		}
	}
	_ = os.Symlink("/proc/self/fd", "/dev/fd")
}

func mount(m mountPoint, flags uintptr) error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.target, m.kind, flags, m.data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.kind, m.target, err)
	}
	return nil
}

// prepare makes the guest fit for commands and returns their environment.
func prepare(j *job.Job) ([]string, error) {
	for _, name := range j.Modules {
		if err := loadModule(filepath.Join(job.ModuleDir, name)); err != nil {
			return nil, err
		}
	}
	const options = "trans=virtio,version=9p2000.L,msize=262144"
	if err := mount(mountPoint{"src", job.Source, "9p", options + ",cache=loose"}, unix.MS_RDONLY); err != nil {
		return nil, err
	}
	if err := mount(mountPoint{"out", job.Out, "9p", options}, 0); err != nil {
		return nil, err
	}
	if err := loopbackUp(); err != nil {
		return nil, err
	}
	if err := unix.Sethostname([]byte("guest")); err != nil {
		return nil, fmt.Errorf("set the host name: %w", err)
	}
	env := append([]string{"PATH=/bin", "HOME=/tmp", "TMPDIR=/tmp", "WSKXDP_OUT=" + job.Out}, j.Env...)
	for _, nic := range j.NICs {
		name, err := nicName(nic.MAC)
		if err != nil {
			return nil, err
		}
		env = append(env, nic.Env+"="+name)
	}
	if j.Cable {
		port, err := serialPort("/sys/class/virtio-ports", cable.PortName)
		if err != nil {
			return nil, err
		}
		env = append(env, cable.Variable+"="+port)
	}
	return env, nil
}

// moduleOptions keep modules from making interfaces that nobody asked for.
var moduleOptions = map[string]string{"dummy.ko": "numdummies=0", "ifb.ko": "numifbs=0"}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), moduleOptions[filepath.Base(path)], 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load module %s: %w", filepath.Base(path), err)
	}
	return nil
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// portLimit is how long a port may take: its name comes with a message of its own after the device.
const portLimit = 20 * time.Second

// serialPort finds the virtio serial port of a name, below a directory of sysfs.
func serialPort(dir, name string) (string, error) {
	for deadline := time.Now().Add(portLimit); ; time.Sleep(50 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(dir, "*", "name"))
		if err != nil {
			return "", err
		}
		for _, file := range files {
			if raw, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(raw)) == name {
				return filepath.Join("/dev", filepath.Base(filepath.Dir(file))), nil
			}
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no virtio serial port %s among %d in %s", name, len(files), dir)
		}
	}
}

// nicName finds the interface with a link layer address. A driver may register it a little after its module is loaded.
func nicName(mac string) (string, error) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		all, err := net.Interfaces()
		if err != nil {
			return "", fmt.Errorf("list interfaces: %w", err)
		}
		var have []string
		for _, i := range all {
			if i.HardwareAddr.String() == mac {
				return i.Name, nil
			}
			have = append(have, i.Name+" "+i.HardwareAddr.String())
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no interface has the address %s: is the driver there? have %s", mac,
				strings.Join(have, ", "))
		}
	}
}
