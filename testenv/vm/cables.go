// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"net"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/cable"
)

// cables pulls and plugs the cables of a guest's cards for the guest, see package cable. QEMU inherits its ends of both
// connections, so that there is nothing that anybody else could connect to, nor leave behind.
type cables struct {
	monitor, port net.Conn
	theirs        []*os.File
	done          chan struct{}
}

// Descriptors as QEMU has them: the first that a process inherits after its standard streams.
const (
	monitorFD = 3
	cableFD   = 4
)

// cableArgs are QEMU's arguments for them.
func cableArgs() []string {
	return []string{
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD), "-mon", "chardev=monitor,mode=control",
		"-chardev", fmt.Sprintf("socket,id=cable,fd=%d", cableFD), "-device", "virtio-serial-pci",
		"-device", "virtserialport,chardev=cable,name=" + cable.PortName,
	}
}

// cableModule is what the guest's kernel needs for the channel, the card's drivers aside.
const cableModule = "virtio_console"

// newCables makes the connections and has cmd inherit them.
func newCables(cmd *exec.Cmd) (*cables, error) {
	c := &cables{done: make(chan struct{})}
	for _, ours := range []*net.Conn{&c.monitor, &c.port} {
		conn, theirs, err := pair()
		if err != nil {
			c.forget()
			return nil, fmt.Errorf("connect to QEMU: %w", err)
		}
		*ours = conn
		c.theirs = append(c.theirs, theirs)
	}
	cmd.ExtraFiles = c.theirs
	return c, nil
}

func pair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fds[0]), "QEMU")
	ours, err = net.FileConn(f)
	f.Close()
	theirs = os.NewFile(uintptr(fds[1]), "QEMU's end")
	if err != nil {
		theirs.Close()
	}
	return ours, theirs, err
}

// serve serves the guest, in a goroutine, once QEMU was started. log gets what was done.
func (c *cables) serve(log func(format string, args ...any)) {
	c.release()
	monitor := newQMP(c.monitor)
	go func() {
		defer close(c.done)
		err := cable.Serve(c.port, func(end int, up bool) error {
			err := monitor.do("set_link", struct {
				Name string `json:"name"`
				Up   bool   `json:"up"`
			}{cardID(end), up})
			if err != nil {
				log("cable of %s, up %t: %v", cable.Ends[end], up, err)
			}
			return err
		})
		if err != nil {
			log("cables: %v", err)
		}
	}()
}

// close ends all of it after QEMU has ended.
func (c *cables) close() {
	c.monitor.Close()
	c.port.Close()
	<-c.done
}

// forget is close for a QEMU that was never started.
func (c *cables) forget() {
	c.release()
	for _, conn := range []net.Conn{c.monitor, c.port} {
		if conn != nil {
			conn.Close()
		}
	}
}

func (c *cables) release() {
	for _, f := range c.theirs {
		f.Close()
	}
	c.theirs = nil
}

// cardID is what QEMU calls the card of an end.
func cardID(end int) string { return fmt.Sprintf("card%d", end) }
