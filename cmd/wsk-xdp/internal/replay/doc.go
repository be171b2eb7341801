// SPDX-License-Identifier: Apache-2.0

// Package replay sends the frames of a capture file as they were captured, with the sender of package frames.
//
//	Survey: what is in the file, what of it can be sent, how fast it would be      once, before anything is sent
//	Feed: file ──► blocks, read ahead by a goroutine ──► frames.Run                round by round
//
// Memory does not depend on the file: four blocks of 256 KiB, with their indexes, and what a capture.Reader has.
package replay
