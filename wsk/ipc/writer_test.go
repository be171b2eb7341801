// SPDX-License-Identifier: Apache-2.0

package ipc_test

import (
	"bytes"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

func destination() ipc.Entry {
	return ipc.Entry{Addr: [16]byte{10: 0xff, 11: 0xff, 12: 192, 13: 0, 14: 2, 15: 1}, Port: 9, TTL: 64}
}

func TestSmallestMessageTakesLargestDatagram(t *testing.T) {
	e := ipc.Entry{Addr: [16]byte{0: 0x20, 15: 1}, Length: ipc.MaxPayload6, Port: 9}
	var s ipc.SendWriter
	s.Begin(make([]byte, ipc.MinMessage), 1, 1)
	if _, ok := s.Add(&e); !ok {
		t.Errorf("no room for %d bytes in a SEND of %d", e.Length, ipc.MinMessage)
	}
	var r ipc.RecvWriter
	r.Begin(make([]byte, ipc.MinMessage), 1)
	if _, ok := r.Add(&ipc.Record{Length: 65535}); !ok || len(r.Message()) != ipc.MinMessage {
		t.Errorf("a record of 65535 bytes: room %t, message of %d bytes, want %d", ok, len(r.Message()), ipc.MinMessage)
	}
}

// TestWritersStopWhenFull: at 64 things, and at the end of the buffer, with what is in the message untouched.
func TestWritersStopWhenFull(t *testing.T) {
	var s ipc.SendWriter
	var r ipc.RecvWriter
	e := destination()
	s.Begin(make([]byte, ipc.MaxMessage), 1, 1)
	r.Begin(make([]byte, ipc.MaxMessage), 1)
	for range ipc.MaxBatch {
		_, sent := s.Add(&e)
		_, received := r.Add(&ipc.Record{})
		if !sent || !received {
			t.Fatalf("no room after %d, %d", s.Count(), r.Count())
		}
	}
	if _, ok := s.Add(&e); ok || s.Count() != ipc.MaxBatch {
		t.Errorf("a SEND of %d entries", s.Count())
	}
	if _, ok := r.Add(&ipc.Record{}); ok || r.Count() != ipc.MaxBatch {
		t.Errorf("a RECV of %d records", r.Count())
	}
	for name, msg := range map[string][]byte{"client": s.Message(), "daemon": r.Message()} {
		if _, _, err := decode(name, msg); err != nil {
			t.Errorf("of 64: %v", err)
		}
	}

	e.Length = 9
	s.Begin(make([]byte, ipc.HeaderSize+8+2*(64+16)-1), 1, 1)
	if _, ok := s.Add(&e); !ok {
		t.Error("no room for the first entry")
	}
	if _, ok := s.Add(&e); ok {
		t.Error("room for an entry whose padding has none")
	}
	if _, b, err := decode("client", s.Message()); err != nil || len(b.(*send).Datagrams()) != 1 {
		t.Errorf("after an entry that did not fit: %v", err)
	}
}

// TestPaddingIsCleared: buffers are used again, and what they held must not leave with the next message.
func TestPaddingIsCleared(t *testing.T) {
	buf := bytes.Repeat([]byte{0xaa}, ipc.MaxMessage)
	e := destination()
	e.Length = 3
	var s ipc.SendWriter
	s.Begin(buf, 1, 1)
	payload, _ := s.Add(&e)
	copy(payload, "abc")
	_, b, err := decode("client", s.Message())
	if err != nil || string(b.(*send).Datagrams()[0].Payload) != "abc" {
		t.Errorf("SEND in a used buffer: %v", err)
	}
	buf = bytes.Repeat([]byte{0xaa}, ipc.MaxMessage)
	var r ipc.RecvWriter
	r.Begin(buf, 1)
	payload, _ = r.Add(&ipc.Record{Length: 3})
	copy(payload, "abc")
	_, b, err = decode("daemon", r.Message())
	if err != nil || string(b.(*recv).Records()[0].Payload) != "abc" {
		t.Errorf("RECV in a used buffer: %v", err)
	}
}

// TestPayloadsCannotGrow: appending to one must not reach the next entry.
func TestPayloadsCannotGrow(t *testing.T) {
	var s ipc.SendWriter
	e := destination()
	e.Length = 3
	s.Begin(make([]byte, ipc.MaxMessage), 1, 1)
	payload, _ := s.Add(&e)
	if cap(payload) != 3 {
		t.Errorf("room of %d bytes for a payload of 3", cap(payload))
	}
	_, b, _ := decode("client", s.Message())
	if got := b.(*send).Datagrams()[0].Payload; cap(got) != 3 {
		t.Errorf("a payload of 3 bytes with a capacity of %d", cap(got))
	}
}

// TestNothingIsSeenOfARefusedMessage: no entry before the wrong one, and none of an earlier message.
func TestNothingIsSeenOfARefusedMessage(t *testing.T) {
	var s ipc.SendWriter
	e := destination()
	s.Begin(make([]byte, ipc.MaxMessage), 1, 1)
	s.Add(&e)
	s.Add(&e)
	good := bytes.Clone(s.Message()[ipc.HeaderSize:])
	bad := bytes.Clone(good)
	bad[8+64+54] = 9 // fragment of the second entry
	var m ipc.Send
	if err := m.Decode(good); err != nil || len(m.Datagrams()) != 2 {
		t.Fatalf("%d datagrams, %v", len(m.Datagrams()), err)
	}
	if err := m.Decode(bad); err == nil || len(m.Datagrams()) != 0 {
		t.Errorf("%d datagrams of a refused message, %v", len(m.Datagrams()), err)
	}
}

// TestDataMessagesDoNotAllocate, on either side.
func TestDataMessagesDoNotAllocate(t *testing.T) {
	var (
		s     ipc.SendWriter
		r     ipc.RecvWriter
		sent  ipc.Send
		got   ipc.Recv
		done  ipc.Done
		buf   = make([]byte, ipc.MaxMessage)
		e     = destination()
		check = func(err error) {
			if err != nil {
				panic(err)
			}
		}
	)
	e.Length = 64
	n := testing.AllocsPerRun(100, func() {
		s.Begin(buf, 1, 1)
		for range ipc.MaxBatch {
			s.Add(&e)
		}
		_, body, err := ipc.ParseRequest(s.Message())
		check(err)
		check(sent.Decode(body))

		done.Reset()
		for i := range sent.Datagrams() {
			done.Add(ipc.Completion{ID: uint32(i), Bytes: 64})
		}
		msg := done.Append(ipc.Header{Type: ipc.TypeSend.Reply(), Seq: 1, Socket: 1}.Append(buf[:0]))
		_, body, err = ipc.ParseAnswer(msg)
		check(err)
		check(done.Decode(body))

		r.Begin(buf, 1)
		for range ipc.MaxBatch {
			r.Add(&ipc.Record{Length: 64})
		}
		_, body, err = ipc.ParseAnswer(r.Message())
		check(err)
		check(got.Decode(body))
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSend(b *testing.B) {
	var w ipc.SendWriter
	var m ipc.Send
	buf := make([]byte, ipc.MaxMessage)
	e := destination()
	e.Length = 64
	b.ReportAllocs()
	for range b.N / ipc.MaxBatch {
		w.Begin(buf, 1, 1)
		for range ipc.MaxBatch {
			w.Add(&e)
		}
		if err := m.Decode(w.Message()[ipc.HeaderSize:]); err != nil {
			b.Fatal(err)
		}
	}
}
