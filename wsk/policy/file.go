// SPDX-License-Identifier: Apache-2.0

package policy

// The file as package toml reads it. What is nil is not in it.
type (
	file struct {
		Version   *int64                   `toml:"version"`
		Interface map[string]fileInterface `toml:"interface"`
		Defaults  fileLimits               `toml:"defaults"`
		Allow     []fileAllow              `toml:"allow"`
		Deny      []fileDeny               `toml:"deny"`
	}
	fileInterface struct {
		Queues  *int64  `toml:"queues"`
		Mode    *string `toml:"mode"`
		Receive *bool   `toml:"receive"`
		Spread  *bool   `toml:"spread"`
	}
	fileWho struct {
		Name     *string `toml:"name"`
		User     *string `toml:"user"`
		UID      *int64  `toml:"uid"`
		Group    *string `toml:"group"`
		GID      *int64  `toml:"gid"`
		Unit     *string `toml:"unit"`
		Listener *string `toml:"listener"`
	}
	fileDeny struct {
		fileWho
	}
	fileAllow struct {
		fileWho
		fileLimits
		Interface       *[]string `toml:"interface"`
		Source          *[]string `toml:"source"`
		SourcePort      *[]string `toml:"source_port"`
		PrivilegedPorts bool      `toml:"privileged_ports"`
		Reuse           bool      `toml:"reuse"`
		Destination     *[]string `toml:"destination"`
		ReceiveFrom     *[]string `toml:"receive_from"`
		Multicast       []string  `toml:"multicast"`
		Local           bool      `toml:"local"`
		LinkLocal       bool      `toml:"link_local"`
		Broadcast       bool      `toml:"broadcast"`
		DSCP            *[]int64  `toml:"dscp"`
		TTLMax          *int64    `toml:"ttl_max"`
	}
	fileLimits struct {
		Rate            *string `toml:"rate"`
		Bits            *string `toml:"bits"`
		Burst           *int64  `toml:"burst"`
		Excess          *string `toml:"excess"`
		Weight          *int64  `toml:"weight"`
		Sessions        *int64  `toml:"sessions"`
		Sockets         *int64  `toml:"sockets"`
		Memberships     *int64  `toml:"memberships"`
		Inflight        *int64  `toml:"inflight"`
		Memory          *string `toml:"memory"`
		Destinations    *int64  `toml:"destinations"`
		NewDestinations *string `toml:"new_destinations"`
		Size            *int64  `toml:"size"`
		Fragments       *bool   `toml:"fragments"`
	}
)
