// SPDX-License-Identifier: Apache-2.0

// Package companion is the half of an endpoint that lives in the kernel: the UDP socket on its address and port, which keeps
// the port from everybody else, receives what no XDP program takes, hears of ICMP errors and sends what AF_XDP does not reach.
package companion
