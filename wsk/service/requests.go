// SPDX-License-Identifier: Apache-2.0

package service

import (
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// request does what a request other than SEND asks for. It has been taken note of, and is answered here or later.
func (n *session) request(h ipc.Header, body []byte) error {
	switch h.Type {
	case ipc.TypeHello:
		return n.sayHello(h, body)
	case ipc.TypeOpen:
		return n.openSocket(h, body)
	case ipc.TypeSource:
		return n.sourceFor(h, body)
	}
	k, err := n.socket(h)
	if err != nil {
		return err
	}
	switch h.Type {
	case ipc.TypeMTU:
		return k.mtu(h, body)
	case ipc.TypeConfigure:
		return k.configure(h, body)
	case ipc.TypeMembership:
		return k.change(h, body)
	case ipc.TypeCancel:
		return k.cancel(h, body)
	case ipc.TypeAbort:
		if err := ipc.Empty(h.Type, body); err != nil {
			return err
		}
		k.abort()
		n.reply(h, wsk.STATUS_SUCCESS, nil)
		return nil
	case ipc.TypeClose:
		if err := ipc.Empty(h.Type, body); err != nil {
			return err
		}
		k.close(h.Seq)
		return nil
	}
	return violation(ipc.ReasonMessage, h.Type, "there is no such request")
}

// mtu answers MTU from what the transport knows.
func (k *socket) mtu(h ipc.Header, body []byte) error {
	var m ipc.Path
	if err := m.Decode(body); err != nil {
		return err
	}
	to := destination(&m.To)
	_, status, reason := k.find(&to, nil)
	if status != wsk.STATUS_SUCCESS {
		k.session.fail(h, status, reason, "")
		return nil
	}
	bytes, status := k.ep.MTU(&to)
	k.session.reply(h, status, &ipc.MTU{Bytes: uint32(bytes)})
	return nil
}

// cancel answers CANCEL: the oldest entry with the id that still waits, here or below, is taken back.
func (k *socket) cancel(h ipc.Header, body []byte) error {
	var m ipc.Cancel
	if err := m.Decode(body); err != nil {
		return err
	}
	status := wsk.STATUS_NOT_FOUND
	var from int
	for {
		e, at := k.findEntry(m.ID, from)
		if e == nil {
			break
		}
		if k.takeBack(e) {
			status = wsk.STATUS_SUCCESS
			break
		}
		from = at + 1
	}
	k.session.answer(h, status, ipc.ReasonNone, "", nil)
	return nil
}

// findEntry finds the first entry with an id that has not completed, beginning at the from-th of all.
func (k *socket) findEntry(id uint32, from int) (e *entry, at int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, j := range k.jobs {
		for i := range j.n {
			e := &j.entries[i]
			if at >= from && e.id == id && e.state != over && j.over.Load()&e.bit == 0 {
				return e, at
			}
			at++
		}
	}
	return nil, at
}

// takeBack ends an entry with STATUS_CANCELLED, where it can still be.
func (k *socket) takeBack(e *entry) bool {
	k.mu.Lock()
	if e.state == waiting {
		e.state = over
		if e.offset != 0 { // it stood in the way of those behind it
			defer func() {
				k.member.Ready()
				k.pump.Wake()
			}()
		}
		k.mu.Unlock()
		k.finish(e, wsk.STATUS_CANCELLED, ipc.ReasonNone)
		return true
	}
	under := e.state == under
	rest := under && e.hasMore()
	e.cut = under // so that no next part takes the IRP while it is cancelled
	k.mu.Unlock()
	return under && (e.irp.Cancel() || rest) // its completion takes the lock
}

// sourceFor answers SOURCE, on a goroutine of its own: it may make system calls.
func (n *session) sourceFor(h ipc.Header, body []byte) error {
	var m ipc.Source
	if err := m.Decode(h.Type, body); err != nil {
		return err
	}
	n.open.Add(1)
	go func() {
		defer n.open.Done()
		a, status := n.server.host.sourceFor(wsk.Address{Addr: m.Addr, Scope: m.Scope, Port: m.Port})
		n.reply(h, status, &ipc.Source{Address: ipc.Address{Addr: a.Addr, Scope: a.Scope}})
	}()
	return nil
}

// behindBind closes the endpoint of a socket that does not open, once the call of Bind has returned: it may be that call
// which says so, and an endpoint is not closed during a call.
func (k *socket) behindBind(end func()) {
	k.mu.Lock()
	in := k.inBind
	if in {
		k.behind = end
	}
	k.mu.Unlock()
	if !in {
		end()
	}
}

func (k *socket) bindReturned() {
	k.mu.Lock()
	k.inBind = false
	end := k.behind
	k.mu.Unlock()
	if end != nil {
		end()
	}
}
