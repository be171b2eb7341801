// SPDX-License-Identifier: Apache-2.0

package wsktest

import "github.com/wsk-xdp/wsk-xdp/wsk"

// SetWay makes endpoints whose events are a wsk.FlowGuard ask it about each destination, once until [Transport.Recheck], and
// says which way a destination has. nil, as at first, asks nobody.
func (t *Transport) SetWay(way func(to *wsk.Destination) wsk.Way) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.way = way
}

// Recheck has guards asked again about all destinations.
func (t *Transport) Recheck() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.endpoints {
		e.verdicts = nil
	}
}

// admit is the verdict of the endpoint's guard.
func (e *endpoint) admit(to *wsk.Destination) wsk.NTSTATUS {
	guard, ok := e.events.(wsk.FlowGuard)
	t := e.t
	t.mu.Lock()
	way := t.way
	verdict, known := e.verdicts[*to]
	t.mu.Unlock()
	if !ok || way == nil || known {
		return verdict
	}
	verdict = guard.Admit(to, way(to))
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.verdicts == nil {
		e.verdicts = make(map[wsk.Destination]wsk.NTSTATUS)
	}
	e.verdicts[*to] = verdict
	return verdict
}
