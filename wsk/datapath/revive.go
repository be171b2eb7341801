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

var errAwaitsIntake = errors.New("the interface has come back and is about to be received on")

// revivals are the interfaces of Options.Receive that have gone, by name. Guarded by Datapath.mu.
type revivals map[string]*revival

type revival struct {
	notBefore time.Time
}

// missIntake notes that an interface was deleted, if it was received on.
func (dp *Datapath) missIntake(ifindex int) {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	d := dp.devices[ifindex]
	if d == nil || d.intake == nil {
		return
	}
	if dp.missing == nil {
		dp.missing = make(revivals)
	}
	dp.missing[d.intake.name] = &revival{}
}

// awaitsIntake reports whether an interface is to be received on and is not yet.
func (dp *Datapath) awaitsIntake(name string) bool {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	return dp.missing[name] != nil
}

// reviveIntakes opens what has come back. Only the goroutine of watch calls it.
func (dp *Datapath) reviveIntakes() {
	now := time.Now()
	dp.mu.Lock()
	var names []string
	for name, r := range dp.missing {
		if !dp.closed && now.After(r.notBefore) {
			names = append(names, name)
		}
	}
	dp.mu.Unlock()
	for _, name := range names {
		rd, ok := dp.routes.DeviceByName(name)
		if !ok || !rd.Up {
			continue
		}
		err := dp.openIntake(name)
		dp.mu.Lock()
		if err == nil {
			delete(dp.missing, name)
		} else if r := dp.missing[name]; r != nil {
			r.notBefore = now.Add(reviveRetry)
		}
		dp.mu.Unlock()
		if err != nil && dp.ctx.Err() != nil {
			dp.abandonIntake(rd.Index)
			return
		}
		if err != nil {
			dp.log.Error("the interface is back and can't be received on through AF_XDP; its datagrams go through the kernel's stack",
				"interface", name, "err", err, "next try in", reviveRetry)
			dp.abandonIntake(rd.Index)
			time.AfterFunc(reviveRetry, dp.watchers.wake)
			continue
		}
		dp.log.Info("the interface is back and received on", "interface", name)
		dp.hastenFlows()
	}
}

// abandonIntake takes down what an attempt that failed has left.
func (dp *Datapath) abandonIntake(ifindex int) {
	dp.mu.Lock()
	d := dp.devices[ifindex]
	if d != nil && d.intake != nil {
		delete(dp.devices, ifindex)
	}
	dp.mu.Unlock()
	if d != nil && d.intake != nil {
		d.dismantle()
	}
}

// hastenFlows looks anew for the way of flows that go through the kernel's stack.
func (dp *Datapath) hastenFlows() {
	for _, ep := range dp.endpointList() {
		ep.flows.each(func(f *flow) {
			if p := f.path.Load(); p != nil && p.queue == nil {
				f.prefetch()
			}
		})
	}
}
