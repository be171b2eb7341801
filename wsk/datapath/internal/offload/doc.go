// SPDX-License-Identifier: Apache-2.0

// Package offload keeps who may compute UDP checksums: what a socket was granted, and what has been proved. A proof sends
// two datagrams whose checksum is left open, and reads in the ICMP errors of the first hop what arrived. The package sends
// nothing itself and knows no queue.
package offload
