// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Load is the machine in reports of measurements, and how busy it was: the load average of one minute before and after.
type Load struct {
	Info
	CPUModel   string  `json:"cpu_model"`
	LoadBefore float64 `json:"load_before"`
	LoadAfter  float64 `json:"load_after"`
}

// Measured describes the machine after a measurement, before which its load average was so much.
func Measured(before float64) Load {
	return Load{Info: Describe(), CPUModel: CPUModel(), LoadBefore: before, LoadAfter: LoadAverage()}
}

// Line is the machine in the last line of a report.
func (l *Load) Line() string {
	return fmt.Sprintf("linux %s · %s · %s · load %.2f before, %.2f after", l.Kernel, units.Plural(l.CPUs, "CPU"), l.Go, l.LoadBefore, l.LoadAfter)
}

// LoadAverage is that of the last minute, 0 if it can't be read.
func LoadAverage() float64 {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(raw), " ")
	v, _ := strconv.ParseFloat(first, 64)
	return v
}

// CPUModel is empty where /proc/cpuinfo names none.
func CPUModel() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
