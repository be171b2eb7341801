// SPDX-License-Identifier: Apache-2.0

package service

import (
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/quota"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/turns"
)

// Bounds of what one user may have. Where a client chooses who it is, those of its grant hold.
const (
	maxSessions    = 16
	acceptsASecond = 50
)

// userKey is who counts as one user: containers share a uid, and come through listeners of their own.
type userKey struct {
	uid      uint32
	listener string
}

// user is what the sessions of one user have in common.
type user struct {
	key      userKey
	owner    uint64 // of binds; never 0
	sessions int
	accepts  quota.Bucket
	seen     time.Time
}

// users are those who are there, and those who were a short time ago.
type users struct {
	mu     sync.Mutex
	last   uint64
	all    map[userKey]*user
	forgot time.Time
}

// keepUsers bounds the memory of users that have gone.
const keepUsers = 1024

// begin counts a session that wants to begin, and reports whether it may. end must follow if it may.
func (us *users) begin(key userKey) (*user, bool) {
	now := time.Now()
	us.mu.Lock()
	defer us.mu.Unlock()
	u := us.all[key]
	if u == nil {
		if len(us.all) >= keepUsers && now.Sub(us.forgot) > time.Second { // not for each of those who come under ever new numbers
			us.forgetLocked(now)
			us.forgot = now
		}
		if us.all == nil {
			us.all = make(map[userKey]*user)
		}
		us.last++
		u = &user{key: key, owner: us.last}
		u.accepts.Set(acceptsASecond, acceptsASecond, now)
		us.all[key] = u
	}
	u.seen = now
	if u.accepts.Wait(now) > 0 || u.sessions >= maxSessions {
		return u, false
	}
	u.accepts.Take(1)
	u.sessions++
	return u, true
}

func (us *users) end(u *user) {
	us.mu.Lock()
	u.sessions--
	us.mu.Unlock()
}

// forgetLocked forgets who has no session and has not tried for a second, after which his bucket is full anyway.
func (us *users) forgetLocked(now time.Time) {
	for key, u := range us.all {
		if u.sessions == 0 && now.Sub(u.seen) > time.Second {
			delete(us.all, key)
		}
	}
}

// grants are the accounts of the grants, by name. An account outlives the policy that it came with.
type grants struct {
	mu  sync.Mutex
	all map[string]*account
}

// account is what the sessions of a grant have in common. Their share of a pump is that of the grant: its clients may be
// able to take any user's number, as root of a container is, and would have a share with each.
type account struct {
	*quota.Grant
	turns map[*turns.Pump]*turns.User // guarded by the mu of grants
}

// adopt puts the limits of a policy in force.
func (g *grants) adopt(p *policy.Policy) {
	for _, grant := range p.Grants() {
		a := g.of(grant)
		a.SetLimits(&grant.Limits)
		g.mu.Lock()
		for _, t := range a.turns {
			t.SetWeight(grant.Limits.Weight)
		}
		g.mu.Unlock()
	}
}

// of is the account of a grant.
func (g *grants) of(grant *policy.Grant) *account {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := g.all[grant.Name]; a != nil {
		return a
	}
	if g.all == nil {
		g.all = make(map[string]*account)
	}
	a := &account{Grant: quota.NewGrant(grant.Name, &grant.Limits), turns: make(map[*turns.Pump]*turns.User)}
	g.all[grant.Name] = a
	return a
}

// turnsAt is the account's share of a pump.
func (g *grants) turnsAt(a *account, p *turns.Pump) *turns.User {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := a.turns[p]
	if t == nil {
		t = p.NewUser(a.Limits().Weight)
		a.turns[p] = t
	}
	return t
}

func (g *grants) list() []*quota.Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]*quota.Grant, 0, len(g.all))
	for _, a := range g.all {
		list = append(list, a.Grant)
	}
	return list
}
