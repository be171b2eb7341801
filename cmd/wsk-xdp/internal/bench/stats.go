// SPDX-License-Identifier: Apache-2.0

package bench

// pairRatios are the ratios of a figure of two contestants, round by round. Rounds in which one of them failed give none.
func pairRatios(a, b *contestant, figure func(*measured) float64) []float64 {
	var out []float64
	for i := range min(len(a.runs), len(b.runs)) {
		if a.runs[i] != nil && b.runs[i] != nil && figure(b.runs[i]) > 0 {
			out = append(out, figure(a.runs[i])/figure(b.runs[i]))
		}
	}
	return out
}

// rate is packets per second; thrift is packets per second of CPU time, which other work on the machine disturbs least.
func rate(m *measured) float64 { return m.pps }

func thrift(m *measured) float64 {
	if m.cpuNs <= 0 {
		return 0
	}
	return 1e9 / m.cpuNs
}

// values collects one figure of all good runs.
func (who *contestant) values(figure func(*measured) float64) []float64 {
	var out []float64
	for _, m := range who.runs {
		if m != nil {
			out = append(out, figure(m))
		}
	}
	return out
}

func (one *comparison) find(name string) *contestant {
	for _, who := range one.contestants {
		if who.name == name {
			return who
		}
	}
	return nil
}
