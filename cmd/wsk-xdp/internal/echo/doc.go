// SPDX-License-Identifier: Apache-2.0

// Package echo sends datagrams back to where they came from, from the address that they were sent to.
//
// What answers strangers can be made to answer somebody who has not asked, or another one like itself for ever, by
// datagrams with a forged source. So it answers pings only (package stamp), marks its answers, and answers none of those;
// a Rule says what else it leaves alone. Two engines read and write: the kernel's UDP sockets, and WSK sockets over AF_XDP.
package echo
