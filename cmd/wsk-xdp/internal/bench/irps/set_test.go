// SPDX-License-Identifier: Apache-2.0

package irps

import (
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestIRPsGoRound lets another goroutine complete what one takes, from a bounded set, many times over.
func TestIRPsGoRound(t *testing.T) {
	var failed atomic.Uint64
	p := New(4, 8, &failed)
	const rounds = 20000
	out := make(chan *wsk.IRP, 4)
	go func() {
		defer close(out)
		for range rounds {
			out <- p.Take()
		}
	}()
	n := 0
	for irp := range out {
		irp.IoStatus.Status = wsk.STATUS_SUCCESS
		if n++; n%1000 == 0 {
			irp.IoStatus.Status = wsk.STATUS_NETWORK_BUSY
		}
		for i := range p.all {
			if &p.all[i].irp == irp {
				if got := sent(irp, &p.all[i]); got != wsk.STATUS_MORE_PROCESSING_REQUIRED {
					t.Fatalf("routine answered %v", got)
				}
			}
		}
	}
	if n != rounds || failed.Load() != rounds/1000*8 {
		t.Errorf("%d rounds, %d datagrams failed", n, failed.Load())
	}
	if err := p.Dead(); err != nil {
		t.Errorf("dead: %v", err)
	}
	if err := p.Check(); err != nil {
		t.Errorf("all are back: %v", err)
	}
}

func TestIRPThatNeverComesBackIsNoticed(t *testing.T) {
	p := New(4, 1, new(atomic.Uint64))
	irp := p.Take()
	if err := p.Check(); err == nil {
		t.Error("3 of 4 passed for all")
	}
	irp.IoStatus.Status = wsk.STATUS_FILE_FORCED_CLOSED
	for i := range p.all {
		if &p.all[i].irp == irp {
			sent(irp, &p.all[i])
		}
	}
	if p.Dead() == nil {
		t.Error("the socket is dead and nobody noticed")
	}
}
