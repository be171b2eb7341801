// SPDX-License-Identifier: Apache-2.0

// Package scale measures what sending costs as things grow: destinations, sockets, changes of routes, routes.
//
// A point (point.go) is one combination of these. Each has the engines send 18 bytes to destinations taken at random, in
// a process of its own (child.go, engines.go), from one interface through one gateway, behind which an XDP program counts
// and drops them (world.go). In each round every engine runs at every point, every other round in reverse (rounds.go): so
// an engine can be compared with another at the same point, and with itself at the first point.
package scale
