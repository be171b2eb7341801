// SPDX-License-Identifier: Apache-2.0

// Package policy says who may send and receive what through the daemon: a TOML file becomes an immutable [Policy], which
// finds the one [Grant] of a user and answers questions about addresses, ports and sizes from prefix tables. It does no
// I/O.
//
// # The file
//
//	version = 1
//
//	[interface.eth0]          # an interface without such a table is never used, whatever the routes say
//	queues = 2                # default 1
//	mode = "auto"             # or "zerocopy", "copy"
//	receive = true            # false: nothing is redirected to the daemon
//	spread = false
//
//	[defaults]                # limits of every grant that does not have its own
//	rate = "200kpps"
//
//	[[deny]]
//	name = "guests"
//	group = "guests"
//
//	[[allow]]
//	name = "telemetry"
//	user = "telemetry"
//	interface = ["eth0"]
//	source = ["10.1.2.3", "interface"]
//	source_port = ["20000-20999", "ephemeral"]
//	destination = ["10.0.0.0/8", "2001:db8::/32:53,8000-8099"]
//
// Nothing is allowed that is not written down, to root neither. [[allow]] and [[deny]] are looked at in the order of the
// file, and the first that matches decides alone: a user has one grant. A key that is not in the tables below, a name that
// cannot be resolved and a line that could never grant anything are errors.
//
// Who is meant, in [[allow]] and [[deny]]; at least one, and all that are given must match:
//
//	user, uid          the user, by name or number
//	group, gid         a group of the user, by name or number
//	unit               a unit of the host's systemd that the process is in: its service or scope, like "telemetry.service"
//	                   or "worker@1.service", or a slice around that
//	listener           the name of the socket through which the client has come
//
// What a user's own systemd or a container starts is in the unit of that: "user@1000.service", or the container's scope.
// A client whose unit cannot be found where a rule asks for it is refused, whatever the rules after it say.
//
// What is granted, in [[allow]]:
//
//	name               required in [[deny]] too, and given once: letters, digits and ._- for logs and metrics
//	interface          default: all of the file
//	source             local addresses and prefixes; "interface" is every address of a granted interface. Default
//	                   ["interface"]
//	source_port        ports, ranges, and "ephemeral" for 49152-65535. Default ["ephemeral"]
//	privileged_ports   true: source_port may name ports below 1024
//	reuse              true: the socket may share its address
//	destination        required; PREFIX[:PORTS], with ports like 53,8000-8099. An IPv6 address without /BITS that has
//	                   ports stands in brackets. [] grants no destination
//	receive_from       whose datagrams are delivered, in the same form. Default: what destination says; [] is nothing
//	multicast          groups to join and to send to, in the same form
//	local              true: also addresses of this host and loopback, as far as destination covers them
//	link_local         true: also 169.254.0.0/16 and fe80::/10, as far as destination covers them
//	broadcast          true: also broadcast addresses, as far as destination covers them
//	dscp               values of the upper six bits of TOS or traffic class. Default: all
//	ttl_max            1 to 255, the default
//
// Of several prefixes in one list, a datagram needs one that covers it; a longer prefix takes nothing away.
//
// Limits, in [[allow]] and [defaults], for all sessions of a grant together:
//
//	rate               datagrams a second: "200kpps" (the default), "1Mpps", "unlimited"
//	bits               bits a second, headers included: "1Gbit". Default "unlimited"
//	burst              datagrams that may leave at once after a pause: 1 to 1048576, default 4096
//	excess             "wait" (default): what is over the rate waits; "refuse": it fails
//	weight             share of a queue that is contended: 1 (default) to 64
//	sessions           clients that are connected, of which one user may be 16: 1 to 65536, default 64
//	sockets            1 to 65536, default 8
//	memberships        groups joined, each on an interface, by all sockets: 0 to 65536, default 64
//	inflight           datagrams under way: 1 to 65536, default 4096
//	memory             "16MiB" (the default)
//	destinations       different destinations in use: 1 to 1048576, default 1024
//	new_destinations   "1000/s" (the default)
//	size               largest payload: 0 to 65527, the default
//	fragments          true (default): payloads that do not fit into one packet are sent
//
// # Concurrency
//
// A Policy and its grants never change and may be used by any goroutine. [Current] holds the one in force; a reload puts
// another one in its place, or fails and leaves it. [Grant.Admit], [Grant.Receives] and [Grant.Datagram] take no lock and
// allocate nothing.
package policy
