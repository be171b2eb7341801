// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestClassifyKick(t *testing.T) {
	want := map[syscall.Errno]KickResult{
		0:               KickDone,
		unix.EBUSY:      KickDropped,
		unix.EAGAIN:     KickLimited,
		unix.ENOBUFS:    KickLimited,
		unix.EINTR:      KickLimited,
		unix.ENOMEM:     KickLimited,
		unix.ENETDOWN:   KickLinkDown,
		unix.ENXIO:      KickGone,
		unix.ENODEV:     KickGone,
		unix.EBADF:      KickGone,
		unix.EINVAL:     KickBadDescriptor,
		unix.EOPNOTSUPP: KickFatal,
		unix.EPERM:      KickFatal,
		unix.EFAULT:     KickFatal,
		unix.ENOTSOCK:   KickFatal,
		0xffff:          KickFatal,
	}
	for errno, r := range want {
		if got := ClassifyKick(errno); got != r {
			t.Errorf("ClassifyKick(%v) = %v, want %v", errno, got, r)
		}
	}
	for e := range syscall.Errno(200) {
		if _, listed := want[e]; !listed && ClassifyKick(e) != KickFatal {
			t.Errorf("ClassifyKick(%d) = %v: an errno that the table does not list must be fatal", e, ClassifyKick(e))
		}
	}
}

func TestKickResultNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range KickResult(kickResults) {
		name := r.String()
		if name == "" || name == "unknown" || seen[name] {
			t.Errorf("result %d is called %q", r, name)
		}
		seen[name] = true
	}
	if KickResult(99).String() != "unknown" {
		t.Error("a result out of range has a name")
	}
}

func TestOpError(t *testing.T) {
	for _, c := range []struct {
		op   string
		mode Mode
		err  error
		want []string
	}{
		{opSocket, ModeCopy, unix.EPERM, []string{"open AF_XDP socket eth9 queue 3: operation not permitted",
			"CAP_NET_RAW"}},
		{opSocket, ModeCopy, unix.EAFNOSUPPORT, []string{"CONFIG_XDP_SOCKETS"}},
		{opRegister, ModeCopy, unix.ENOBUFS, []string{"register UMEM", "RLIMIT_MEMLOCK", "CAP_IPC_LOCK"}},
		{opMapUMEM, ModeCopy, unix.ENOMEM, []string{"fewer chunks"}},
		{opBind, ModeCopy, fmt.Errorf("%w for 2s", unix.EBUSY),
			[]string{"bind eth9 queue 3 copy: device or resource busy for 2s", "ss --xdp"}},
		{opBind, ModeZeroCopy, unix.EOPNOTSUPP, []string{"zero-copy: operation not supported", "use copy mode"}},
		{opBind, ModeCopy, unix.EOPNOTSUPP, []string{"does not take AF_XDP"}},
		{opBind, ModeCopy, unix.EINVAL, []string{"ethtool -l"}},
		{opBind, ModeZeroCopy, unix.EINVAL, []string{"use copy mode"}},
		{opBind, ModeCopy, unix.ENODEV, []string{"gone"}},
		{opBind, ModeCopy, unix.EPERM, []string{"CAP_NET_RAW"}},
		{opBind, ModeCopy, unix.ENETDOWN, []string{"ip link set up"}},
		{opInterface, ModeCopy, unix.ENODEV, []string{"ip link"}},
		{opTxRing, ModeCopy, unix.EINVAL, []string{"create TX ring eth9 queue 3: invalid argument"}},
		{opClose, ModeCopy, errors.New("odd"), []string{"close eth9 queue 3: odd"}},
	} {
		var err error = newOpError(c.op, "eth9", 3, c.mode, c.err)
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not mention %q", err, part)
			}
		}
		if !errors.Is(err, errors.Unwrap(c.err)) && !errors.Is(err, c.err) {
			t.Errorf("%q hides its cause", err)
		}
		var op *OpError
		if !errors.As(err, &op) || op.Op != c.op || op.Queue != 3 || op.Ifname != "eth9" {
			t.Errorf("%q is %+v", err, op)
		}
		if strings.Contains(err.Error(), "failed") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is not in the house's form", err)
		}
	}
}

func TestAnswerOf(t *testing.T) {
	no := fmt.Errorf("probe: %w", &FeatureError{Name: "x", MinKernel: "6.17", Detail: "seen"})
	for err, want := range map[error]Answer{nil: AnswerYes, no: AnswerNo, unix.EPERM: AnswerUnknown} {
		if got := AnswerOf(err); got != want {
			t.Errorf("AnswerOf(%v) = %v, want %v", err, got, want)
		}
	}
	if got := no.Error(); got != "probe: x: not supported: seen (needs Linux 6.17)" {
		t.Errorf("text %q", got)
	}
	if AnswerYes.String() != "yes" || AnswerNo.String() != "no" || AnswerUnknown.String() != "unknown" {
		t.Error("names of the answers")
	}
}

// The same errno counts as what it means in the mode of the socket.
func TestKicksAreCountedByMode(t *testing.T) {
	for mode, want := range map[Mode]KickResult{ModeCopy: KickBadDescriptor, ModeZeroCopy: KickUnserved} {
		s := newSocket(linux{})
		s.granted.Mode = mode
		s.kicked(unix.EINVAL)
		s.kicked(0)
		if c := s.Counters(); c.ByResult[want] != 1 || c.ByResult[KickDone] != 1 || c.Kicks != 2 {
			t.Errorf("%v: %+v", mode, c)
		}
	}
}
