// SPDX-License-Identifier: Apache-2.0

package wire

// mutate changes bytes of a frame, or its length.
func (g *generator) mutate(c *Case) {
	i := g.r.IntN(len(c.Frames))
	f := c.Frames[i]
	switch g.r.IntN(4) {
	case 0:
		f = f[:min(len(f), max(14, g.r.IntN(len(f)+1)))]
	case 1:
		for len(f) < 1500 && !g.one(20) {
			f = append(f, byte(g.r.Uint32()))
		}
	default:
		for range 1 + g.r.IntN(4) {
			at := g.r.IntN(min(len(f), 80))
			if g.one(2) {
				f[at] ^= 1 << g.r.IntN(8)
			} else {
				f[at] = byte(g.r.Uint32())
			}
		}
	}
	c.Frames[i] = f
}

// shuffle changes the order of fragments, sends one twice or none of one.
func (g *generator) shuffle(c *Case) {
	switch i := g.r.IntN(len(c.Frames)); g.r.IntN(3) {
	case 0:
		g.r.Shuffle(len(c.Frames), func(i, j int) { c.Frames[i], c.Frames[j] = c.Frames[j], c.Frames[i] })
	case 1:
		c.Frames = append(c.Frames, c.Frames[i])
	case 2:
		c.Frames = append(c.Frames[:i:i], c.Frames[i+1:]...)
	}
}
