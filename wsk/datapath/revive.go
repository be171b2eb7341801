// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"time"
)

// An interface of Options.Receive may go and come back: its driver is unbound and bound, its module is loaded anew. It is
// then another device, and received on as soon as it is up. Until then what is sent through it goes by the kernel's stack,
// so that no queue of it is opened that does not receive.

// reviveRetry is the pause after an attempt that failed.
const reviveRetry = 10 * time.Second

var errAwaitsReceiving = errors.New("the interface has come back and is about to be received on")

// revivals are the interfaces of Options.Receive that have gone, by name. Guarded by deviceSet.mu.
type revivals map[string]*revival

type revival struct {
	notBefore time.Time
}

// miss notes that an interface was deleted, if it was received on.
func (set *deviceSet) miss(ifindex int) {
	set.mu.Lock()
	defer set.mu.Unlock()
	d := set.devices[ifindex]
	if d == nil || d.program == nil {
		return
	}
	if set.missing == nil {
		set.missing = make(revivals)
	}
	set.missing[d.program.Name] = &revival{}
}

// awaits reports whether an interface is to be received on and is not yet.
func (set *deviceSet) awaits(name string) bool {
	set.mu.Lock()
	defer set.mu.Unlock()
	return set.missing[name] != nil
}

// revive opens what has come back, and reports whether anything has. Only the goroutine of watch calls it.
func (set *deviceSet) revive() (back bool) {
	now := time.Now()
	set.mu.Lock()
	var names []string
	for name, r := range set.missing {
		if !set.closed && now.After(r.notBefore) {
			names = append(names, name)
		}
	}
	set.mu.Unlock()
	for _, name := range names {
		rd, ok := set.routes.DeviceByName(name)
		if !ok || !rd.Up {
			continue
		}
		err := set.openReceiving(name)
		set.mu.Lock()
		if err == nil {
			delete(set.missing, name)
		} else if r := set.missing[name]; r != nil {
			r.notBefore = now.Add(reviveRetry)
		}
		set.mu.Unlock()
		if err != nil && set.ctx.Err() != nil {
			set.abandon(rd.Index)
			return back
		}
		if err != nil {
			set.log.Error("the interface is back and can't be received on through AF_XDP; its datagrams go through the kernel's stack",
				"interface", name, "err", err, "next try in", reviveRetry)
			set.abandon(rd.Index)
			time.AfterFunc(reviveRetry, set.changed)
			continue
		}
		set.log.Info("the interface is back and received on", "interface", name)
		back = true
	}
	return back
}

// abandon takes down what an attempt that failed has left.
func (set *deviceSet) abandon(ifindex int) {
	set.mu.Lock()
	d := set.devices[ifindex]
	if d != nil && d.program != nil {
		delete(set.devices, ifindex)
	}
	set.mu.Unlock()
	if d != nil && d.program != nil {
		d.dismantle()
	}
}
