// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"os"
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/admin"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// status is how the daemon is, and what that was made of. Where its parts do not answer it says so, and counts nothing.
func (d *daemon) status() (look, *admin.Status) {
	seen, complaints := d.health.look(time.Now())
	statistics, info := &seen.statistics, &seen.info
	loaded, tries, err := d.rules.state()
	s := &admin.Status{
		Schema: admin.StatusSchema, Version: d.options.Version, StartedAt: d.started, PID: os.Getpid(), Ready: d.isReady(),
		Healthy: len(complaints) == 0, Complaints: notNil(complaints),
		Policy:    admin.PolicyStatus{File: d.rules.file, LoadedAt: loaded, Grants: len(d.Policy().Grants()), Reloads: tries},
		Listeners: d.documentListeners(), Queues: queues(info), Programs: programs(info), Sessions: statistics.Sessions,
		Grants: grants(statistics), Refusals: byName(statistics.Refusals), Violations: violations(statistics),
		Unread: statistics.Unread, Slow: info.SlowReasons,
	}
	if s.Slow == nil {
		s.Slow = map[string]uint64{}
	}
	if err != nil {
		s.Policy.Error = err.Error()
	}
	return seen, s
}

func queues(info *datapath.Info) []admin.Queue {
	list := []admin.Queue{}
	for i := range info.Queues {
		q := &info.Queues[i]
		one := admin.Queue{
			Interface: q.Interface, Queue: q.Queue, State: q.State, Mode: q.Granted.Mode.String(), Submitted: q.Submitted,
			Completed: q.Completed, Dropped: q.Dropped, InFlight: q.InFlight, Waiting: q.Waiting, Rebuilds: q.Rebuilds,
		}
		if q.Receive != nil {
			one.Received = q.Receive.Delivered
		}
		list = append(list, one)
	}
	return list
}

func programs(info *datapath.Info) []admin.Program {
	list := []admin.Program{}
	for i := range info.Programs {
		p := &info.Programs[i]
		list = append(list, admin.Program{Interface: p.Interface, Mode: p.Mode.String(), Ports: p.Ports})
	}
	return list
}

func grants(s *service.Statistics) []admin.Grant {
	list := []admin.Grant{}
	for i := range s.Grants {
		g := &s.Grants[i]
		one := admin.Grant{
			Name: g.Name, Sessions: g.Sessions, Sockets: g.Sockets, Memberships: g.Memberships, InFlight: g.Inflight,
			Destinations: g.Destinations, Memory: g.Memory, Sent: g.Sent, SentBytes: g.SentBytes, Received: g.Received, ReceivedBytes: g.ReceivedBytes,
			ThrottledNS: g.Throttled.Nanoseconds(), Denied: map[string]uint64{},
		}
		for denial, n := range s.Denials {
			if denial.Grant == g.Name {
				one.Denied[denial.Reason.String()] = n
			}
		}
		list = append(list, one)
	}
	return list
}

func violations(s *service.Statistics) []admin.Violation {
	list := []admin.Violation{}
	for rule, n := range s.Violations {
		list = append(list, admin.Violation{Reason: rule.Reason.String(), Rule: rule.Text, Count: n})
	}
	slices.SortFunc(list, func(a, b admin.Violation) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Rule, b.Rule))
	})
	return list
}

func byName(counts map[ipc.Reason]uint64) map[string]uint64 {
	names := make(map[string]uint64, len(counts))
	for reason, n := range counts {
		names[reason.String()] = n
	}
	return names
}

func clients(sessions []service.Client) *admin.Clients {
	document := &admin.Clients{Schema: admin.ClientsSchema, Sessions: []admin.Session{}}
	for _, c := range sessions {
		one := admin.Session{
			ID: c.Session, UID: c.UID, GID: c.GID, PID: c.PID, Command: c.Command, Grant: c.Grant, Listener: c.Listener,
			Sockets: []string{},
		}
		for _, local := range c.Sockets {
			one.Sockets = append(one.Sockets, local.String())
		}
		document.Sessions = append(document.Sessions, one)
	}
	return document
}

func (d *daemon) documentListeners() (list []admin.Listener) {
	for _, l := range d.listeners {
		list = append(list, admin.Listener{Name: l.name, Path: l.path})
	}
	return list
}
