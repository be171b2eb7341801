// SPDX-License-Identifier: Apache-2.0

// Package tally accounts for the packets of blast in an XDP program, which drops them: for rates above what reaches user space. What became
// of a number is found out as package account does.
//
//	packet ──► wsktally: run ──► slot ──► stream ──► window        Open, Begin, Found
//	                      │                 └──► Run.Counts, when somebody asks
//	                      └──► a run that has ended: Late ──► Run.Take
//
// A run has a slot from its first packet, or from Begin, to Release; its streams have windows. There are so many slots and so many windows,
// all of which the kernel has from the beginning. What there is none left for is counted: Foreign, Refused.
package tally
