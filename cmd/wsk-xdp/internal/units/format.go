// SPDX-License-Identifier: Apache-2.0

package units

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Grouped writes a number with a comma between groups of three digits.
func Grouped(v uint64) string {
	digits := strconv.FormatUint(v, 10)
	out := make([]byte, 0, len(digits)+len(digits)/3)
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return string(out)
}

// PacketRate writes packets per second with three decimals of the unit that fits, and no more than it takes below a thousand.
func PacketRate(pps float64) string { return scaled(pps, "pps") }

// BitRate writes bits per second with the unit that fits.
func BitRate(bps float64) string { return scaled(bps, "bit/s") }

func scaled(v float64, unit string) string {
	switch {
	case v >= 1e9:
		return fmt.Sprintf("%.3f G%s", v/1e9, unit)
	case v >= 1e6:
		return fmt.Sprintf("%.3f M%s", v/1e6, unit)
	case v >= 1e3:
		return fmt.Sprintf("%.3f k%s", v/1e3, unit)
	}
	decimals := 3
	if v < 0.1 {
		decimals = 6 // a rate is in millionths of a packet
	}
	digits := strconv.FormatFloat(v, 'f', decimals, 64)
	return strings.TrimRight(strings.TrimRight(digits, "0"), ".") + " " + unit
}

// Nanoseconds writes a short time with two or three significant digits: 850ns, 18µs, 2.1ms, 1.53s.
func Nanoseconds(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", ns)
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.1fµs", float64(ns)/1e3)
	case d < time.Millisecond:
		return fmt.Sprintf("%.0fµs", float64(ns)/1e3)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(ns)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.0fms", float64(ns)/1e6)
	}
	return fmt.Sprintf("%.2fs", d.Seconds())
}

// Bytes writes a size in binary units.
func Bytes(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// Plural writes a count and its noun, with an s behind it unless the count is 1.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Grouped(uint64(n)) + " " + noun + "s"
}
