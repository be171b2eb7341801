// SPDX-License-Identifier: Apache-2.0

// Package memlock loads BPF programs and maps on kernels before 5.11, which count them against RLIMIT_MEMLOCK: even root's
// usual 64 KiB are too little there. Later kernels count them against the memory cgroup, and nothing happens here.
package memlock
