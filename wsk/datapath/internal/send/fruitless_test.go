// SPDX-License-Identifier: Apache-2.0

package send

import (
	"slices"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestKicksFailForEver: every socket that the queue gets fails each kick. The queue asks for a few, with growing pauses,
// and then what waits ends. When the cause is gone the queue sends again.
func TestKicksFailForEver(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	fail := func(k *xdptest.Kernel) { k.FailKicks(slices.Repeat([]syscall.Errno{syscall.EPERM}, 100)...) }
	r.kernels.mu.Lock()
	r.kernels.setup = fail
	r.kernels.mu.Unlock()
	fail(r.kernels.newest())
	awaitAll(t, sendAll(s, to, 100), wsk.STATUS_IO_TIMEOUT) // more than chunks
	if n := r.kernels.count(); n > maxFruitless+1 {
		t.Errorf("%d sockets were made", n)
	}
	r.kernels.mu.Lock()
	r.kernels.setup = nil
	r.kernels.mu.Unlock()
	testenv.Eventually(t, waitLimit, "a socket that works", func() bool {
		return sendOne(t, s, whole([]byte("x")), to, nil) == wsk.STATUS_SUCCESS
	})
}
