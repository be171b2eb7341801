// SPDX-License-Identifier: Apache-2.0

package netfilter

// Hook is a place where rules are asked.
type Hook string

// The hooks that datagrams of this host meet.
const (
	Prerouting  Hook = "prerouting"
	Input       Hook = "input"
	Output      Hook = "output"
	Postrouting Hook = "postrouting"
	Ingress     Hook = "ingress"
	Egress      Hook = "egress"
)

// Chain is a base chain of nftables, with what can be reached from it.
type Chain struct {
	Family string   `json:"family"` // ip, ip6, inet or netdev
	Table  string   `json:"table"`
	Name   string   `json:"name"`
	Hook   Hook     `json:"hook"`
	Device []string `json:"devices,omitempty"` // of ingress and egress
	Rules  int      `json:"rules"`
	// Drops: by policy or by a rule something is dropped or rejected. Policy: it is what no rule accepts.
	Drops  bool `json:"drops"`
	Policy bool `json:"drops_by_policy"`
	// Conntrack: a rule looks at the state of the connection. NAT: it is of type nat and has rules.
	Conntrack bool `json:"conntrack"`
	NAT       bool `json:"nat"`
}

// String names the chain as nft does.
func (c *Chain) String() string { return c.Family + " " + c.Table + " " + c.Name }
