// SPDX-License-Identifier: Apache-2.0

package offload

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Key tells apart what is proved on its own: a driver may well find the checksum of one kind of frame and not of another.
type Key struct {
	IPv6 bool
	Tags uint8 // VLAN tags that are in the frame
}

func KeyOf(fl *frame.Flow) Key {
	return Key{IPv6: fl.Dst.Addr().Unmap().Is6(), Tags: uint8(len(fl.VLANs))}
}

// Info is what is known about one kind of frame on a queue whose socket may complete checksums.
type Info struct {
	IPv6 bool
	Tags int // VLAN tags in the frame
	// Proved is whether the checksums of such frames are left to the other side.
	Proved bool
	// Why is the reason while it is not proved; nil while the proof runs.
	Why error
}

// verdict is how far a proof has come.
type verdict struct {
	proved, refuted, running bool
	tries                    int
	why                      error
}

// Prover keeps the verdicts about a queue's socket, and makes sure that each proof runs once.
type Prover struct {
	mu       lockrank.Mutex[locks.ProverMu]
	mode     xdp.Mode
	offload  xdp.Offload
	grant    uint32 // counts the grants that differ; 0: nothing is granted
	serial   uint32
	verdicts map[Key]*verdict
}

// Tries bounds the destinations that are asked for a proof: where several in turn say nothing, a firewall does not
// let them.
const Tries = 4

// Adopt takes over what a new socket was granted and returns the number of that grant, 0 when there is none. Verdicts stay
// valid as long as the same is granted.
func (v *Prover) Adopt(g xdp.Granted) uint32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case g.Offload == xdp.OffloadNone:
		v.grant = 0
	case v.grant == 0 || g.Mode != v.mode || g.Offload != v.offload:
		v.serial++
		v.grant, v.verdicts = v.serial, make(map[Key]*verdict)
	}
	v.mode, v.offload = g.Mode, g.Offload
	return v.grant
}

// Ask reports whether something is proved under the present grant. With provable it may answer that the caller is to begin the
// proof, which ends with a call of conclude.
func (v *Prover) Ask(key Key, provable bool) (grant uint32, proved, begin bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.grant == 0 {
		return 0, false, false
	}
	w := v.verdicts[key]
	if w == nil {
		w = &verdict{}
		v.verdicts[key] = w
	}
	if provable && !w.proved && !w.refuted && !w.running && w.tries < Tries {
		w.running, w.why, begin = true, nil, true
		w.tries++
	}
	return v.grant, w.proved, begin
}

// Conclude ends a proof and reports whether its result counts still. err is nil for success; a [RefutedError] says that it
// was shown to be wrong rather than not shown.
func (v *Prover) Conclude(key Key, grant uint32, err error) bool {
	var wrong *RefutedError
	refuted := errors.As(err, &wrong)
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.verdicts[key]
	if grant != v.grant || w == nil {
		return false
	}
	w.running, w.proved, w.refuted, w.why = false, err == nil, refuted, err
	if errors.Is(err, ErrProbe) {
		w.tries-- // nobody was asked
	}
	return true
}

func (v *Prover) Info() []Info {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.grant == 0 {
		return nil
	}
	var list []Info
	for key, w := range v.verdicts {
		list = append(list, Info{IPv6: key.IPv6, Tags: int(key.Tags), Proved: w.proved, Why: w.why})
	}
	return list
}
