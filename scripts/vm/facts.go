// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// answer is what a probe of the product said.
type answer struct {
	Answer string `json:"answer"`
	Reason string `json:"reason"`
}

// answers finds all that are among the facts, by name: those of the machine, those that were tried on a veth ("trial.x"),
// and those that were tried on the interface ("tried.x").
func (d *doctor) answers() map[string]answer {
	found := map[string]answer{}
	collect := func(prefix string, facts map[string]json.RawMessage) {
		for name, raw := range facts {
			var a answer
			if json.Unmarshal(raw, &a) == nil && a.Answer != "" {
				found[prefix+name] = a
			}
		}
	}
	collect("", d.Facts)
	for _, group := range []struct{ prefix, in, name string }{{"trial.", "", "trial"}, {"tried.", "interface", "tried"}} {
		facts := d.Facts
		if group.in != "" {
			facts = object(facts[group.in])
		}
		collect(group.prefix, object(facts[group.name]))
	}
	return found
}

func object(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(raw, &m) // none, if it is none
	return m
}

// labels are words for answers, in the order of the table. What has none is shown by its own name, after these.
var labels = []struct{ name, words string }{
	{"afxdp_socket", "AF_XDP sockets"},
	{"afxdp_in_user_namespace", "AF_XDP without root, in a user namespace"},
	{"trial.copy_mode", "bind in copy mode"},
	{"trial.need_wakeup", "XDP_USE_NEED_WAKEUP"},
	{"trial.zero_copy_on_veth", "zero-copy on a veth"},
	{"trial.xdp_program", "the XDP program that receives"},
	{"trial.xdp_native_on_veth", "native XDP on a veth, by bpf_link"},
	{"trial.xdp_generic", "generic XDP, by bpf_link"},
	{"busy_poll", "SO_PREFER_BUSY_POLL"},
	{"trial.xdp_frags", "XDP programs for frames of several buffers"},
	{"trial.multi_buffer", "frames of several chunks (XDP_USE_SG)"},
	{"tx_metadata", "TX metadata (checksum offload)"},
	{"tx_budget", "XDP_MAX_TX_SKB_BUDGET"},
	{"trial.ring_statistics", "counters of full and empty rings"},
	{"trial.ring_remap", "mapping the rings of a bound socket again"},
	{"trial.netdev_features", "netdev-genl: features of a driver"},
	{"trial.netdev_queues", "netdev-genl: queues"},
	{"trial.netdev_queue_taken", "which queues AF_XDP sockets hold"},
	{"trial.afxdp_sock_diag", "which socket holds a queue (sock_diag)"},
}

// factNames are those that any of the records has, in the order of the table, without those about one interface.
func factNames(records []*record) []string {
	var names, rest []string
	seen := map[string]bool{}
	for _, r := range records {
		if r.Doctor == nil {
			continue
		}
		for name := range r.Doctor.answers() {
			seen[name] = !strings.HasPrefix(name, "tried.")
		}
	}
	for _, l := range labels {
		if seen[l.name] {
			names = append(names, l.name)
			delete(seen, l.name)
		}
	}
	for name, shown := range seen {
		if shown {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return append(names, rest...)
}

func label(name string) string {
	for _, l := range labels {
		if l.name == name {
			return l.words
		}
	}
	_, last, found := strings.Cut(name, ".")
	if !found {
		last = name
	}
	return strings.ReplaceAll(last, "_", " ")
}

var needs = regexp.MustCompile(`needs Linux ([0-9]+\.[0-9]+)`)

// named is the kernel that the product says a feature needs, where it said no.
func (a answer) named() string {
	if m := needs.FindStringSubmatch(a.Reason); m != nil {
		return m[1]
	}
	return ""
}

// withReason is the answer and, for a no, what the probe saw.
func (a answer) withReason() string {
	if _, why, found := strings.Cut(a.Reason, "not supported: "); found && a.Answer == "no" {
		return "no: " + why
	}
	return a.Answer
}

// card is what doctor knows of the interface.
type card struct {
	Driver   string `json:"driver"`
	TxQueues int    `json:"tx_queues"`
	RxQueues int    `json:"rx_queues"`
	TxRing   int    `json:"nic_tx_ring"`
	RxRing   int    `json:"nic_rx_ring"`
	Known    bool   `json:"features_known"`
	Native   bool   `json:"native_xdp"`
	Features string `json:"xdp_features"`
}

func (d *doctor) card() (c card, ok bool) {
	ok = json.Unmarshal(d.Facts["interface"], &c) == nil
	return c, ok
}
