// SPDX-License-Identifier: Apache-2.0

// Package send is the way of an operation from its destination to its completion: the flow that knows how to get there, the
// queue that builds its frames, the kick that makes the kernel transmit them, and the completions that come back. It knows
// nothing of receiving and of how an interface is opened.
package send
