// SPDX-License-Identifier: Apache-2.0

// Package unit runs a program as a systemd unit would: with its capabilities, and under a seccomp filter made of its
// SystemCallFilter= and RestrictAddressFamilies= lines, so that a test can tell whether the unit grants what the program
// needs. systemd itself need not run.
//
//	Read ──► Capabilities          for the SysProcAttr of a child
//	     └─► Filter ──► String     for the child's environment
//	                                  child: ParseFilter ──► Exec, which becomes the program under the filter
//
// What the groups of system calls (@system-service) have in them is asked of systemd-analyze, and the numbers of system
// calls are those of golang.org/x/sys.
package unit
