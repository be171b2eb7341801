// SPDX-License-Identifier: Apache-2.0

// Package session is a WSK client as the commands need it: it looks up the way to a destination, opens the datapath and
// its AF_XDP sockets, registers, makes and binds WSK sockets, and says what the kernel granted.
//
//	survey (route tables) ──► datapath.Open ──► client.Open ──► WskSocket, WskBind ──► send …
//	Close: WskCloseSocket ──► ReleaseProviderNPI, Deregister ──► datapath.Close
package session
