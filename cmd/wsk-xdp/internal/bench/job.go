// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// burst is how many datagrams an engine hands over at once, where its interface takes more than one.
const burst = 64

// job is what a child is told to send. It is the same for every engine but for the name.
type job struct {
	Engine string
	// Interface is where everything leaves; its name and index are those of the child's namespace.
	Interface string
	IfIndex   int
	SrcMAC    frame.MAC
	Source    netip.Addr
	Targets   []target
	// Payload is the bytes of UDP payload of every datagram.
	Payload int
	// Queues is the number of goroutines that send, each with sockets of its own.
	Queues int
	// Pin are the CPUs for the sending threads, in turn; nil leaves them alone.
	Pin []int
	// Daemon makes the child no engine but the daemon of one: the file with its settings.
	Daemon string
}

// target is one destination and the MAC address that its frames go to.
type target struct {
	To  netip.AddrPort
	MAC frame.MAC
}

// runLength is how many datagrams in a row go to one destination: a burst is shared out evenly, so that an interface
// that takes several datagrams for one destination gets as many at once as an application with a burst to send has for
// each.
func (j *job) runLength() int { return max(1, burst/len(j.Targets)) }

// rotor names the destination of each datagram, in the order that all engines keep.
type rotor struct{ n, length, at, left int }

func (j *job) rotor() rotor {
	return rotor{n: len(j.Targets), length: j.runLength(), at: len(j.Targets) - 1}
}

// next is the destination of the next datagram.
func (r *rotor) next() int {
	if r.left == 0 {
		r.left = r.length
		if r.at++; r.at == r.n {
			r.at = 0
		}
	}
	r.left--
	return r.at
}

// nextRun is the destination of the next whole run.
func (r *rotor) nextRun() int {
	if r.at++; r.at == r.n {
		r.at = 0
	}
	return r.at
}

// payload is what every datagram carries.
func (j *job) payload() []byte {
	b := make([]byte, j.Payload)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// sourcePort is the port of ready-made frames. Kernel sockets have what the kernel gives them.
const sourcePort = 1000

// frames builds the frame for each target, without FCS, from the port of a lane.
func (j *job) frames(lane int) ([][]byte, error) {
	payload := j.payload()
	out := make([][]byte, len(j.Targets))
	for i, t := range j.Targets {
		tmpl, err := frame.NewTemplate(frame.Flow{
			SrcMAC: j.SrcMAC, DstMAC: t.MAC,
			Src: netip.AddrPortFrom(j.Source, uint16(sourcePort+lane)), Dst: t.To, DF: true,
		})
		if err != nil {
			return nil, err
		}
		b := make([]byte, tmpl.HeaderLen()+len(payload))
		var sum frame.Sum
		sum.CopyAdd(b[tmpl.HeaderLen():], payload)
		tmpl.PutHeaders(b, len(payload), 0, sum)
		out[i] = b
	}
	return out, nil
}
