// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// Current is the policy in force. It is for any goroutine.
type Current struct {
	policy atomic.Pointer[Policy]
	reload sync.Mutex
}

// NewCurrent puts a first policy in force.
func NewCurrent(p *Policy) *Current {
	c := new(Current)
	c.policy.Store(p)
	return c
}

// Load is the policy in force. Whoever needs several answers that belong together asks for it once.
func (c *Current) Load() *Policy { return c.policy.Load() }

// ErrRestart says that a new policy has other interfaces, for which the daemon has to be restarted.
var ErrRestart = errors.New("the [interface] tables differ from those in force: restart the daemon for them")

// Reload reads a policy as Parse does and puts it in force. On any error, which may be ErrRestart, the old one stays.
func (c *Current) Reload(name string, text []byte, host Host) error {
	p, err := Parse(name, text, host)
	if err != nil {
		return err
	}
	return c.Replace(p)
}

// Replace puts a policy in force, unless that takes a restart (ErrRestart): then the old one stays.
func (c *Current) Replace(p *Policy) error {
	c.reload.Lock()
	defer c.reload.Unlock()
	if !slices.Equal(p.Interfaces, c.Load().Interfaces) {
		return ErrRestart
	}
	c.policy.Store(p)
	return nil
}
