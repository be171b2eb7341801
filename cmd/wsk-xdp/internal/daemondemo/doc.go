// SPDX-License-Identifier: Apache-2.0

// Package daemondemo shows the daemon at work in a laboratory of its own, and verifies what it shows.
//
//	namespace A                                         namespace B
//	daemon, a user of its own with five capabilities ── veth ── two UDP sockets of the kernel
//	  ▲ Unix socket
//	  ├── program of user one      granted: sends and receives, IPv4 and IPv6, with TTL, TOS and pktinfo
//	  ├── program of user two      granted the same
//	  └── program of user three    refused: policy.not_granted
//
// The programs have no capability, and no network: they are started in the namespace that the demo was started in. Daemon
// and programs are this binary again.
package daemondemo
