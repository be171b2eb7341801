// SPDX-License-Identifier: Apache-2.0

// Package icmp hears the ICMP errors that come back to WSK sockets, and says what they mean to who sent.
package icmp
