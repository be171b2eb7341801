// SPDX-License-Identifier: Apache-2.0

package client

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// DefaultPath is the socket of a daemon that was installed as docs/daemon.md says.
const DefaultPath = "/run/wsk-xdp/wsk.sock"

// Options are those of Open. The zero value is good for most programs.
type Options struct {
	// Path is the daemon's socket, DefaultPath if empty.
	Path string
	// Name of the program, for the daemon's log alone: up to 32 bytes of printable ASCII. Empty: that of the executable.
	Name string
	// OnRefusal, if set, is called for everything that the daemon refuses, before the operation ends, from any
	// goroutine and with no lock held. It delays completions: it does not block.
	OnRefusal func(Refusal)
}

// Transport is a [wsk.Transport] and a [wsk.AddressSource] over the daemon. It is safe for concurrent use.
type Transport struct {
	options Options

	mu       sync.Mutex
	closed   bool
	session  *session              // the last one; nil before the first
	sessions map[*session]struct{} // that have not ended; those before the last are left to sockets that they had at GOODBYE
	dialing  *dialing              // under way
	watchers []*watcher
}

// dialing is a session that is being made.
type dialing struct {
	*dial
	session *session
	err     error
}

type watcher struct{ changed func() }

var (
	_ wsk.Transport     = (*Transport)(nil)
	_ wsk.AddressSource = (*Transport)(nil)
)

// Open makes a transport. It does not connect yet: whether there is a daemon, and whether its policy grants anything,
// is known from the first Bind, or from [Transport.Connect].
func Open(options Options) *Transport {
	if options.Path == "" {
		options.Path = DefaultPath
	}
	if options.Name == "" {
		options.Name = filepath.Base(os.Args[0])
	}
	return &Transport{options: options, sessions: make(map[*session]struct{})}
}

// OpenEndpoint implements wsk.Transport.
func (t *Transport) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, wsk.STATUS_FILE_FORCED_CLOSED
	}
	return newEndpoint(t, family, events), wsk.STATUS_SUCCESS
}

// Connect begins a session if there is none. It waits for the daemon's answer, at most five seconds. The error is a
// [Refusal] when the daemon has refused.
func (t *Transport) Connect() error {
	_, err := t.acquire()
	return err
}

// Close ends all sessions. Sockets that are still open end in STATUS_FILE_FORCED_CLOSED, and no new ones are made. It
// waits until this process has no connection to a daemon any more, and not for completion routines.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	d := t.dialing
	t.mu.Unlock()
	if d != nil {
		d.abandon()
		<-d.over
	}
	t.mu.Lock()
	list := slices.Collect(maps.Keys(t.sessions))
	t.mu.Unlock()
	for _, s := range list {
		s.end(errClosed)
	}
	for _, s := range list {
		<-s.ended
	}
	return nil
}

// forget takes out a session that has ended.
func (t *Transport) forget(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sessions, s)
}

// acquire is a session that takes sockets: the present one, or a new one.
func (t *Transport) acquire() (*session, error) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, errClosed
	}
	if s := t.session; s != nil && s.takesSockets() {
		t.mu.Unlock()
		return s, nil
	}
	d := t.dialing
	if d == nil {
		d = &dialing{dial: newDial()}
		t.dialing = d
		go t.dial(d)
	}
	t.mu.Unlock()
	<-d.over
	return d.session, d.err
}

// dial makes a session for all who wait for one.
func (t *Transport) dial(d *dialing) {
	c, err := d.connect(t.options.Path, t.options.Name)
	t.mu.Lock()
	if err == nil && t.closed {
		c.Close()
		err = errClosed
	}
	t.dialing, d.err = nil, err
	if err == nil {
		t.session = newSession(t, c)
		t.sessions[t.session] = struct{}{}
		d.session = t.session
		d.session.start()
	}
	t.mu.Unlock()
	if r, ok := err.(Refusal); ok {
		t.refused(r)
	}
	close(d.over)
}

func (t *Transport) refused(r Refusal) {
	if t.options.OnRefusal != nil {
		t.options.OnRefusal(r)
	}
}

// Addresses implements wsk.AddressSource. It connects if there is no session, and is empty where that fails.
func (t *Transport) Addresses(family uint16) []wsk.Address {
	s, err := t.acquire()
	if err != nil {
		return nil
	}
	var list []wsk.Address
	for _, a := range s.hostAddresses() {
		if isIPv4(&a.Addr) == (family == wsk.AF_INET) {
			list = append(list, wsk.Address{Addr: a.Addr, Scope: a.Scope})
		}
	}
	return list
}

// WatchAddresses implements wsk.AddressSource. The end of a session is no change; a new one is.
func (t *Transport) WatchAddresses(changed func()) (cancel func()) {
	w := &watcher{changed}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchers = append(t.watchers, w)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.watchers = slices.DeleteFunc(t.watchers, func(o *watcher) bool { return o == w })
	}
}

// addressesChanged tells the watchers.
func (t *Transport) addressesChanged() {
	t.mu.Lock()
	list := slices.Clone(t.watchers)
	t.mu.Unlock()
	for _, w := range list {
		w.changed()
	}
}

// SourceFor implements wsk.AddressSource. It asks the daemon, and waits at most two seconds for its answer.
func (t *Transport) SourceFor(to wsk.Address) (wsk.Address, wsk.NTSTATUS) {
	s, err := t.acquire()
	if err != nil {
		return wsk.Address{}, statusOf(err)
	}
	question := ipc.Source{Address: ipc.Address{Addr: to.Addr, Scope: to.Scope, Port: uint16(to.Port)}}
	var answer ipc.Source
	status := s.ask(ipc.TypeSource, 0, question.Append(nil), func(body []byte) error {
		return answer.Decode(ipc.TypeSource.Reply(), body)
	})
	return wsk.Address{Addr: answer.Addr, Scope: answer.Scope}, status
}
