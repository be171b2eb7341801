// SPDX-License-Identifier: Apache-2.0

// Package wire sends the same frames to two hosts that are alike, one with WSK sockets over XDP receive, one with sockets of the
// kernel's, and compares what is delivered.
//
//	                 ┌─► wsk1 ═ veth ═ wsk0 ─► XDP program ─► WSK sockets ──┐
//	generator ─ both ┤                                                      ├─► the same: payload, source, destination,
//	                 └─► wsk1 ═ veth ═ wsk0 ─► kernel ─► kernel's sockets ──┘    interface, TTL, TOS
//
// The frames are valid, mutated and hostile, by chance from a seed: lengths, checksums, fragments, options, extension headers, tags,
// addresses that no wire should show, other stations' MAC addresses, cuts. They go in batches of cases, each of one or more frames.
// Behind a batch goes a barrier for each socket and each way to it, so that all of the batch has had its chance when the barriers have
// arrived, and no ring runs over. What may differ is a written list ([Differences]), each with its reason; any other difference is
// looked for case by case, and the smallest number of frames that shows it is printed.
package wire
