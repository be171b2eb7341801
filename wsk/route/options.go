// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/mirror"
)

// Options say how to open a Table. The zero value is usable.
type Options struct {
	// NetNS is an open file descriptor of a network namespace. It is used during Open only and stays the caller's. 0:
	// the namespace of the calling thread; no privilege is needed then, nor when NetNS names that same namespace.
	NetNS int

	// Logger receives what an operator may have to know (lost events, failed dumps). nil: nothing is logged.
	Logger *slog.Logger

	// NeighbourTimeout bounds the wait for a neighbour. 0: 3 s, about what the kernel itself takes to give up.
	NeighbourTimeout time.Duration

	// MaxWaiting is how many may wait for neighbours at once, each for about 250 bytes. 0: 65536.
	MaxWaiting int

	// CacheTTL bounds the life of a route answer when nothing was announced: learned path MTUs are not, and without
	// CAP_NET_RAW ICMP redirects are not heard.
	// 0: 30 s. Sensible values lie between 10 and 60 s.
	CacheTTL time.Duration

	// KeepAliveFor is how long after its last use a neighbour is still kept fresh. 0: 90 s.
	KeepAliveFor time.Duration

	// AssumeNoIPsec says that the host has no IPsec policies, for a process that may not read them (CAP_NET_ADMIN).
	// Otherwise every datagram of such a process is one that the kernel may have to encrypt: see Table.Selected. Where
	// policies can be read it changes nothing.
	AssumeNoIPsec bool

	// ReceiveBuffer is the size in bytes of the kernel's event queue. 0: 4 MiB. Without CAP_NET_ADMIN the kernel caps
	// it at net.core.rmem_max. A small one loses events in a storm, which costs a new snapshot each time.
	ReceiveBuffer int

	// Mirror keeps a copy of the kernel's routing, out of which ResolveStanding answers without a system call. It costs
	// sockets, goroutines and memory for each route, and is for those who send to many destinations or while routes
	// change. Where it can't be had that is logged, and the kernel is asked everything.
	Mirror bool

	// asBefore makes what the kernel is asked again be answered as before. For tests.
	asBefore func() bool
	// unsettled is called before the table waits for the kernel to be through with a change. For tests.
	unsettled func()
	// openMirror makes the mirror. For tests; nil: mirror.Open.
	openMirror func(mirror.Options) (*mirror.Mirror, error)
	// datagramProbe leaves NTF_USE out, as if CAP_NET_ADMIN were missing. For tests.
	datagramProbe bool
	// interrupt makes a dump count as interrupted, with nothing of it known. For tests.
	interrupt func() bool
	// keepAliveEvery is the interval between looks at used neighbours. For tests; 0: 5 s.
	keepAliveEvery time.Duration
}

// withDefaults fills in the documented defaults.
func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.NeighbourTimeout, 3*time.Second)
	set(&o.CacheTTL, 30*time.Second)
	set(&o.KeepAliveFor, 90*time.Second)
	set(&o.keepAliveEvery, 5*time.Second)
	if o.openMirror == nil {
		o.openMirror = mirror.Open
	}
	if o.ReceiveBuffer == 0 {
		o.ReceiveBuffer = 4 << 20
	}
	if o.MaxWaiting == 0 {
		o.MaxWaiting = 1 << 16
	}
	return o
}

// validate reports every field that can't be.
func (o Options) validate() error {
	var errs []error
	if o.NetNS < 0 {
		errs = append(errs, fmt.Errorf("options: NetNS %d is not a file descriptor", o.NetNS))
	}
	if o.ReceiveBuffer < 0 {
		errs = append(errs, fmt.Errorf("options: ReceiveBuffer %d is negative", o.ReceiveBuffer))
	}
	if o.MaxWaiting < 0 {
		errs = append(errs, fmt.Errorf("options: MaxWaiting %d is negative", o.MaxWaiting))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"NeighbourTimeout", o.NeighbourTimeout}, {"CacheTTL", o.CacheTTL}, {"KeepAliveFor", o.KeepAliveFor},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("options: %s %v is negative", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}
