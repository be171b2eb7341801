// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Vm runs commands in guests with other kernels and network cards, see docs/testing.md. scripts/vm/run and
// scripts/vm/suite start it.
package main
