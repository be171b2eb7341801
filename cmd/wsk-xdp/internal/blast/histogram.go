// SPDX-License-Identifier: Apache-2.0

package blast

import hdr "github.com/HdrHistogram/hdrhistogram-go"

// HDR are histograms of a run.
type HDR struct {
	Completion string `json:"completion"`
}

// histogramOf is a histogram as text, nil where nothing was recorded.
func histogramOf(h *hdr.Histogram) *HDR {
	if h == nil || h.TotalCount() == 0 {
		return nil
	}
	text, err := h.Encode(hdr.V2CompressedEncodingCookieBase) // into memory, without fail
	if err != nil {
		return nil
	}
	return &HDR{Completion: string(text)}
}
