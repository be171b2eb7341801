// SPDX-License-Identifier: Apache-2.0

// Package send sends one or a few datagrams and reports on each IRP.
package send
