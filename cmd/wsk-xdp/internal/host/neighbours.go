// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// NeighbourTableFulls is how often the kernel has refused a neighbour because its table was full, 0 where it does not
// say: /proc/net/stat is in the first network namespace only, and so is the limit, which goes for all namespaces.
func NeighbourTableFulls(is4 bool) uint64 {
	return tableFulls("/proc/net/stat", is4)
}

// tableFulls adds up the column table_fulls, in hexadecimal digits, over the lines of the processors.
func tableFulls(dir string, is4 bool) (sum uint64) {
	name := "ndisc_cache"
	if is4 {
		name = "arp_cache"
	}
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0
	}
	header, rows, _ := strings.Cut(string(raw), "\n")
	column := slices.Index(strings.Fields(header), "table_fulls")
	for row := range strings.Lines(rows) {
		if words := strings.Fields(row); column >= 0 && column < len(words) {
			n, _ := strconv.ParseUint(words[column], 16, 64)
			sum += n
		}
	}
	return sum
}
