// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"time"
)

// An interface of Options.Receive may go and come back: its driver is unbound and bound, its module is loaded anew. It
// is then another device, and received on as soon as it is up. Until then what is sent through it goes by the kernel's
// stack, so that no queue of it is opened that does not receive.

// reviveRetry is the pause after an attempt that failed.
const reviveRetry = 10 * time.Second

var errAwaitsReceiving = errors.New("the interface has come back and is about to be received on")

// revivals are the interfaces of Options.Receive that have gone, by name. Guarded by Set.mu.
type revivals map[string]*revival

type revival struct {
	NotBefore time.Time
}

// awaitLocked notes that an interface that was received on is gone.
func (set *Set) awaitLocked(name string) {
	if set.Missing == nil {
		set.Missing = make(revivals)
	}
	set.Missing[name] = &revival{}
}

// Awaits reports whether an interface is to be received on and is not yet.
func (set *Set) Awaits(name string) bool {
	set.Mu.Lock()
	defer set.Mu.Unlock()
	return set.Missing[name] != nil
}

// Revive opens what has come back, and reports whether anything has. Only the goroutine of watch calls it.
func (set *Set) Revive() (back bool) {
	now := time.Now()
	set.Mu.Lock()
	var names []string
	for name, r := range set.Missing {
		if !set.closed && now.After(r.NotBefore) {
			names = append(names, name)
		}
	}
	set.Mu.Unlock()
	for _, name := range names {
		rd, ok := set.Routes.DeviceByName(name)
		if !ok || !rd.Up {
			continue
		}
		err := set.OpenReceiving(name)
		set.Mu.Lock()
		if err == nil {
			delete(set.Missing, name)
		} else if r := set.Missing[name]; r != nil {
			r.NotBefore = now.Add(reviveRetry)
		}
		set.Mu.Unlock()
		if err != nil && set.Ctx.Err() != nil {
			set.abandon(rd.Index)
			return back
		}
		if err != nil {
			set.Log.Error("the interface is back and can't be received on through AF_XDP; "+
				"its datagrams go through the kernel's stack", "interface", name, "err", err, "next try in", reviveRetry)
			set.abandon(rd.Index)
			time.AfterFunc(reviveRetry, set.Changed)
			continue
		}
		set.Log.Info("the interface is back and received on", "interface", name)
		back = true
	}
	return back
}

// abandon takes down what an attempt that failed has left.
func (set *Set) abandon(ifindex int) {
	set.Mu.Lock()
	d := set.Devices[ifindex]
	if d != nil && d.program != nil {
		delete(set.Devices, ifindex)
	}
	set.Mu.Unlock()
	if d != nil && d.program != nil {
		d.Dismantle()
	}
}
