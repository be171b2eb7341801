// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/capture"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
)

// Blocks are what the reading goroutine fills and the sending one empties.
const (
	blocks      = 4
	blockBytes  = 256 << 10
	blockFrames = 4096
)

// block is some frames, one behind the other.
type block struct {
	data   []byte
	frames []piece
}

// piece is one of them: where it ends, and when it is due since the first of all.
type piece struct {
	end int
	due time.Duration
}

// errChanged is the error of a file that is not what the survey has seen.
var errChanged = errors.New("the file was changed while it was replayed")

// Feed gives the frames of a file to frames.Run, round after round. Its methods are for one goroutine, that which sends.
type Feed struct {
	file  File
	rules *Rules

	full chan *block // what is ready
	free chan *block
	stop chan struct{}
	done chan struct{}
	err  error // why there is no more; set before full is closed

	now    *block
	next   int // the frame in it
	from   int // where its data begin
	timing *timing
}

// NewFeed begins to read in, which the survey has read as file, total frames of it in all, 0 for no end. Close ends it.
func NewFeed(in io.ReadSeeker, file File, rules *Rules, total uint64) *Feed {
	f := &Feed{
		file: file, rules: rules, now: new(block), timing: newTiming(),
		full: make(chan *block, blocks), free: make(chan *block, blocks), stop: make(chan struct{}), done: make(chan struct{}),
	}
	for range blocks {
		f.free <- &block{data: make([]byte, 0, blockBytes), frames: make([]piece, 0, blockFrames)}
	}
	go func() {
		defer close(f.done)
		f.err = f.read(in, total)
		close(f.full)
	}()
	return f
}

// Close ends the reading goroutine, and waits for it.
func (f *Feed) Close() {
	close(f.stop)
	<-f.done
}

// read fills blocks, round by round, until there are enough frames.
func (f *Feed) read(in io.ReadSeeker, total uint64) error {
	var r *capture.Reader
	b := (*block)(nil)
	base := time.Duration(0)
	for left := total; total == 0 || left > 0; {
		_, err := in.Seek(0, io.SeekStart)
		switch {
		case err != nil:
			return err
		case r == nil:
			r, err = capture.NewReader(in)
		default:
			err = r.Reset(in)
		}
		if err != nil {
			return fmt.Errorf("%w: it %w", errChanged, err)
		}
		n := f.file.Frames
		if total > 0 {
			n = min(n, left)
		}
		left -= min(n, left)
		times := clock{}
		for range n {
			rec, err := f.record(r)
			if err != nil {
				return err
			}
			due, _ := times.due(&rec)
			due = f.file.Speed.Of(due)
			if b, err = f.room(b, len(rec.Data)); err != nil || b == nil {
				return err
			}
			b.data = append(b.data, rec.Data...)
			f.rules.rewrite(b.data[len(b.data)-len(rec.Data):])
			b.frames = append(b.frames, piece{len(b.data), sum(base, due)})
		}
		base = sum(base, f.file.Speed.Of(sum(times.last, f.file.Pause())))
	}
	if b != nil {
		f.hand(b)
	}
	return nil
}

// sum is that of two times, or the longest that there is.
func sum(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// record returns the next record that can be sent.
func (f *Feed) record(r *capture.Reader) (capture.Record, error) {
	for {
		rec, err := r.Next()
		if err != nil {
			return rec, fmt.Errorf("%w: %w", errChanged, err)
		}
		if f.rules.judge(&rec) == none {
			return rec, nil
		}
	}
}

// room returns a block with room for n bytes more: b, or the next one, or nil where the feed has been closed.
func (f *Feed) room(b *block, n int) (*block, error) {
	if n > f.file.Largest {
		return nil, fmt.Errorf("%w: a frame of %d bytes is longer than all before", errChanged, n)
	}
	if b != nil && len(b.data)+n <= blockBytes && len(b.frames) < blockFrames {
		return b, nil
	}
	if b != nil {
		f.hand(b)
	}
	select {
	case b = <-f.free:
		return b, nil
	case <-f.stop:
		return nil, nil
	}
}

// hand gives a block to the sender. There is room: there are no more blocks than the channel holds.
func (f *Feed) hand(b *block) { f.full <- b }

// Largest is the longest frame.
func (f *Feed) Largest() (int, error) { return f.file.Largest, nil }

// Ready says how many of the next frames are there, want at most, and waits for the file if there is none. It is 0 behind
// the last one.
func (f *Feed) Ready(want uint64) (uint64, error) {
	if f.next == len(f.now.frames) {
		if cap(f.now.data) > 0 {
			f.now.data, f.now.frames = f.now.data[:0], f.now.frames[:0]
			f.free <- f.now
		}
		b, ok := <-f.full
		if !ok {
			f.now, f.next = new(block), 0
			return 0, f.err
		}
		f.now, f.next, f.from = b, 0, 0
	}
	return min(want, uint64(len(f.now.frames)-f.next)), nil
}

// Put copies the next frame, which Ready has announced, into a chunk. now is when it leaves.
func (f *Feed) Put(chunk []byte, now time.Time) (length, payload int) {
	p := f.now.frames[f.next]
	n := copy(chunk, f.now.data[f.from:p.end])
	f.from = p.end
	f.next++
	f.timing.add(now, p.due)
	return n, n
}

// Gaps is how the times between frames were kept, nil where there were not two frames. It is for behind the run.
func (f *Feed) Gaps() *GapsReport { return f.timing.report() }

// AsCaptured is a Feed whose frames are due at the times at which they were captured, or so many times as fast.
type AsCaptured struct{ *Feed }

// Schedule begins at start.
func (f AsCaptured) Schedule(start time.Time) frames.Pacer {
	f.timing.start = start
	return schedule{f.Feed}
}

// schedule says which frames are due. What falls due while the sender is held up leaves when it goes on; nothing is
// forfeited.
type schedule struct{ f *Feed }

// Take is how many of the next frames, of which so many are ready, are due.
func (s schedule) Take(elapsed time.Duration, ready uint64) (n uint64) {
	for n < ready && s.f.now.frames[s.f.next+int(n)].due <= elapsed {
		n++
	}
	return n
}

// Wait is how long it is until the next frame.
func (s schedule) Wait(elapsed time.Duration, _ uint64) time.Duration {
	if n, err := s.f.Ready(1); n == 0 || err != nil {
		return 0 // the sender finds out itself
	}
	return max(s.f.now.frames[s.f.next].due-elapsed, 0)
}

// End does nothing.
func (s schedule) End(time.Duration) {}

// Forfeited is none.
func (s schedule) Forfeited() uint64 { return 0 }
