// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/provider"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

func openProvider(t *task) (*provider.Provider, error) {
	o := datapath.Options{Receive: []string{t.Interface}}
	if t.Busy {
		o.BusyPoll = t.BusyPoll
	}
	return provider.Open(o)
}

// closer closes a provider.
type closer struct{ p *provider.Provider }

func (c closer) close() error { return c.p.Close() }

// openEvent counts in the callback.
func openEvent(t *task, count func(int)) (receiver, error) {
	p, err := openProvider(t)
	if err != nil {
		return nil, err
	}
	_, err = p.Socket(t.Local, func(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		n := 0
		for d := list; d != nil; d = d.Next {
			c := d.Buffer.Cursor(0)
			if look(c.Next(int(d.Buffer.Length)), t.Payload) {
				n++
			}
		}
		count(n)
		return wsk.STATUS_SUCCESS
	}, nil)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return closer{p}, nil
}

// openNetconn is what a server written for package net becomes.
func openNetconn(t *task, count func(int)) (receiver, error) {
	p, err := openProvider(t)
	if err != nil {
		return nil, err
	}
	conn, err := netconn.Listen(p.NPI(), "udp4", t.Local, netconn.Options{})
	if err == nil {
		err = conn.SetReadBuffer(receiveBuffer)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	r := serveConn(conn, t.Payload, count)
	return closing(func() error { return errors.Join(r.close(), p.Close()) }), nil
}

type closing func() error

func (c closing) close() error { return c() }

// waiting is how many receives wait at once.
const waiting = 256

// openFrom counts in the completion routine, which passes the IRP again.
func openFrom(t *task, count func(int)) (receiver, error) {
	p, err := openProvider(t)
	if err != nil {
		return nil, err
	}
	socket, err := p.Socket(t.Local, nil, nil)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	f := &fromSocket{closer: closer{p}, socket: socket, size: t.Payload, count: count}
	f.pending.Add(waiting)
	for range waiting {
		r := &posted{f: f, data: make([]byte, 2048)}
		r.buf = wsk.Buf{Mdl: wsk.AllocateMDL(r.data), Length: uintptr(len(r.data))}
		r.post()
	}
	return f, nil
}

type fromSocket struct {
	closer
	socket  *wsk.Socket
	size    int
	count   func(int)
	pending sync.WaitGroup
}

func (f *fromSocket) close() error {
	err := f.closer.close() // completes every IRP
	f.pending.Wait()
	return err
}

// posted is one receive, posted again and again.
type posted struct {
	f    *fromSocket
	irp  wsk.IRP
	data []byte
	buf  wsk.Buf
	from [wsk.SizeofSockaddrIn]byte
}

func (r *posted) post() {
	r.irp.Reuse(wsk.STATUS_SUCCESS)
	r.irp.SetCompletionRoutine(received, r, true, true, true)
	r.f.socket.ReceiveFrom(&r.buf, 0, r.from[:], nil, nil, nil, &r.irp)
}

func received(irp *wsk.IRP, context any) wsk.NTSTATUS {
	r := context.(*posted)
	if irp.IoStatus.Status != wsk.STATUS_SUCCESS {
		r.f.pending.Done() // closed
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	if look(r.data[:irp.IoStatus.Information], r.f.size) {
		r.f.count(1)
	}
	r.post()
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}
