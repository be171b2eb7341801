// SPDX-License-Identifier: Apache-2.0

package report

import (
	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// leastBar is the end of the first step of a histogram; each step is twice as long as the one before it.
const leastBar = int64(1000)

// maxHDR bounds the text of a histogram: one of ours is a few kilobytes.
const maxHDR = 1 << 20

// histogram draws the text of an HdrHistogram. It adds nothing where there is none, or what is none.
func (d *Document) histogram(title, text string) {
	if text == "" || len(text) > maxHDR {
		return
	}
	h, err := hdr.Decode([]byte(text))
	if err != nil || h.TotalCount() == 0 {
		return
	}
	out := Histogram{Title: title}
	next := Bar{To: leastBar}
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		for bar.From >= next.To {
			if len(out.Bars) > 0 || next.N > 0 {
				out.Bars = append(out.Bars, next)
			}
			next = Bar{From: next.To, To: 2 * next.To}
			if next.To <= next.From { // longer than times are
				return
			}
		}
		next.N += uint64(bar.Count)
	}
	out.Bars = append(out.Bars, next)
	d.Histograms = append(d.Histograms, out)
}
