// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"sync"
)

// rules reads both lists and puts them into the order of the file.
func (p *parser) rules() []rule {
	var list []rule
	for i := range p.file.Allow {
		path := fmt.Sprintf("allow[%d]", i)
		if _, ok := p.positions.at[path]; !ok { // package toml takes a table for a list of one
			p.at("allow", "allow is a list: write [[allow]]")
			return nil
		}
		r := p.who(path, &p.file.Allow[i].fileWho)
		r.grant = p.grant(path, r.name, &p.file.Allow[i])
		list = append(list, r)
	}
	for i := range p.file.Deny {
		path := fmt.Sprintf("deny[%d]", i)
		if _, ok := p.positions.at[path]; !ok {
			p.at("deny", "deny is a list: write [[deny]]")
			return nil
		}
		list = append(list, p.who(path, &p.file.Deny[i].fileWho))
	}
	slices.SortStableFunc(list, func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	return list
}

// They are compiled when a policy is read: every program that knows policies would do it as it starts, and most read none.
var (
	ruleName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`) })
	unitName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,255}\.(service|scope|slice)$`) })
)

func (p *parser) who(path string, w *fileWho) rule {
	r := rule{at: p.positions.of(path)}
	switch {
	case w.Name == nil:
		p.at(path+".name", "the rule has no name")
	case !ruleName().MatchString(*w.Name):
		p.at(path+".name", "%q is not a name of 1 to 64 letters, digits and ._-", *w.Name)
	default:
		r.name = *w.Name
		if other, ok := p.names[r.name]; ok {
			p.at(path+".name", "another rule, in line %d, is called %s too", other.line, r.name)
		} else {
			p.names[r.name] = p.positions.of(path + ".name")
		}
	}
	if w.User != nil {
		r.uid = p.resolve(path+".user", "uid", *w.User, p.host.User)
	}
	if w.UID != nil {
		uid := uint32(p.number(path+".uid", w.UID, 0, 0, math.MaxUint32-1))
		if r.uid != nil && *r.uid != uid {
			p.at(path+".uid", "user %s is uid %d, so nobody matches both", *w.User, *r.uid)
		}
		r.uid = &uid
	}
	if w.Group != nil {
		if gid := p.resolve(path+".group", "gid", *w.Group, p.host.Group); gid != nil {
			r.gids = append(r.gids, *gid)
		}
	}
	if w.GID != nil {
		r.gids = append(r.gids, uint32(p.number(path+".gid", w.GID, 0, 0, math.MaxUint32-1)))
	}
	if w.Unit != nil {
		r.unit = *w.Unit
		switch {
		case !unitName().MatchString(r.unit):
			p.at(path+".unit", "%q is not the name of a service, scope or slice", r.unit)
		case !p.host.Units:
			p.at(path+".unit", "the units of processes can't be told here (that takes Linux 6.13, and all of cgroup2 at /sys/fs/cgroup): use user or listener")
		}
	}
	if w.Listener != nil {
		if r.lname = *w.Listener; r.lname == "" {
			p.at(path+".listener", "the name of a listener is not empty")
		}
	}
	if *w == (fileWho{Name: w.Name}) {
		p.at(path, "the rule says nobody: give user, uid, group, gid, unit or listener")
	}
	return r
}

// resolve is the number of a user or group.
func (p *parser) resolve(path, number, name string, look func(string) (uint32, error)) *uint32 {
	id, err := look(name)
	if err != nil {
		p.at(path, "%v: write %s = NUMBER for a name that is not in the files of /etc", err, number)
		return nil
	}
	return &id
}
