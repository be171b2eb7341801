// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// Direction is the way of the datagrams, as the datapath sees it.
type Direction string

// Directions.
const (
	Send    Direction = "send"
	Receive Direction = "receive"
)

// Fault is something that happens while datagrams flow.
type Fault struct {
	Name string
	Dir  Direction
	// About says what happens, in one sentence.
	About string

	// topology and options change what the laboratory and the datapath are like; plan changes what is sent.
	topology func(*testenv.Topology)
	options  func(*datapath.Options)
	plan     func(*account.Plan)
	// twoLinks adds a second link, and an address of B's that both lead to.
	twoLinks bool
	// bound binds the sending socket to the address of the first link instead of to none.
	bound bool
	// mortal: the socket may be dead afterwards, because what it is bound to has gone. Another one must not be.
	mortal bool
	// harmless: a socket of the kernel's would send everything, and so no send fails.
	harmless bool
	// steady: the datagrams don't pause for much longer than those of the kernel's own.
	steady bool
	// six: the datagrams are of IPv6.
	six bool
	// lossy: the last burst need not arrive whole.
	lossy bool
	// buffer is the receive buffer of the kernel's socket in bytes, 0 for a large one.
	buffer int
	// silent: the flow of the kernel's own does not end with this fault.
	silent bool
	// quiet: nothing is sent after the fault, because it has ended the datapath.
	quiet bool
	// remote puts the WSK side, or with remoteKernel the kernel's side, into a process of its own.
	remote, remoteKernel bool
	// early happens before the datapath is opened.
	early func(*world) error
	// do breaks something and mends it.
	do func(*world) error
	// check looks at what else must hold at the end.
	check func(*world) error
}

// ID is what a fault is called by on the command line.
func (f *Fault) ID() string { return string(f.Dir) + "/" + f.Name }

// Result is the account of one fault.
type Result struct {
	Fault *Fault
	account.Verdict
	// Back and KernelBack are how long after the fault the next datagram arrived, and that of the kernel's own; negative: never.
	Back, KernelBack time.Duration
	// Longest is how long a send was pending at most.
	Longest time.Duration
	// Leaks are what was left.
	Leaks []string
	// Wrong is what else was not as it should be.
	Wrong []string
	Took  time.Duration
}

// Failed is whether the account does not add up.
func (r *Result) Failed() bool {
	return r.Unexplained > 0 || r.Pending > 0 || len(r.Leaks) > 0 || len(r.Wrong) > 0
}
