// SPDX-License-Identifier: Apache-2.0

// Package wsktest has a transport in memory for testing what is written against package wsk, without privilege and on
// any OS. It records every datagram as it would leave. Where a test wants to see operations pending it delays them:
// they wait, and can be cancelled, or they are with the kernel, and can't. Datagrams come in by Arrive, or by Loop from
// what the sockets of the same transport send. What has been lent and not given back is counted, and overwritten once
// it is given back.
//
//	transport := wsktest.New()
//	subsystem := new(wsk.Subsystem)
//	subsystem.Attach(transport, wsk.ProviderOptions{})
//	… register, capture, make a socket, bind, send …
//	datagrams := transport.Datagrams()
package wsktest
