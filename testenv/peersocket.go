// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// openPeerSocket retries while the kernel still releases an earlier socket of the queue, which it does 10 to 31 ms
// after close, and later where it is busy.
func openPeerSocket(i *Iface, queue int, opts xdp.SocketOptions) (*xdp.Socket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var s *xdp.Socket
	var last error
	err := Poll(ctx, fmt.Sprintf("queue %d of %s", queue, i.name), func() (bool, error) {
		before := socketMappings()
		last = i.ns.Do(func() (err error) {
			s, err = xdp.NewSocket(i.Index(), queue, &opts)
			return err
		})
		if last == nil {
			return true, nil
		}
		// The library closes the socket and leaks the rings it had mapped.
		unmapOrphans(before)
		// It also flattens the errno into text.
		if strings.Contains(last.Error(), unix.EBUSY.Error()) {
			return false, nil
		}
		return false, last
	})
	if err != nil {
		return nil, errors.Join(err, last)
	}
	return s, nil
}

// closePeerSocket unmaps the rings of the socket, found by its inode, before it closes the descriptor.
func closePeerSocket(s *xdp.Socket) error {
	var st unix.Stat_t
	if err := unix.Fstat(s.FD(), &st); err != nil {
		return errors.Join(fmt.Errorf("stat AF_XDP socket: %w", err), s.Close())
	}
	var errs []error
	for _, m := range socketMappings() {
		if m.inode == st.Ino {
			errs = append(errs, m.unmap())
		}
	}
	return errors.Join(append(errs, s.Close())...)
}
