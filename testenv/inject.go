// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// SendFrame sends one frame, as it is, from the interface: malformed ones, tagged ones, answers of a fake neighbour.
// The driver's own limits hold; on veth that is 14 bytes to MTU + 18.
func (i *Iface) SendFrame(frame []byte) error {
	fd, err := i.ns.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index(), Halen: 6}); err != nil {
		return fmt.Errorf("send frame of %d bytes from %s: %w", len(frame), i.name, err)
	}
	return nil
}
