// SPDX-License-Identifier: Apache-2.0

// Package admin is how the commands of an operator talk to a daemon: the documents that it answers with, and a client of
// the Unix socket that it answers on.
package admin

import "time"

// DefaultPath is the socket of a daemon that was installed as docs/daemon.md says.
const DefaultPath = "/run/wsk-xdp/admin.sock"

// Schemas of the documents.
const (
	StatusSchema  = "wsk-xdp.daemon-status/1"
	ReloadSchema  = "wsk-xdp.daemon-reload/1"
	ClientsSchema = "wsk-xdp.daemon-clients/1"
)

// Status is GET /v1/status.
type Status struct {
	Schema     string            `json:"schema"`
	Version    string            `json:"version"`
	StartedAt  time.Time         `json:"started_at"`
	PID        int               `json:"pid"`
	Ready      bool              `json:"ready"`
	Healthy    bool              `json:"healthy"`
	Complaints []string          `json:"complaints"`
	Policy     PolicyStatus      `json:"policy"`
	Listeners  []Listener        `json:"listeners"`
	Queues     []Queue           `json:"queues"`
	Programs   []Program         `json:"programs"`
	Sessions   int               `json:"sessions"`
	Grants     []Grant           `json:"grants"`
	Refusals   map[string]uint64 `json:"refused_sessions"` // by reason
	Violations []Violation       `json:"violations"`
	Unread     uint64            `json:"unread_sessions"`
	Slow       map[string]uint64 `json:"slow_paths"` // by reason
}

// PolicyStatus is the policy in force, and what became of the last attempt to change it.
type PolicyStatus struct {
	File     string    `json:"file"`
	LoadedAt time.Time `json:"loaded_at"`
	Grants   int       `json:"grants"`
	Reloads  uint64    `json:"reloads"`
	Error    string    `json:"error"` // of the last reload; empty: it succeeded
}

// Listener is a socket that clients connect to.
type Listener struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// Queue is a transmit queue.
type Queue struct {
	Interface string `json:"interface"`
	Queue     int    `json:"queue"`
	State     string `json:"state"`
	Mode      string `json:"mode"`
	Submitted uint64 `json:"submitted_frames"`
	Completed uint64 `json:"completed_frames"`
	Dropped   uint64 `json:"dropped_frames"`
	InFlight  int    `json:"in_flight_frames"`
	Waiting   int    `json:"waiting_operations"`
	Rebuilds  uint64 `json:"rebuilds"`
	Received  uint64 `json:"received_datagrams"`
}

// Program is an XDP program that receives.
type Program struct {
	Interface string `json:"interface"`
	Mode      string `json:"mode"`
	Ports     int    `json:"ports"`
}

// Grant is an [[allow]] of the policy, and what all its clients together have and did.
type Grant struct {
	Name          string            `json:"name"`
	Sessions      int64             `json:"sessions"`
	Sockets       int64             `json:"sockets"`
	Memberships   int64             `json:"memberships"`
	InFlight      int64             `json:"in_flight_datagrams"`
	Destinations  int64             `json:"destinations"`
	Memory        int64             `json:"memory_bytes"`
	Sent          uint64            `json:"sent_datagrams"`
	SentBytes     uint64            `json:"sent_bytes"`
	Received      uint64            `json:"received_datagrams"`
	ReceivedBytes uint64            `json:"received_bytes"`
	ThrottledNS   int64             `json:"throttled_ns"`
	Denied        map[string]uint64 `json:"denied"` // by reason
}

// Violation is a rule of the protocol that clients have broken.
type Violation struct {
	Reason string `json:"reason"`
	Rule   string `json:"rule"`
	Count  uint64 `json:"count"`
}

// Reload is the answer to POST /v1/reload.
type Reload struct {
	Schema string `json:"schema"`
	OK     bool   `json:"ok"`
	Grants int    `json:"grants"`
	Error  string `json:"error"`
}

// Clients is GET /v1/clients.
type Clients struct {
	Schema   string    `json:"schema"`
	Sessions []Session `json:"sessions"`
}

// Session is a client that is connected. PID and Command are those of the process at that moment, for people.
type Session struct {
	ID       uint64   `json:"id"`
	UID      uint32   `json:"uid"`
	GID      uint32   `json:"gid"`
	PID      int      `json:"pid"`
	Command  string   `json:"command"`
	Grant    string   `json:"grant"`
	Listener string   `json:"listener"`
	Sockets  []string `json:"sockets"`
}
