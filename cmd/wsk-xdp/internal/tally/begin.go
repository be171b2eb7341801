// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"errors"

	"github.com/cilium/ebpf"
)

// Announced is what a peer has said of its packets.
type Announced struct {
	Smallest, Largest int
	// Payload is what they hold behind their stamps, nil where that is not compared.
	Payload []byte
	// Timed is whether the times from stamps to here are measured: they are of one clock.
	Timed bool
}

// Begin gives a run a slot, before its packets come. It returns nil where there is none left.
func (p *Program) Begin(id uint16, a Announced) *Run {
	p.mu.Lock()
	defer p.mu.Unlock()
	var slot uint32
	if err := p.maps[wsktallyMapWsktallySpare].LookupAndDelete(nil, &slot); err != nil {
		if !errors.Is(err, ebpf.ErrKeyNotExist) {
			p.failed(err)
		}
		return nil
	}
	s := wsktallyTallySlot{Smallest: uint32(a.Smallest), Largest: uint32(a.Largest), Timed: word(a.Timed), Used: 1, Run: uint32(id)}
	var text wsktallyTallyText
	s.Compare = uint32(copy(text.Bytes[:], a.Payload)) // longer ones than that are not seen by the program
	p.failed(p.maps[wsktallyMapWsktallyTexts].Put(slot, text))
	p.failed(p.maps[wsktallyMapWsktallySlots].Put(slot, s))
	p.failed(p.maps[wsktallyMapWsktallyRuns].Put(uint32(id), slot+1)) // of one that packets have begun meanwhile come no more
	p.known[slot] = true
	return &Run{ID: id, m: p.memory, slot: slot}
}

// Found are the runs that packets have begun since the last call.
func (p *Program) Found() (out []*Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readSlots()
	for slot := range p.seen {
		if s := &p.seen[slot]; s.Used != 0 && !p.known[slot] {
			p.known[slot] = true
			out = append(out, &Run{ID: uint16(s.Run), m: p.memory, slot: uint32(slot), joined: true})
		}
	}
	return out
}

// Forget says that what comes of a run from now on is of a new one, not late. It has ended.
func (p *Program) Forget(id uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var now uint32
	p.failed(p.maps[wsktallyMapWsktallyRuns].Lookup(uint32(id), &now))
	if now == endedRun {
		p.failed(p.maps[wsktallyMapWsktallyRuns].Put(uint32(id), uint32(0)))
	}
}
