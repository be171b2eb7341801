// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Agent is the first process of a guest: it mounts what there is to mount, loads modules, runs the commands of its job,
// reports on a serial port, and switches the guest off. It is of no use anywhere else, and refuses to run there.
package main
