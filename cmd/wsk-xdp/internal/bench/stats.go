// SPDX-License-Identifier: Apache-2.0

package bench

// rate is packets per second; thrift is packets per second of CPU time, which other work on the machine disturbs least.
func rate(m *measured) float64 { return m.pps }

func thrift(m *measured) float64 {
	if m.cpuNs <= 0 {
		return 0
	}
	return 1e9 / m.cpuNs
}

func (one *comparison) find(name string) *contestant {
	for _, who := range one.contestants {
		if who.name == name {
			return who
		}
	}
	return nil
}
