// SPDX-License-Identifier: Apache-2.0

// Package daemon is wsk-xdp daemon: it owns NIC queues and lets other programs send and receive through them, under a
// policy (package service). Here is what makes a daemon of that: its settings and sockets, what systemd wants to know, how
// an operator looks at it, and how it ends.
//
//	Load ──► settings, policy ──► Run: datapath, server, sockets ──► READY=1 ──► … ──► STOPPING=1, drain, close
//	            └── daemon --check ends here
//
// While it runs, a SIGHUP or POST /v1/reload has the policy read again (policy.go); one goroutine asks whether queues
// move, and the watchdog of systemd is told only then (health.go); the admin socket answers with documents and metrics
// (admin.go, metrics.go).
package daemon
