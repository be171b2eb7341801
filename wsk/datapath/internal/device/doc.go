// SPDX-License-Identifier: Apache-2.0

// Package device is the interfaces of a datapath: their queues, the mode that each gets, the XDP programs on them, their
// carrier, and how they go and come back.
package device
