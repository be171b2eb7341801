// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// RelayScript is given each frame on its way from A to B, in order, and calls pass with what shall arrive at B: the frame, now or
// later, once, twice, changed or not at all. The frame is the script's. The script may wait; what comes meanwhile waits too.
type RelayScript func(frame []byte, pass func(frame []byte) error) error

// Relay is a path between two hosts that does with frames what a script says. What goes back from B to A passes as it is. No
// frame is lost but by the script, as long as no more than some ten thousand wait.
//
//	A wsk0 ── relay-a │script│ relay-b ── wsk1 B        one network, in three namespaces
type Relay struct {
	A, B *Host

	ns   *Namespace
	ends [2]*relayEnd // towards A, towards B
	errs chan error   // of each direction, when it has ended
}

// relayEnd is one interface of the relay.
type relayEnd struct {
	file *os.File
	conn syscall.RawConn
	to   unix.SockaddrLinklayer
}

// NewRelay makes the hosts of a [Direct] lab with a relay between them.
func NewRelay(script RelayScript) (r *Relay, err error) {
	t, err := Topology{}.withDefaults()
	if err != nil {
		return nil, err
	}
	r = &Relay{A: &Host{Addrs: t.A.Addrs}, B: &Host{Addrs: t.B.Addrs}, errs: make(chan error, 2)}
	defer func() {
		if err != nil {
			err = fmt.Errorf("build relay: %w", errors.Join(err, r.Close()))
			r = nil
		}
	}()
	for _, ns := range []**Namespace{&r.A.NS, &r.B.NS, &r.ns} {
		if *ns, err = NewNamespace(); err != nil {
			return r, err
		}
	}
	if err = r.ns.disableIPv6(); err != nil {
		return r, err
	}
	var inner [2]*Iface
	if r.A.If, inner[0], err = Connect(r.A.NS, t.A, 0, r.ns, End{Name: "relay-a"}, t.MTU); err != nil {
		return r, err
	}
	if r.B.If, inner[1], err = Connect(r.B.NS, t.B, 0, r.ns, End{Name: "relay-b"}, t.MTU); err != nil {
		return r, err
	}
	for _, iface := range []*Iface{inner[0], r.B.If} { // the order of frames is the script's affair, not that of processors
		if err = iface.ReceiveInOrder(); err != nil && !errors.Is(err, ErrNotSupported) {
			return r, err
		}
	}
	for i, iface := range inner {
		if r.ends[i], err = openRelayEnd(iface); err != nil {
			return r, err
		}
	}
	go r.carry(r.ends[0], r.ends[1], script)
	go r.carry(r.ends[1], r.ends[0], func(frame []byte, pass func([]byte) error) error { return pass(frame) })
	return r, nil
}

// NewRelayT is NewRelay for tests.
func NewRelayT(t TB, script RelayScript) *Relay {
	t.Helper()
	r, err := NewRelay(script)
	return closer(t, r, err)
}

func openRelayEnd(i *Iface) (*relayEnd, error) {
	fd, err := i.ns.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := configureCapture(fd, i.Index(), CaptureOptions{IncomingOnly: true}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	e := &relayEnd{file: os.NewFile(uintptr(fd), "relay "+i.name), to: unix.SockaddrLinklayer{Ifindex: i.Index(), Halen: 6}}
	if e.conn, err = e.file.SyscallConn(); err != nil {
		e.file.Close()
		return nil, err
	}
	return e, nil
}

// carry passes what comes to one end to the other, until that is closed.
func (r *Relay) carry(from, to *relayEnd, script RelayScript) {
	buf, oob := make([]byte, maxFrame), make([]byte, controlSize)
	for {
		var f Frame
		err := recvmsg(from.conn, buf, oob, func(data, control []byte, from unix.Sockaddr) (err error) {
			f, err = parseCaptured(data, control, from)
			return err
		})
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
			continue
		case err == nil:
			err = script(f.Data, to.send)
		}
		if err != nil {
			if errors.Is(err, ErrClosed) {
				err = nil
			}
			r.errs <- err
			return
		}
	}
}

// send sends a frame as it is.
func (e *relayEnd) send(frame []byte) error {
	var err error
	closed := e.conn.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), frame, 0, &e.to)
		return !errors.Is(err, unix.EAGAIN)
	})
	switch {
	case closed != nil:
		return ErrClosed
	case err != nil:
		return fmt.Errorf("relay: pass a frame of %d bytes: %w", len(frame), err)
	}
	return nil
}

// lost is an error where frames came that there was no room for.
func (e *relayEnd) lost() (err error) {
	cerr := e.conn.Control(func(fd uintptr) {
		var s *unix.TpacketStats
		if s, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil && s.Drops > 0 {
			err = fmt.Errorf("relay: %d frames came faster than they were passed, and are lost", s.Drops)
		}
	})
	return errors.Join(cerr, err)
}

// Close ends the relay, says what kept it from passing frames, if anything did, and gives up the namespaces.
func (r *Relay) Close() error {
	var errs []error
	for _, e := range r.ends {
		if e != nil {
			errs = append(errs, e.lost(), e.file.Close())
		}
	}
	if r.ends[1] != nil { // then both directions go
		errs = append(errs, <-r.errs, <-r.errs)
	}
	for _, ns := range []*Namespace{r.A.NS, r.B.NS, r.ns} {
		if ns != nil {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}
