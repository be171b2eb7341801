// SPDX-License-Identifier: Apache-2.0

package bpf

// Run scripts/generate.sh rather than this line alone: it picks the compiler and records what the objects were made from.
//go:generate go tool bpf2go -output-dir=$WSKXDP_OUT -no-global-types -type wskxdp_reason -type wskxdp_flag -type wskxdp_kind -type wskxdp_key -target bpfel,bpfeb wskxdp wskxdp.c -- -O2 -g -mcpu=v2 -Wall -Wextra -Werror
