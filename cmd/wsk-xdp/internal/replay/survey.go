// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/capture"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// File is what is in a capture file, as far as it was read.
type File struct {
	Format  string
	Records uint64
	// Frames of them are sent; the others are LeftOut.
	Frames  uint64
	LeftOut LeftOut
	// Bytes are those of the frames, Largest those of the longest, L2Bytes with FCS and padding, L1Bytes with preamble and
	// gap.
	Bytes, L2Bytes, L1Bytes uint64
	Largest                 int
	// Span is the time from the first frame to the last, Untimed how many bear no time, Backwards how many bear one before
	// that of a frame in front of them.
	Span               time.Duration
	Untimed, Backwards uint64
	// Groups are frames to several hosts.
	Groups uint64
	// Speed is how many times as fast as captured it is to be sent.
	Speed units.Factor

	// whether frames come faster than what is harmless anywhere, and whether those to groups do, as they were captured
	flood, groupFlood bool
}

// Lasts is how long a round takes at the speed.
func (f *File) Lasts() time.Duration { return f.Speed.Of(f.Span) }

// Pause is the time between the last frame of a round and the first of the next, as captured: the mean of those between
// frames.
func (f *File) Pause() time.Duration {
	if f.Frames < 2 {
		return 0
	}
	return f.Span / time.Duration(f.Frames-1)
}

// Flood is whether so many rounds, 0 for no end, at the times at which the frames were captured, or at the speed, come faster than what is
// harmless anywhere, all of them or those to groups.
func (f *File) Flood(rounds uint64) (all, groups bool) {
	often := func(n uint64) bool {
		return rounds != 1 && float64(n) > HarmlessRate*f.Speed.Of(f.Span+f.Pause()).Seconds()
	}
	return f.flood || often(f.Frames), f.groupFlood || f.Groups > 0 && often(f.Groups)
}

// What is harmless anywhere: so many frames a second, and at once after a pause as many as blast sends then.
const (
	HarmlessRate  = 100_000
	HarmlessBurst = HarmlessRate / 100
)

// checked is after how many records ctx is looked at, and progress told.
const checked = 4096

// Survey reads a file that is to be sent at a speed to its end, or until there are so many frames, 0 for all. at is told how much it has read, now and
// then.
func Survey(ctx context.Context, in io.Reader, rules *Rules, limit uint64, speed units.Factor, at func(records uint64)) (f File, err error) {
	r, err := capture.NewReader(in)
	if err != nil {
		return f, err
	}
	f.Format, f.Speed = r.Format(), speed
	times := clock{}
	all, groups := surge{}, surge{}
	for limit == 0 || f.Frames < limit {
		rec, err := r.Next()
		if errors.Is(err, capture.ErrEnds) {
			f.LeftOut.Unfinished = 1
			break
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return f, err
		}
		f.Records++
		if f.Records%checked == 0 {
			at(f.Records)
			if err := ctx.Err(); err != nil {
				return f, err
			}
		}
		if why := rules.judge(&rec); why != none {
			f.LeftOut.add(why, f.Records, &rec)
			continue
		}
		due, back := times.due(&rec)
		f.add(&rec, back)
		due = speed.Of(due)
		f.flood = all.add(due) || f.flood
		if rules.isGroup(rec.Data) {
			f.Groups++
			f.groupFlood = groups.add(due) || f.groupFlood
		}
	}
	f.Span = times.last
	return f, nil
}

// add counts a frame.
func (f *File) add(rec *capture.Record, back bool) {
	n := len(rec.Data)
	f.Frames++
	f.Bytes += uint64(n)
	f.L2Bytes += uint64(max(n+fcs, least))
	f.L1Bytes += uint64(max(n+fcs, least) + preamble)
	f.Largest = max(f.Largest, n)
	if !rec.Timed {
		f.Untimed++
	}
	if back {
		f.Backwards++
	}
}

// Mix is what the frames are on the wire.
func (f *File) Mix() blast.Mix {
	return blast.Mix{
		Packets: int(f.Frames), Payload: int(f.Bytes), L2Bytes: int(f.L2Bytes), L1Bytes: int(f.L1Bytes), Largest: f.Largest, Frames: 1,
	}
}

// Total is how many frames so many rounds are, limit at most; 0 is no end, for both and for the result.
func (f *File) Total(rounds, limit uint64) uint64 {
	total := uint64(0)
	if rounds > 0 {
		total = math.MaxUint64
		if f.Frames == 0 || rounds <= math.MaxUint64/f.Frames {
			total = rounds * f.Frames
		}
	}
	if limit > 0 && (total == 0 || limit < total) {
		return limit
	}
	return total
}

// clock makes times since the first frame, which never go back, from times of records.
type clock struct {
	begun       bool
	first, last time.Duration // the last since the first
}

// due is when a frame is to leave; back is whether it was captured before one in front of it.
func (c *clock) due(rec *capture.Record) (at time.Duration, back bool) {
	if !rec.Timed {
		return c.last, false
	}
	if !c.begun {
		c.begun, c.first = true, rec.At
	}
	at = rec.At - c.first
	if rec.At < c.first || at < c.last {
		return c.last, true
	}
	c.last = at
	return at, false
}

// surge finds out whether events come faster than HarmlessRate, of which HarmlessBurst may come at once.
type surge struct {
	level float64 // what has not run off yet
	last  time.Duration
}

func (s *surge) add(at time.Duration) (above bool) {
	s.level = max(s.level-(at-s.last).Seconds()*HarmlessRate, 0) + 1
	s.last = at
	return s.level > HarmlessBurst
}

// GroupsOf is how many frames to groups are among so many of the file, round after round; 0 is no end.
func (f *File) GroupsOf(total uint64) uint64 {
	if total == 0 && f.Groups > 0 {
		return math.MaxUint64
	}
	return uint64(math.Ceil(float64(total) * float64(f.Groups) / float64(max(f.Frames, 1))))
}
