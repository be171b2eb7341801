// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// scripted is a kernel without AF_XDP: it hands out numbers and plain memory, keeps books of both, logs the order of
// calls, and makes the one with a chosen number fail.
type scripted struct {
	mu       sync.Mutex
	log      []string
	failAt   int // the call that fails, from 1; 0: none
	fail     error
	errs     map[string]error // errors by name of the call, each time
	nextFD   int
	fds      map[int]bool
	maps     map[*byte]string
	fillRing []byte
	opts     map[[2]int]int
	binds    func(n int, sa *unix.SockaddrXDP) error
	nbind    int
	zc       bool // XDP_OPTIONS says zero-copy whatever was asked
	flags    []uint16
	facts    nic.Link
	wakeup   unix.Errno // of the first kick
	features nic.Device
	regs     []unix.XDPUmemReg
}

func newScripted() *scripted {
	return &scripted{
		nextFD: 1000, fds: map[int]bool{}, maps: map[*byte]string{}, opts: map[[2]int]int{}, errs: map[string]error{},
		facts: nic.Link{Name: "fake0", Index: 7, TxQueues: nic.QueueCount{N: 2, Exact: true, Source: "test"}},
	}
}

func (k *scripted) call(name string) error {
	k.log = append(k.log, name)
	if k.failAt == len(k.log) {
		return k.fail
	}
	return k.errs[name]
}

func (k *scripted) link(string, int) (nic.Link, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.facts, k.call("link")
}

func (k *scripted) socket() (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.call("socket"); err != nil {
		return -1, err
	}
	k.nextFD++
	k.fds[k.nextFD] = true
	return k.nextFD, nil
}

func (k *scripted) setInt(fd, level, opt, value int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.call(fmt.Sprintf("set %d/%d", level, opt)); err != nil {
		return err
	}
	if level == unix.SOL_SOCKET && opt == unix.SO_SNDBUFFORCE {
		opt = unix.SO_SNDBUF
	}
	k.opts[[2]int{level, opt}] = value
	return nil
}

func (k *scripted) getInt(fd, level, opt int) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.call(fmt.Sprintf("get %d/%d", level, opt)); err != nil {
		return 0, err
	}
	if level == unix.SOL_XDP && opt == unix.XDP_OPTIONS {
		if k.zc || k.flags[len(k.flags)-1]&unix.XDP_ZEROCOPY != 0 {
			return unix.XDP_OPTIONS_ZEROCOPY, nil
		}
		return 0, nil
	}
	return 2 * k.opts[[2]int{level, opt}], nil
}

func (k *scripted) register(fd int, reg unix.XDPUmemReg) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.regs = append(k.regs, reg)
	if reg.Flags&unix.XDP_UMEM_TX_METADATA_LEN != 0 && k.errs["register"] == nil {
		return k.call("register metadata")
	}
	return k.call("register")
}

func (k *scripted) device(int) (nic.Device, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.features, k.call("device")
}

func (k *scripted) offsets(fd int) (unix.XDPMmapOffsets, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := unix.XDPRingOffset{Producer: 0, Consumer: 64, Flags: 128, Desc: 192}
	return unix.XDPMmapOffsets{Rx: o, Tx: o, Fr: o, Cr: o}, k.call("offsets")
}

func (k *scripted) statistics(fd int) (unix.XDPStatistics, int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return unix.XDPStatistics{Rx_dropped: 1, Tx_invalid_descs: 2}, 48, k.call("statistics")
}

func (k *scripted) mmap(fd int, offset int64, length, flags int) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := fmt.Sprintf("ring %#x", offset)
	if fd < 0 {
		name = "umem"
		if flags&unix.MAP_HUGETLB != 0 {
			name = "huge umem"
		}
	}
	if err := k.call("map " + name); err != nil {
		return nil, err
	}
	m := make([]byte, length)
	k.maps[&m[0]] = name
	if offset == unix.XDP_UMEM_PGOFF_FILL_RING {
		k.fillRing = m
	}
	return m, nil
}

func (k *scripted) munmap(b []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	name, ok := k.maps[&b[0]]
	if !ok {
		panic("munmap of what is not mapped")
	}
	delete(k.maps, &b[0])
	return k.call("unmap " + name)
}

func (k *scripted) bind(fd int, sa *unix.SockaddrXDP) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.flags = append(k.flags, sa.Flags)
	k.nbind++
	if err := k.call("bind"); err != nil {
		return err
	}
	if k.binds != nil {
		return k.binds(k.nbind, sa)
	}
	return nil
}

func (k *scripted) kick(int) unix.Errno {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.call("kick") != nil {
		return unix.EINVAL
	}
	return k.wakeup
}

func (k *scripted) close(fd int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.fds[fd] {
		panic(fmt.Sprintf("close of %d, which is not open", fd))
	}
	delete(k.fds, fd)
	return k.call("close")
}

func (k *scripted) checkNothingLeft(t *testing.T) {
	t.Helper()
	if len(k.fds) != 0 || len(k.maps) != 0 {
		t.Errorf("left behind: descriptors %v, mappings %v\ncalls: %q", slices.Collect(maps.Keys(k.fds)),
			slices.Collect(maps.Values(k.maps)), k.log)
	}
}

// checkTearDownOrder looks at the last calls of the log: rings, then the descriptor, then the UMEM (I8).
func (k *scripted) checkTearDownOrder(t *testing.T) {
	t.Helper()
	stage := 0
	for _, name := range k.log[k.lastSetUp()+1:] {
		s := map[bool]int{true: 2}[name == "close"]
		switch {
		case len(name) > 10 && name[:10] == "unmap ring":
			s = 1
		case name == "unmap umem" || name == "unmap huge umem":
			s = 3
		}
		if s < stage {
			t.Errorf("tear-down in the order %q, want rings, descriptor, UMEM", k.log[k.lastSetUp()+1:])
			return
		}
		stage = s
	}
}

func (k *scripted) lastSetUp() int {
	for i := len(k.log) - 1; i >= 0; i-- {
		if n := k.log[i]; n != "close" && (len(n) < 5 || n[:5] != "unmap") {
			return i
		}
	}
	return -1
}

var errInjected = errors.New("injected")
