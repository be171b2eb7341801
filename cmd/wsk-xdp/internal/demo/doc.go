// SPDX-License-Identifier: Apache-2.0

// Package demo shows the product at work in a laboratory of its own, and verifies everything that it shows: what the
// kernel's UDP stack and an independent AF_XDP receiver got, against what was sent.
//
//	doctor → lab → neighbour unknown → IPv4 and IPv6 of all sizes → AF_XDP peer → blast → failures → clean up
//
// Each step opens and closes a session of its own, as a command of the user would.
package demo
