// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// The ladder of ModeAuto has two rungs, zero-copy and copy. Each is asked for by name and read back.

// openAuto opens a socket on the highest rung that the kernel and the driver grant.
func openAuto(ctx context.Context, k kernel, o Options, l nic.Link) (*Socket, error) {
	zc := o
	zc.Mode = ModeZeroCopy
	s, err := buildGranted(ctx, k, zc, l)
	if err == nil {
		return s, nil
	}
	o, ok := CopyAfter(ctx, o, err)
	if !ok {
		return nil, err
	}
	return buildGranted(ctx, k, o, l)
}

// CopyAfter is the rule for the step from zero-copy down to copy mode. [Open] goes by it, and so can a caller that
// climbs the ladder itself because it has something to do, such as attaching a program, before the driver grants
// zero-copy.
//
// o are the options for the whole ladder, with ModeAuto; ctx is the context of the failed try; refusal is the error of
// that try: what OpenContext returned in ModeZeroCopy, or an error of the caller's own that wraps [ErrNotSupported].
// The result is the options for the second try, in copy mode.
//
// CopyAfter reports false where copy mode is not wanted, because o.Mode is another or ctx is done, and where it would
// fail as well: something other than the bind failed, the interface is gone, or a privilege is missing.
func CopyAfter(ctx context.Context, o Options, refusal error) (Options, bool) {
	if o.Mode != ModeAuto || ctx.Err() != nil || !copyMayDo(refusal) {
		return o, false
	}
	o.Mode, o.Fallback = ModeCopy, refusal
	if errors.Is(refusal, unix.EBUSY) {
		o.BindTimeout = -1 // the wait has been done; some drivers say EBUSY when they mean "no zero-copy now"
	}
	return o, true
}

// copyMayDo reports whether zero-copy was refused for a reason that does not hold in copy mode.
func copyMayDo(refusal error) bool {
	var op *OpError
	switch {
	case !errors.As(refusal, &op):
		return errors.Is(refusal, ErrNotSupported)
	case errors.Is(refusal, ErrModeMismatch) || op.Op == opServe:
		return true
	}
	return op.Op == opBind && !errors.Is(refusal, unix.ENODEV) && !errors.Is(refusal, unix.EPERM)
}

// buildGranted is build without frames of several chunks where the kernel refuses those: in copy mode it does so with the errno of any
// flag that it does not know.
func buildGranted(ctx context.Context, k kernel, o Options, l nic.Link) (*Socket, error) {
	s, err := build(ctx, k, o, l)
	var op *OpError
	if o.MultiBuffer && o.Mode == ModeCopy && errors.As(err, &op) && op.Op == opBind && errors.Is(err, unix.EINVAL) {
		o.MultiBuffer = false
		return build(ctx, k, o, l)
	}
	return s, err
}
