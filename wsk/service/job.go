// SPDX-License-Identifier: Apache-2.0

package service

import (
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// job is one SEND: the message in memory of this process, and its datagrams. The socket's mu guards it, but for what an
// entry is made of, which belongs to the goroutine that reads until the job is queued.
type job struct {
	socket *socket
	seq    uint32
	small  []byte // room for a message of up to smallMessage bytes; nil until there was one
	large  []byte // and for any

	entries [ipc.MaxBatch]entry
	n       int // of entries
	next    int // the first that has not been handed to the transport

	all   uint64        // a bit for each entry
	over  atomic.Uint64 // those that have completed: no lock is taken for each
	told  uint64        // those of which the client has been told
	tardy atomic.Bool   // the timer has run: a completion arms it again

	timer  *time.Timer // sends what has completed of a job that takes long
	armed  bool
	active bool // between the SEND and its last reply
}

// newJob makes a job. It is kept until its socket closes.
func newJob(k *socket) *job {
	j := &job{socket: k}
	for i := range j.entries {
		j.entries[i].job, j.entries[i].bit = j, 1<<i
	}
	j.timer = time.AfterFunc(time.Hour, j.tell)
	j.timer.Stop()
	return j
}

// entry is one datagram, or several that a segment size cuts.
type entry struct {
	irp     wsk.IRP
	mdl     wsk.MDL
	job     *job
	bit     uint64  // in the job
	to      *target // nil: it was refused
	payload []byte
	id      uint32
	segment uint32
	frames  int
	offset  int // of the part that is under way
	part    int // its length
	now     int // its frames
	state   entryState
	counted *atomic.Int64 // in which of the socket's counts they are
	whole   bool          // it may not be fragmented because the grant says so
	cut     bool          // no more parts of it are to go
	end     ipc.Completion
}

// hasMore says that parts of the entry come after the one that is under way.
func (e *entry) hasMore() bool { return e.offset+e.part < len(e.payload) }

type entryState uint8

const (
	waiting entryState = iota
	under              // with the transport
	over
)

const (
	smallMessage = 16 << 10
	jobSize      = 64 << 10 // bytes, more or less, of a job without messages
)
