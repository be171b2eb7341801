// SPDX-License-Identifier: Apache-2.0

package service

import (
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// kept are replies to SEND that wait for those behind them. Each message may wake the client, which costs both sides more
// than all else that a message takes; a client with many SENDs under way has several replies each time it wakes. Only
// replies that come while the session's goroutine has work are kept, and it sends them before it waits for anything: that
// is when the client has nothing more to read, and before others have their turn. The outbox's mu guards them.
type kept struct {
	send    func([]byte)
	working bool     // the session's goroutine is going to call rest
	most    int      // replies that go out together; grow and rest make it more and fewer
	n       int      // that are kept
	replies *replies // nil: none
}

// mostKept is half of the SENDs that a socket may have under way, so that the client has the others to go on with.
const mostKept = ipc.MaxSends / 2

// replies is memory for those that are kept, lent to the sessions that keep some.
type replies struct {
	b    [mostKept * (ipc.HeaderSize + 8 + ipc.MaxBatch*16)]byte
	ends [mostKept]int
}

var replyMemory = sync.Pool{New: func() any { return new(replies) }}

// add sends a reply to SEND, or keeps it. Memory to build it in comes from the caller, who gets it back.
func (k *kept) add(h ipc.Header, done *ipc.Done, b []byte) []byte {
	if !k.working || k.n == 0 && k.most <= 1 {
		k.flush()
		b = done.Append(h.Append(b[:0]))
		k.send(b)
		k.grow()
		return b
	}
	start := 0
	if k.n == 0 {
		k.replies = replyMemory.Get().(*replies)
	} else {
		start = k.replies.ends[k.n-1]
	}
	k.replies.ends[k.n] = len(done.Append(h.Append(k.replies.b[:start])))
	if k.n++; k.n >= k.most {
		k.flush()
		k.grow()
	}
	return b
}

// grow is called when as many replies were there as are sent together.
func (k *kept) grow() {
	if k.working {
		k.most = min(max(k.most, 1)+1, mostKept)
	}
}

// flush sends what is kept.
func (k *kept) flush() {
	if k.n == 0 {
		return
	}
	start := 0
	for _, end := range k.replies.ends[:k.n] {
		k.send(k.replies.b[start:end])
		start = end
	}
	replyMemory.Put(k.replies)
	k.n, k.replies = 0, nil
}

// rest sends what is kept, and lets replies go at once from here on. If some were kept the client may have waited for them:
// it is to be fewer the next time.
func (k *kept) rest() {
	if k.n != 0 {
		k.most /= 2
	}
	k.working = false
	k.flush()
}
