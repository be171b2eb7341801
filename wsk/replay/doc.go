// SPDX-License-Identifier: Apache-2.0

// Package replay consists of tests only: the call sequences of real clients of Winsock Kernel, written as Go programs
// and run over the AF_XDP datapath against the UDP stack of a Linux kernel in another network namespace.
//
// The programs keep the habits of the clients, which go beyond what the documents promise: addresses, control data and
// WSK_BUF on a stack that is gone when the call returns, IRPs embedded in what the completion routine frees, clean-up
// in the routine whatever the call returned, event callbacks that cut lists apart and overwrite Next.
//
//	msquic          static callbacks, one dual-stack socket for both versions, USO, ECN, ICMP errors  msquic_*_test.go
//	wireguard-nt    two sockets on one port, MDL chains, retained indications, roaming                wireguard_*_test.go
//	ovpn-dco-win    dynamic callback, fixed remote address, set-up that frees its IRP at once         ovpn_*_test.go
//	Songcast        a chain of completion routines, multicast                                         songcast_test.go
//	VNIC            a send that is passed again from its own completion                               short_test.go
//	libwsk          blocking calls that time out by IoCancelIrp                                       short_test.go
//	KSOCKET         blocking calls with every optional argument NULL                                  short_test.go
//
// Each runs twice: once everything arrives through the companion sockets, which needs no root, and once through an XDP
// program. Every IRP goes through an audit (audit_test.go): it completes exactly once, PendingReturned says what the
// call returned, and a call that did not return STATUS_PENDING had completed it.
package replay
