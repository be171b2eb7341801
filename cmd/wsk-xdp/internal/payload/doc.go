// SPDX-License-Identifier: Apache-2.0

// Package payload makes the payload of datagrams from what the command line says.
package payload
