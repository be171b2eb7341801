// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// tryBinds tries binds on queue 0 as the datapath makes them: zero-copy with an XDP program that passes everything,
// where the driver announces it. The program is taken off again.
func (f *InterfaceFacts) tryBinds() *TriedFacts {
	tried := &TriedFacts{MultiBuffer: answer(xdp.ProbeMultiBuffer(f.Name, 0))}
	if !f.ZeroCopy || f.Program != nil && f.Program.Mode == "native" {
		tried.ZeroCopy = answer(xdp.ProbeZeroCopy(f.Name, 0))
		return tried
	}
	p, err := bpf.Load(bpf.Options{})
	if err == nil {
		_, err = p.Attach(f.Index, bpf.Native)
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}
	if err != nil {
		tried.ZeroCopy = answer(fmt.Errorf("the driver wants an XDP program, which is not to be had: %w", err))
		return tried
	}
	tried.WithProgram = true
	if f.Carrier {
		tried.LinkDown = waitForLink(f.Index)
	}
	err = xdp.ProbeZeroCopy(f.Name, 0)
	tried.ZeroCopy = answer(errors.Join(err, p.Close()))
	if f.Carrier {
		waitForLink(f.Index)
	}
	return tried
}

// linkPatience is how long a link may be away because a program was attached or taken off.
const linkPatience = 10 * time.Second

// waitForLink waits for the carrier and returns for how many milliseconds there was none.
func waitForLink(index int) (down int64) {
	start := time.Now()
	for time.Since(start) < linkPatience {
		l, err := netlink.LinkByIndex(index)
		if err != nil {
			break
		}
		// Not IFF_RUNNING, which is late by up to a second.
		carrier := l.Attrs().RawFlags&unix.IFF_LOWER_UP != 0
		if carrier && time.Since(start) > 50*time.Millisecond {
			break
		}
		if !carrier {
			down = time.Since(start).Milliseconds() + 1
		}
		time.Sleep(10 * time.Millisecond)
	}
	return down
}

// flowHash reads by which fields UDP over IPv4 is spread over the receive queues.
func (f *InterfaceFacts) flowHash() {
	if h, err := nic.UDPFlowHash(f.Name, false); err == nil {
		f.FlowHash, f.FlowHashPorts = h.String(), h.Ports()
	}
}
