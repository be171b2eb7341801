// SPDX-License-Identifier: Apache-2.0

// Command wsk-xdp sends UDP datagrams past the kernel's network stack, through AF_XDP sockets driven by the WSK
// datagram API, and says what a machine can do of that.
//
//	wsk-xdp demo                 everything in a few seconds, in a laboratory of its own; no root needed
//	wsk-xdp doctor [IFACE] [DST[:PORT]] what this machine and interface can do, what will carry a datagram to DST, and what to do about the rest
//	wsk-xdp lab up|down|status   two network namespaces with a veth pair between them
//	wsk-xdp send DST:PORT        one or a few datagrams, every IRP reported
//	wsk-xdp blast DST:PORT       datagrams at a rate, with completion latency and cost
//	wsk-xdp replay FILE          the frames of a capture file, at their own times, at a rate or at top speed
//	wsk-xdp recv [ADDR]:PORT     what arrived of them: received, lost, duplicate, reordered, late, corrupt
//	wsk-xdp ping DST:PORT        round trips by a schedule: their times, and what was lost, late, doubled, reordered
//	wsk-xdp echo [ADDR]:PORT     what answers them
//	wsk-xdp bench                ways to send the same datagrams, compared: rates, latency, receiving, footprint, growth
//	wsk-xdp daemon               the queues for programs without privileges, under a policy
//	wsk-xdp status|stats|clients|reload|explain   what it does, who uses it, a new policy, and what a refusal means
//	wsk-xdp report FILE...       reports again, as a page with drawings, or two compared
//	wsk-xdp man [COMMAND]        the manual page of a command, made of what its --help says
//	wsk-xdp completion SHELL     completion for bash, zsh or fish
//	wsk-xdp version              what this is, for a report of a bug
//
// Results go to standard output, diagnostics to standard error. Exit codes: 0 done (also when interrupted), 1
// something failed, 2 wrong command line, 3 not possible on this machine, interface or for this user, 4 a figure is
// beyond a threshold that was set.
package main
