// SPDX-License-Identifier: Apache-2.0

package tally

// Run scripts/generate.sh rather than this line alone: it picks the compiler and records what the objects were made from.
//go:generate go tool bpf2go -output-dir=$WSKXDP_OUT -go-package=tally -no-global-types -type tally_config -type tally_slot -type tally_text -type tally_counts -type tally_totals -type tally_stream -type tally_late -type tally_windows -type tally_sent -type tally_times -type tally_address -target bpfel,bpfeb wsktally wsktally.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Werror -I../../../../bpf/headers
