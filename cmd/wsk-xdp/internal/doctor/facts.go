// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// Facts is what was found out.
type Facts struct {
	Host      host.Info      `json:"host"`
	Privilege PrivilegeFacts `json:"privilege"`
	SocketFacts
	UserNS    Answer          `json:"afxdp_in_user_namespace"`
	Trial     *TrialFacts     `json:"trial,omitempty"`
	Interface *InterfaceFacts `json:"interface,omitempty"`
	Rules     *RuleFacts      `json:"rules,omitempty"`
	Path      *PathFacts      `json:"path,omitempty"`
	Proof     *Proof          `json:"proof,omitempty"`
	Others    []OtherFacts    `json:"other_interfaces,omitempty"`
}

// SocketFacts is what AF_XDP sockets can do, as far as it shows without an interface.
type SocketFacts struct {
	AFXDP    Answer `json:"afxdp_socket"`
	TxBudget Answer `json:"tx_budget"`
	Metadata Answer `json:"tx_metadata"`
	BusyPoll Answer `json:"busy_poll"`
}

var errNotAsked = errors.New("not asked: no AF_XDP socket to ask with")

func socketFacts() SocketFacts {
	f := SocketFacts{answer(xdp.ProbeAFXDP()), answer(errNotAsked), answer(errNotAsked), answer(errNotAsked)}
	if f.AFXDP.Yes() {
		f.TxBudget, f.Metadata, f.BusyPoll = answer(xdp.ProbeTxBudget()), answer(xdp.ProbeTxMetadata()), answer(xdp.ProbeBusyPoll())
	}
	return f
}

// PrivilegeFacts is what the process holds, and what it would need.
type PrivilegeFacts struct {
	UID      int  `json:"uid"`
	NetRaw   bool `json:"cap_net_raw"`
	NetAdmin bool `json:"cap_net_admin"`
	// Policies is why the IPsec policies can't be read, empty if they can: without knowing them AF_XDP does not send.
	Policies      string `json:"ipsec_policies_unreadable,omitempty"`
	BPF           bool   `json:"cap_bpf"`
	PerfMon       bool   `json:"cap_perfmon"`
	IPCLock       bool   `json:"cap_ipc_lock"`
	InitialUserNS bool   `json:"initial_user_namespace"`
	OwnNetNS      bool   `json:"owns_network_namespace"`
	// Memlock is absent where there is no limit or it does not count.
	Memlock     uint64 `json:"memlock_bytes,omitempty"`
	MemlockNeed uint64 `json:"memlock_needed_bytes_per_queue"`
	Unlimited   bool   `json:"memlock_unlimited"`
}

// programs says whether this process may load the XDP program that receives, and that drivers want for zero-copy.
func (p *PrivilegeFacts) programs() bool { return p.NetAdmin && p.BPF && p.PerfMon }

// receivesStrictly says that this process may load the program all the same, without CAP_PERFMON, as was tried.
func (f *Facts) receivesStrictly() bool {
	p := &f.Privilege
	return p.NetAdmin && p.BPF && !p.PerfMon && f.Trial != nil && f.Trial.Where == trialHere && f.Trial.Error == "" && f.Trial.Program.Yes()
}

// InterfaceFacts is what is known about the interface.
type InterfaceFacts struct {
	Name      string `json:"name"`
	Index     int    `json:"index"`
	Kind      string `json:"kind"`
	Driver    string `json:"driver,omitempty"`
	Version   string `json:"driver_version,omitempty"`
	Firmware  string `json:"firmware,omitempty"`
	Bus       string `json:"bus,omitempty"`
	MTU       int    `json:"mtu_bytes"`
	Up        bool   `json:"up"`
	Carrier   bool   `json:"carrier"`
	OperState string `json:"operational_state"`
	Ethernet  bool   `json:"ethernet"`

	// Obstacle is why AF_XDP can't send through the interface, whatever the destination is.
	Obstacle string `json:"afxdp_obstacle,omitempty"`

	TxQueues      int    `json:"tx_queues"`
	RxQueues      int    `json:"rx_queues"`
	QueuesExact   bool   `json:"queues_exact"`
	QueuesSource  string `json:"queues_source"`
	TxRing        uint32 `json:"nic_tx_ring,omitempty"`
	RxRing        uint32 `json:"nic_rx_ring,omitempty"`
	XDPFeatures   string `json:"xdp_features,omitempty"`
	XSKFeatures   string `json:"xsk_features,omitempty"`
	FeaturesKnown bool   `json:"features_known"`
	Native        bool   `json:"native_xdp"`
	ZeroCopy      bool   `json:"zero_copy_advertised"`
	// FlowHash names the fields by which UDP over IPv4 is spread over the receive queues, in the letters of ethtool -N;
	// empty: not known.
	FlowHash      string `json:"udp4_flow_hash,omitempty"`
	FlowHashPorts bool   `json:"udp4_flow_hash_has_ports,omitempty"`
	// Tried are the answers of binds that were tried, absent without --try.
	Tried *TriedFacts `json:"tried,omitempty"`
	// TakenQueues are those that an AF_XDP socket holds, as netdev-genl or sock_diag reports; TakenKnown is whether
	// these are all.
	TakenQueues []int `json:"queues_taken"`
	TakenKnown  bool  `json:"queues_taken_known"`
	// Holders are the sockets that hold them, and the processes that have these; HoldersKnown is whether these are all.
	Holders      []HolderFacts `json:"queue_holders"`
	HoldersKnown Answer        `json:"queue_holders_known"`
	// Sockets is the number of AF_XDP sockets in the network namespace; −1: not known. Candidates are processes with
	// such sockets, there or in another namespace, for which the kernel does not say what they hold.
	Sockets      int            `json:"afxdp_sockets"`
	Candidates   []ProcessFacts `json:"afxdp_processes,omitempty"`
	held         nic.Holders    // the same, for words
	Program      *Program       `json:"xdp_program,omitempty"`
	Master       string         `json:"master,omitempty"`
	MasterKind   string         `json:"master_kind,omitempty"`
	Lower        string         `json:"lower_interface,omitempty"`
	Peer         string         `json:"veth_peer,omitempty"`
	PeerNAPI     bool           `json:"veth_peer_napi,omitempty"`
	SSH          bool           `json:"ssh_session_on_it"`
	DefaultRoute bool           `json:"default_route_on_it"`
}

// HolderFacts is an AF_XDP socket on a queue. Processes is empty where /proc does not show them to this process.
type HolderFacts struct {
	Queue     uint32         `json:"queue"`
	Inode     uint32         `json:"socket_inode"`
	UID       uint32         `json:"uid"`
	Processes []ProcessFacts `json:"processes"`
}

// ProcessFacts is a process.
type ProcessFacts struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
}

// TriedFacts are the answers of binds on queue 0.
type TriedFacts struct {
	// WithProgram is whether an XDP program that passes everything was attached for it, as the datapath does; LinkDown
	// for how many milliseconds the link was away then.
	WithProgram bool   `json:"with_xdp_program"`
	LinkDown    int64  `json:"link_down_ms"`
	ZeroCopy    Answer `json:"zero_copy"`
	MultiBuffer Answer `json:"multi_buffer"`
}

// Program is an XDP program that is attached.
type Program struct {
	ID   uint32 `json:"id"`
	Name string `json:"name,omitempty"` // known with privilege only
	Mode string `json:"mode"`
}

// OtherFacts is what one line says about an interface that was not asked about.
type OtherFacts struct {
	Name     string `json:"name"`
	Driver   string `json:"driver,omitempty"`
	Up       bool   `json:"up"`
	Native   bool   `json:"native_xdp"`
	ZeroCopy bool   `json:"zero_copy_advertised"`
}
