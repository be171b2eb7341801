// SPDX-License-Identifier: Apache-2.0

// Package peer is the daemon's end of a client's connection: messages in both directions, of which no sending waits,
// and who the client is by the word of the kernel.
package peer
