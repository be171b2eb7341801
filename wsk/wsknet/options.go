// SPDX-License-Identifier: Apache-2.0

package wsknet

import (
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// Options of a stack. The zero value is the stack that the functions of the package share.
type Options struct {
	// Datapath is what sends and receives within the process. Its zero value serves the network namespace of the calling
	// thread, sends through AF_XDP, and receives through the kernel unless Datapath.Receive names interfaces. Datapath.StandIn is
	// set unless Conn.Strict is: what is written while a queue is being opened does not wait for it.
	Datapath datapath.Options
	// Daemon has a daemon send and receive instead (wsk-xdp daemon), which takes no capabilities. Datapath is not used
	// then. The daemon is asked by the first connection, not by Open.
	Daemon *client.Options
	// Conn are the options of every connection.
	Conn netconn.Options
}
