// SPDX-License-Identifier: Apache-2.0

package liveframes

// Run scripts/generate.sh rather than this line alone: it picks the compiler and records what the objects were made from.
//go:generate go tool bpf2go -output-dir=$WSKXDP_OUT -go-package=liveframes -no-global-types -type live_stamp -type live_plan -type live_state -type live_size -type live_digits -target bpfel,bpfeb wsklive wsklive.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Werror -I../../../../bpf/headers
