// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// ownListener is what the policy calls a socket that the daemon has made itself.
const ownListener = "default"

// listener is a socket that clients connect to.
type listener struct {
	name string
	path string
	*net.UnixListener
}

// clientSockets are those that systemd hands over, or else one of the daemon's own.
func clientSockets(s *Settings) ([]listener, error) {
	handed, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("sockets of systemd: %w", err)
	}
	var list []listener
	for name, all := range handed {
		for _, l := range all {
			u, ok := l.(*net.UnixListener)
			if !ok || u.Addr().Network() != "unixpacket" {
				return nil, fmt.Errorf("the socket %s of systemd is no ListenSequentialPacket= one", name)
			}
			u.SetUnlinkOnClose(false)
			list = append(list, listener{name, u.Addr().String(), u})
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	l, err := listen("unixpacket", s.Listen, s.mode)
	if err != nil {
		return nil, err
	}
	if s.Group != "" {
		if err := giveTo(s.Listen, s.Group); err != nil {
			l.Close()
			return nil, err
		}
	}
	return []listener{{ownListener, s.Listen, l}}, nil
}

// listen makes a socket with a mode. One that a killed daemon has left is replaced; one that answers is not.
func listen(network, path string, mode fs.FileMode) (*net.UnixListener, error) {
	addr := &net.UnixAddr{Name: path, Net: network}
	old := syscall.Umask(0o777 &^ int(mode)) // from the first moment on
	l, err := net.ListenUnix(network, addr)
	syscall.Umask(old)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	if c, err := net.DialUnix(network, nil, addr); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another daemon answers there", path)
	} else if !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%s is in use: %w", path, err)
	}
	// To connect to a file that is no socket fails in the same way, and that one is somebody's.
	if info, err := os.Lstat(path); err != nil {
		return nil, err
	} else if info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s is there and is no socket: name another path, or remove it", path)
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	old = syscall.Umask(0o777 &^ int(mode))
	defer syscall.Umask(old)
	return net.ListenUnix(network, addr)
}

// giveTo makes a group the owner of a socket.
func giveTo(path, group string) error {
	g, err := user.LookupGroup(group)
	if err != nil {
		return fmt.Errorf("listen_group: %w", err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("listen_group %s: %w", group, err)
	}
	return os.Chown(path, -1, gid)
}
