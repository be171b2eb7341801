// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

const txChecksum = nic.XSKFeatures(1 << 1)

// What is asked of the kernel depends on the mode that the socket gets, also when ModeAuto falls back, and on the
// driver.
func TestOffloadGrants(t *testing.T) {
	const sum = unix.XDP_UMEM_TX_METADATA_LEN | unix.XDP_UMEM_TX_SW_CSUM
	refuseZeroCopy := func(_ int, sa *unix.SockaddrXDP) error {
		if sa.Flags&unix.XDP_ZEROCOPY != 0 {
			return unix.EOPNOTSUPP
		}
		return nil
	}
	for _, c := range []struct {
		name    string
		mode    Mode
		ask     Offload
		setUp   func(*scripted)
		granted Offload
		flags   uint32 // of the registration that counts
		why     string // part of OffloadRefused
	}{
		{"not-asked", ModeCopy, OffloadNone, nil, OffloadNone, 0, ""},
		{"not-asked-zc", ModeZeroCopy, OffloadNone, func(k *scripted) { k.features.XSK = txChecksum }, OffloadNone, 0, ""},
		{"driver-in-copy-mode", ModeCopy, OffloadDriver, func(k *scripted) { k.features.XSK = txChecksum }, OffloadNone, 0,
			"copy mode"},
		{"partial-in-copy-mode", ModeCopy, OffloadPartial, nil, OffloadPartial, unix.XDP_UMEM_TX_METADATA_LEN, ""},
		{"kernel-in-copy-mode", ModeCopy, OffloadKernel, nil, OffloadKernel, sum, ""},
		{"driver-zc", ModeZeroCopy, OffloadDriver, func(k *scripted) { k.features.XSK = txChecksum }, OffloadDriver,
			unix.XDP_UMEM_TX_METADATA_LEN, ""},
		{"kernel-zc", ModeZeroCopy, OffloadKernel, func(k *scripted) { k.features.XSK = txChecksum }, OffloadDriver,
			unix.XDP_UMEM_TX_METADATA_LEN, ""},
		{"driver-does-not-say", ModeZeroCopy, OffloadDriver, func(k *scripted) { k.features.XSK = 1 }, OffloadNone, 0,
			"xsk-features: tx-timestamp"},
		{"driver-not-asked", ModeZeroCopy, OffloadKernel, func(k *scripted) { k.errs["device"] = unix.EPERM }, OffloadNone, 0,
			"features of the driver"},
		{"old-kernel", ModeCopy, OffloadKernel, func(k *scripted) { k.errs["register metadata"] = unix.EINVAL }, OffloadNone, 0,
			"needs Linux 6.12"},
		{"auto-falls-back", ModeAuto, OffloadKernel, func(k *scripted) {
			k.features.XSK, k.binds = txChecksum, refuseZeroCopy
		}, OffloadKernel, sum, ""},
		{"auto-falls-back-driver", ModeAuto, OffloadDriver, func(k *scripted) {
			k.features.XSK, k.binds = txChecksum, refuseZeroCopy
		}, OffloadNone, 0, "copy mode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newScripted()
			if c.setUp != nil {
				c.setUp(k)
			}
			s, err := openScripted(k, Options{Mode: c.mode, Offload: c.ask})
			if err != nil {
				t.Fatal(err)
			}
			g := s.Granted()
			if g.Offload != c.granted {
				t.Errorf("granted %v, want %v (%v)", g.Offload, c.granted, g.OffloadRefused)
			}
			if why := g.OffloadRefused; (c.why == "") != (why == nil) || why != nil && !strings.Contains(why.Error(), c.why) {
				t.Errorf("refused because %v, want %q", why, c.why)
			}
			reg := k.regs[len(k.regs)-1]
			if reg.Flags != c.flags || (reg.Flags != 0) != (reg.Tx_metadata_len == TxMetadataLen) || reg.Headroom != 0 {
				t.Errorf("registered with flags %#x, %d bytes of metadata, headroom %d; want flags %#x", reg.Flags,
					reg.Tx_metadata_len, reg.Headroom, c.flags)
			}
			headroom := 0
			if c.granted != OffloadNone {
				headroom = TxMetadataLen
			}
			if s.UMEM().Headroom() != headroom || s.UMEM().Addr(1) != uint64(2048+headroom) {
				t.Errorf("frames start %d bytes into a chunk, want %d", s.UMEM().Headroom(), headroom)
			}
			s.Close()
			k.checkNothingLeft(t)
		})
	}
}

// EINVAL that is not about metadata is not hidden.
func TestRegistrationRefused(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EINVAL, unix.ENOMEM} {
		k := newScripted()
		k.errs["register"] = errno
		if _, err := openScripted(k, Options{Mode: ModeCopy, Offload: OffloadKernel}); !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
		k.checkNothingLeft(t)
	}
	k := newScripted()
	k.errs["register metadata"] = unix.ENOBUFS // memlock, say: plain registration would fail in the same way
	if _, err := openScripted(k, Options{Mode: ModeCopy, Offload: OffloadKernel, BindTimeout: -1}); !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("ENOBUFS: %v", err)
	}
	k.checkNothingLeft(t)
}

// struct xsk_tx_metadata of include/uapi/linux/if_xdp.h: flags u64 at 0, csum_start u16 at 8, csum_offset u16 at 10,
// launch_time u64 at 16.
func TestChecksumRequestLayout(t *testing.T) {
	meta := [TxMetadataLen]byte{0: 0xff, 16: 0xee, 23: 0xdd}
	NewChecksumRequest(0x0102, 0x0304).Put(&meta)
	if got := binary.NativeEndian.Uint64(meta[:]); got != 1<<1 { // XDP_TXMD_FLAGS_CHECKSUM
		t.Errorf("flags %#x", got)
	}
	start, offset := binary.NativeEndian.Uint16(meta[8:]), binary.NativeEndian.Uint16(meta[10:])
	if start != 0x0102 || offset != 0x0304 {
		t.Errorf("csum_start %#x, csum_offset %#x", start, offset)
	}
	if meta[16] != 0xee || meta[23] != 0xdd {
		t.Error("the launch time was touched")
	}
	ChecksumRequest{}.Put(&meta)
	if binary.NativeEndian.Uint64(meta[:]) != 0 {
		t.Error("the zero request asks for something")
	}
}
