// SPDX-License-Identifier: Apache-2.0

package wire

import "math/rand/v2"

// mutate changes bytes of a frame, or its length.
func mutate(r *rand.Rand, c *Case) {
	i := r.IntN(len(c.Frames))
	f := c.Frames[i]
	switch r.IntN(4) {
	case 0:
		f = f[:min(len(f), max(14, r.IntN(len(f)+1)))]
	case 1:
		for len(f) < 1500 && r.IntN(20) != 0 {
			f = append(f, byte(r.Uint32()))
		}
	default:
		for range 1 + r.IntN(4) {
			at := r.IntN(min(len(f), 80))
			if r.IntN(2) == 0 {
				f[at] ^= 1 << r.IntN(8)
			} else {
				f[at] = byte(r.Uint32())
			}
		}
	}
	c.Frames[i] = f
}

// shuffle changes the order of fragments, sends one twice or none of one.
func shuffle(r *rand.Rand, c *Case) {
	switch i := r.IntN(len(c.Frames)); r.IntN(3) {
	case 0:
		r.Shuffle(len(c.Frames), func(i, j int) { c.Frames[i], c.Frames[j] = c.Frames[j], c.Frames[i] })
	case 1:
		c.Frames = append(c.Frames, c.Frames[i])
	case 2:
		c.Frames = append(c.Frames[:i:i], c.Frames[i+1:]...)
	}
}
