// SPDX-License-Identifier: Apache-2.0

// Package receive is the way of a frame from the RX ring of a queue to the endpoint that it is for. It knows nothing of
// sending, of companion sockets and of how a program gets onto an interface.
package receive
