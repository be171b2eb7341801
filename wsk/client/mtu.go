// SPDX-License-Identifier: Apache-2.0

package client

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

const (
	mtuFresh = time.Second // after that a question is passed on to the daemon again
	mtuMost  = 256         // destinations that are remembered
)

// MTU implements wsk.Endpoint. It answers from what the daemon has said last, and asks it for the next question.
func (ep *endpoint) MTU(to *wsk.Destination) (int, wsk.NTSTATUS) {
	s := ep.session.Load()
	if s == nil {
		return 0, wsk.STATUS_NETWORK_UNREACHABLE
	}
	s.mu.Lock()
	m := ep.mtus[*to]
	ask := ep.bound && !s.over && !m.pending && time.Since(m.at) > mtuFresh // of what is not open the daemon takes no question
	if ask {
		if ep.mtus == nil || len(ep.mtus) >= mtuMost {
			ep.mtus = make(map[wsk.Destination]mtu)
		}
		m.pending = true
		ep.mtus[*to] = m
	}
	s.mu.Unlock()
	if ask {
		ep.askMTU(s, *to)
	}
	if m.bytes == 0 {
		return 0, wsk.STATUS_NETWORK_UNREACHABLE
	}
	return m.bytes, wsk.STATUS_SUCCESS
}

func (ep *endpoint) askMTU(s *session, to wsk.Destination) {
	question := ipc.Path{To: entryOf(&to)}
	s.post(request{kind: ipc.TypeMTU, socket: ep.number, body: question.Append(nil), reply: func(body []byte, err error) {
		var answer ipc.MTU
		if err == nil {
			if err = answer.Decode(body); err != nil {
				s.end(err)
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		m := mtu{bytes: int(answer.Bytes), at: time.Now()}
		if err != nil {
			m = mtu{} // the daemon looks it up, and knows at the next question
		}
		if ep.mtus != nil {
			ep.mtus[to] = m
		}
	}})
}
