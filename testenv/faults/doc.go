// SPDX-License-Identifier: Apache-2.0

// Package faults breaks what the datapath stands on, while datagrams flow, and asks for the account.
//
// Each [Fault] gets a laboratory, a datapath in namespace A, and a flow of numbered datagrams: from A through AF_XDP to a socket of the
// kernel's in B, or from a socket of the kernel's in B through AF_XDP to A. Beside it flows another from a socket of the
// kernel's to another, through the same interfaces: it says when the fault is over. The fault happens and ends; then
//
//   - every datagram that was sent with success has arrived, or somebody says that he has dropped it (package account);
//   - no IRP is pending;
//   - datagrams arrive again, hardly later than the kernel's own do, and of a last burst all do;
//   - no chunk, descriptor, mapping or goroutine is left when everything is closed.
package faults
