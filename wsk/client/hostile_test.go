// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// sent is a SEND of one datagram that a daemon has got.
type sent struct {
	p  *peer
	h  ipc.Header
	id uint32
}

// keepSends has the daemon answer no SEND. They come out of the channel.
func keepSends(d *daemon) chan sent {
	got := make(chan sent, 100)
	d.intercept = func(p *peer, h ipc.Header, body []byte) bool {
		var s ipc.Send
		if h.Type != ipc.TypeSend {
			return false
		}
		if err := s.Decode(body); err != nil {
			d.t.Error(err)
		}
		got <- sent{p, h, s.Datagrams()[0].ID}
		return true
	}
	return got
}

// complete says in the reply to a SEND that an entry has left.
func (s *sent) complete(id uint32) {
	var done ipc.Done
	done.Add(ipc.Completion{ID: id, Bytes: 2})
	s.p.reply(s.h, wsk.STATUS_SUCCESS, done.Append(nil))
}

// TestCompletionOfAnotherSend: a reply to one SEND can't complete what is in another one, and ends the session.
func TestCompletionOfAnotherSend(t *testing.T) {
	var got chan sent
	d := serve(t, memory(), func(d *daemon) { got = keepSends(d) })
	socket := bound(t, capture(t, open(t, client.Options{Path: d.path})))
	irps := send(socket, 1)
	first := <-got
	irps = append(irps, send(socket, 1)...)
	second := <-got
	second.complete(first.id)
	all(t, irps, wsk.STATUS_FILE_FORCED_CLOSED)
}

// TestLateCompletion: a reply that comes twice does not complete what has the place of the first SEND now.
func TestLateCompletion(t *testing.T) {
	var got chan sent
	d := serve(t, memory(), func(d *daemon) { got = keepSends(d) })
	socket := bound(t, capture(t, open(t, client.Options{Path: d.path})))
	irps := send(socket, 1)
	first := <-got
	first.complete(first.id)
	all(t, irps, wsk.STATUS_SUCCESS)
	irps = send(socket, 1)
	if second := <-got; second.id != first.id {
		t.Fatalf("entry %d has not the slot of %d again", second.id, first.id)
	}
	first.complete(first.id)
	all(t, irps, wsk.STATUS_FILE_FORCED_CLOSED)
}

// TestLateReply: an answer that comes twice is not taken for that to the next question.
func TestLateReply(t *testing.T) {
	var first atomic.Pointer[ipc.Header]
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(p *peer, h ipc.Header, _ []byte) bool {
			if h.Type != ipc.TypeSource || first.CompareAndSwap(nil, &h) {
				return false
			}
			var answer ipc.Source
			p.reply(*first.Load(), wsk.STATUS_SUCCESS, answer.Append(nil))
			return true
		}
	})
	transport := open(t, client.Options{Path: d.path})
	if _, status := transport.SourceFor(wsk.Address{Addr: local.As16()}); status != wsk.STATUS_SUCCESS {
		t.Fatal(status)
	}
	if a, status := transport.SourceFor(wsk.Address{Addr: local.As16()}); status == wsk.STATUS_SUCCESS {
		t.Errorf("the old answer was taken: %v", a)
	}
}
