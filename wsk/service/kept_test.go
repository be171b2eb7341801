// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/peer"
)

// outboxTo is an outbox of a session, and the client's end of its connection.
func outboxTo(t *testing.T) (*outbox, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socketpair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	conn, err := peer.New(ends[0])
	if err != nil {
		t.Fatal(err)
	}
	n := &session{conn: conn}
	n.out.session, n.out.kept.send = n, n.out.send
	return &n.out, ends[1]
}

// reply is the end of a SEND.
func (o *outbox) reply(seq uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done.Reset()
	o.done.Add(ipc.Completion{ID: seq})
	o.b = o.kept.add(ipc.Header{Type: ipc.TypeSend.Reply(), Seq: seq, Socket: 1}, &o.done, o.b)
}

// sequences are those of the messages that have been sent.
func sequences(t *testing.T, c *net.UnixConn) (all []uint32) {
	t.Helper()
	buf := make([]byte, ipc.MaxMessage)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for {
		var n int
		var readErr error
		if err := raw.Read(func(fd uintptr) bool {
			n, _, readErr = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if errors.Is(readErr, unix.EAGAIN) {
			return all
		}
		h, _, err := ipc.ParseAnswer(buf[:n])
		if readErr != nil || err != nil {
			t.Fatal(readErr, err)
		}
		all = append(all, h.Seq)
	}
}

func (o *outbox) expect(t *testing.T, c *net.UnixConn, want ...uint32) {
	t.Helper()
	got := sequences(t, c)
	if len(got) != len(want) {
		t.Fatalf("sent are %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("sent are %v, want %v", got, want)
		}
	}
}

// TestRepliesAreKept: while SENDs come replies wait for others, more of them the longer that lasts; nothing is kept when the
// session's goroutine is about to wait, and nothing overtakes what is kept.
func TestRepliesAreKept(t *testing.T) {
	o, c := outboxTo(t)
	o.reply(1)
	o.reply(2)
	o.expect(t, c, 1, 2) // the goroutine does not work: others have completed these
	o.work()
	o.reply(3)
	o.expect(t, c, 3) // the first goes at once: there may be no other SEND
	o.reply(4)
	o.expect(t, c)
	o.rest()
	o.expect(t, c, 4)
	seq := uint32(4)
	for range 100 { // SENDs without a pause
		o.work()
		seq++
		o.reply(seq)
	}
	sequences(t, c)
	o.flush()
	sequences(t, c)
	var want []uint32
	for range mostKept - 1 {
		seq++
		want = append(want, seq)
		o.reply(seq)
		o.expect(t, c)
	}
	seq++
	o.reply(seq)
	o.expect(t, c, append(want, seq)...)
	o.reply(90)
	o.post(func(b []byte) []byte { return ipc.Header{Type: ipc.TypeClose.Reply(), Seq: 91, Socket: 1}.Append(b) })
	o.expect(t, c, 90, 91)
	o.reply(92)
	o.flush()
	o.expect(t, c, 92)
	atOnce := 0
	for range 2 * mostKept { // one SEND at a time: each reply that is kept finds that the client has waited
		o.work()
		o.reply(93)
		atOnce += len(sequences(t, c))
		o.rest()
		sequences(t, c)
	}
	if atOnce < mostKept/2 {
		t.Errorf("%d of %d replies to single SENDs went at once", atOnce, 2*mostKept)
	}
}
