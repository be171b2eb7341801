// SPDX-License-Identifier: Apache-2.0

// Package capture reads capture files, pcap and pcapng, as streams, of either byte order and of any size, and writes pcap.
//
// Whatever a file says, a reader holds one record (256 KiB at most), a buffer of 64 KiB, and 32 bytes for each of up to
// 4,096 interfaces. That, and link types that are wider than 16 bits because they say something about the frame check
// sequence, is why it is not package pcapgo: that one keeps name resolution blocks, secrets and any number of interfaces
// in memory. The tests have it as the judge.
package capture
