// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// expand fills in the placeholders of another program's command.
func expand(command string, c *Config, p *place, size int) string {
	cpu := -1
	if len(c.Pin) > 0 {
		cpu = c.Pin[0]
	}
	// Whole seconds that the sender has to go on for: start-up, warm-up and window, with room.
	seconds := int(math.Ceil((c.Warmup + c.Duration).Seconds())) + 2
	return strings.NewReplacer(
		"{if}", p.iface, "{duration}", strconv.Itoa(seconds), "{frame}", strconv.Itoa(size-fcsLen),
		"{queues}", strconv.Itoa(c.Queues), "{cpu}", strconv.Itoa(cpu),
	).Replace(command)
}

// fcsLen is the frame check sequence, which software does not write.
const fcsLen = 4

// declaredSyscalls is what another program says of itself in a JSON object on a line of its own, as the C yardstick
// does.
func declaredSyscalls(out []byte) (float64, bool) {
	for line := range bytes.Lines(out) {
		var said struct {
			PerPacket *float64 `json:"sys_per_pkt"`
		}
		if json.Unmarshal(line, &said) == nil && said.PerPacket != nil {
			return *said.PerPacket, true
		}
	}
	return 0, false
}
