// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// What waits for a receiver that does not run for a moment. A machine that has other things to do lets it wait a tenth of a
// second, in which 5,000 datagrams come where they come at 50,000 a second.
const (
	// KernelBuffer is in bytes, of what comes by the kernel's stack.
	KernelBuffer = 32 << 20
	// rxChunks is in frames, of what comes over AF_XDP: 16 MiB for each queue of an interface.
	rxChunks = 8192
)

// OpenDatapath opens a datapath that receives, with room for what comes while its process does not run. Where the user may
// not lock so much memory it has what is usual.
func OpenDatapath(o datapath.Options) (*datapath.Datapath, error) {
	o.KernelBuffer = KernelBuffer
	o.Socket.RxChunks = rxChunks
	dp, err := datapath.Open(o)
	if errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM) {
		o.Socket.RxChunks = 0
		dp, err = datapath.Open(o)
	}
	return dp, err
}
