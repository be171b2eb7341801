// SPDX-License-Identifier: Apache-2.0

// Package nic asks the kernel about a network interface.
package nic
