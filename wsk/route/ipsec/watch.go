// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipsec

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Watcher keeps the policies of one namespace current until Close. Its methods are safe for concurrent use.
type Watcher struct {
	log      *slog.Logger
	policies atomic.Pointer[Policies]
	changed  func()

	events  *nl.NetlinkSocket
	asker   *nl.SocketHandle
	done    chan struct{}
	closing sync.Once
	running sync.WaitGroup
}

const (
	groupMigrate  = 7 // XFRMNLGRP_MIGRATE
	getDefault    = 0x28
	setDefault    = 0x27
	readTries     = 10
	readAgain     = time.Second
	answerTimeout = 5 * time.Second
	// burst is how many messages are thrown away before the policies are read: one reading answers them all.
	burst = 4096
)

// groups are what is announced of policies.
var groups = []uint{nl.XFRMNLGRP_POLICY, nl.XFRMNLGRP_EXPIRE, groupMigrate}

// Watch must be called on a thread in the namespace. changed is called, from a goroutine of the watcher and with no lock held, when other
// policies apply than before; the new ones are already there. A kernel without IPsec, and one that does not let this process read the
// policies, is no error: see [Policies.Unreadable]. With assumeNone there are none in the latter case.
func Watch(log *slog.Logger, assumeNone bool, changed func()) (*Watcher, error) {
	w := &Watcher{log: log, changed: changed, done: make(chan struct{})}
	err := w.open()
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT):
		return w, nil // no IPsec in this kernel
	case (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)) && assumeNone:
		return w, nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		w.policies.Store(newPolicies(nil, [2]Verdict{}, fmt.Errorf("read IPsec policies (needs CAP_NET_ADMIN): %w", err)))
		return w, nil
	case err != nil:
		w.Close()
		return nil, fmt.Errorf("watch IPsec policies: %w", err)
	}
	// The subscription is there: what changes from now on is announced.
	next := w.read()
	w.policies.Store(next)
	w.running.Add(1)
	go w.run(next.Unreadable() != nil)
	return w, nil
}

func (w *Watcher) open() (err error) {
	if err := mayListen(); err != nil {
		return err
	}
	if w.events, err = nl.Subscribe(unix.NETLINK_XFRM, groups...); err != nil {
		w.events = nil
		return err
	}
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_XFRM)
	if err != nil {
		return err
	}
	w.asker = &nl.SocketHandle{Socket: s}
	timeout := unix.NsecToTimeval(int64(answerTimeout))
	return s.SetReceiveTimeout(&timeout)
}

// mayListen reports whether a socket may listen to the groups. nl.Subscribe must not be asked in vain: it closes the descriptor of a
// socket that it can't bind, and leaves a file behind that closes the same number again when it is collected, whosever that is then.
func mayListen() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	sa := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	for _, g := range groups {
		sa.Groups |= 1 << (g - 1)
	}
	return unix.Bind(fd, sa)
}

// Close ends the watching. The policies stay what they were. Later calls do nothing. It must not be called from changed.
func (w *Watcher) Close() {
	w.closing.Do(func() {
		close(w.done)
		if w.events != nil {
			w.events.Close() // wakes the reader
		}
		w.running.Wait()
		if w.asker != nil {
			w.asker.Close()
		}
	})
}

// Policies are those that apply now; nil when none can change anything. One atomic load.
func (w *Watcher) Policies() *Policies { return w.policies.Load() }

// run reads the policies whenever something has happened to them, and again later where that failed.
func (w *Watcher) run(failed bool) {
	defer w.running.Done()
	for {
		if failed {
			soon := unix.NsecToTimeval(int64(readAgain))
			_ = w.events.SetReceiveTimeout(&soon)
		}
		messages, from, err := w.events.Receive()
		_ = w.events.SetReceiveTimeout(&unix.Timeval{})
		switch {
		case err == nil && from.Pid != nl.PidKernel:
			continue
		case errors.Is(err, os.ErrClosed) || w.closed():
			return
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN) && !failed:
			continue
		case err == nil && !failed:
			relevant := false
			for _, m := range messages {
				relevant = relevant || concerns(m.Header.Type)
			}
			if !relevant {
				continue
			}
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EAGAIN) && !w.pause() {
			return
		}
		w.drain()
		next := w.read()
		failed = next.Unreadable() != nil
		w.publish(next)
	}
}

// pause is for an error that nobody foresaw and that comes back at once. false: the watcher was closed.
func (w *Watcher) pause() bool {
	w.log.Warn("IPsec events: receive failed")
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.done:
		return false
	}
}

// concerns: of what expires most are associations, which change no policy.
func concerns(typ uint16) bool {
	switch nl.XfrmMsgType(typ) {
	case nl.XFRM_MSG_NEWPOLICY, nl.XFRM_MSG_DELPOLICY, nl.XFRM_MSG_UPDPOLICY, nl.XFRM_MSG_POLEXPIRE, nl.XFRM_MSG_FLUSHPOLICY,
		nl.XFRM_MSG_MIGRATE, setDefault:
		return true
	}
	return false
}

func (w *Watcher) closed() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// drain takes what has been announced so far.
func (w *Watcher) drain() {
	short := unix.NsecToTimeval(int64(time.Millisecond))
	_ = w.events.SetReceiveTimeout(&short)
	defer w.events.SetReceiveTimeout(&unix.Timeval{})
	for range burst {
		if _, _, err := w.events.Receive(); err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENOBUFS) {
			return
		}
	}
}

func (w *Watcher) publish(next *Policies) {
	old := w.policies.Swap(next)
	if old == nil && next == nil {
		return
	}
	if w.changed != nil {
		w.changed()
	}
}

// read reads all policies and the defaults. What can't be read keeps its last state, and says so.
func (w *Watcher) read() *Policies {
	var all []policy
	var err error
	for range readTries {
		all = nil
		err = w.ask(int(nl.XFRM_MSG_GETPOLICY), unix.NLM_F_DUMP, nil, func(b []byte) {
			if p, ok := parsePolicy(b); ok {
				all = append(all, p)
			}
		})
		if !errors.Is(err, nl.ErrDumpInterrupted) && !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	var fallback [2]Verdict
	if err == nil {
		err = w.ask(getDefault, 0, make([]byte, defaultsLen+1), func(b []byte) { fallback, _ = parseDefaults(b) })
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			err = nil // before Linux 5.15 the default was to let pass
		}
	}
	if err != nil {
		if w.closed() {
			return w.policies.Load()
		}
		err = fmt.Errorf("read IPsec policies: %w", err)
		w.log.Error("IPsec policies can't be read; trying again", "err", err)
		p := &Policies{err: err}
		if old := w.policies.Load(); old != nil {
			p.list, p.fallback = old.list, old.fallback
		}
		return p
	}
	return newPolicies(all, fallback, nil)
}

func (w *Watcher) ask(typ, flags int, body []byte, fn func([]byte)) error {
	req := nl.NewNetlinkRequest(typ, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_XFRM: w.asker}
	req.AddRawData(body)
	return req.ExecuteIter(unix.NETLINK_XFRM, 0, func(b []byte) bool { fn(b); return true })
}
