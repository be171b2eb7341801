// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/binary"
	"time"
)

// What the protocol allows.
const (
	HeaderSize  = 16
	MaxMessage  = 131072 // bytes of a message, the header included
	MinMessage  = 65624  // what both sides take at least: one datagram of the largest size
	MaxBatch    = 64     // datagrams of a SEND or RECV
	MaxRequests = 64     // requests of a session other than SEND without a reply
	MaxSends    = 16     // SENDs of a socket whose entries have not all completed
	MaxCredit   = 1024   // RECV messages that a socket has asked for and not got yet

	HelloTimeout = 2 * time.Second // from the connection to HELLO
)

// A Header begins every message:
//
//	0 u16 type · 2 u16 0 · 4 u32 sequence number · 8 u32 socket · 12 u32 status
type Header struct {
	Type   Type
	Seq    uint32 // chosen by the client and not 0; the reply has the same. 0 in CREDIT and notifications
	Socket uint32 // chosen by the client in OPEN and not 0; 0: the message is about the session
	Status uint32 // an NTSTATUS in replies, else 0
}

// Append appends the 16 bytes. The body of the message comes behind them.
func (h Header) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Type))
	b = binary.LittleEndian.AppendUint32(b, h.Seq)
	b = binary.LittleEndian.AppendUint32(b, h.Socket)
	return binary.LittleEndian.AppendUint32(b, h.Status)
}

// ParseRequest takes a message of a client apart. body is the rest of msg, of any length yet: the Decode method of the
// type knows what it must be.
func ParseRequest(msg []byte) (h Header, body []byte, err error) {
	h, body, err = parse(msg)
	switch {
	case err != nil:
	case h.Type&(reply|notification) != 0:
		err = violation(ReasonMessage, h.Type, "a client sends requests only")
	case h.Status != 0:
		err = violation(ReasonMessage, h.Type, "the status of a request is 0")
	}
	return h, body, err
}

// ParseAnswer takes a message of the daemon apart. When Status is not 0 the body is a [Failure].
func ParseAnswer(msg []byte) (h Header, body []byte, err error) {
	h, body, err = parse(msg)
	switch {
	case err != nil:
	case h.Type&(reply|notification) == 0:
		err = violation(ReasonMessage, h.Type, "the daemon sends replies and notifications only")
	case h.Type.IsReply() && h.Status != 0 && !isFailure(h.Status):
		err = violation(ReasonMessage, h.Type, "the status of a reply is 0 or a failure")
	case !h.Type.IsReply() && h.Status != 0:
		err = violation(ReasonMessage, h.Type, "the status of a notification is 0")
	}
	return h, body, err
}

func parse(msg []byte) (h Header, body []byte, err error) {
	if len(msg) < HeaderSize || len(msg) > MaxMessage {
		return h, nil, violation(ReasonBounds, 0, "a message has 16 to 131072 bytes")
	}
	h = Header{
		Type:   Type(binary.LittleEndian.Uint16(msg)),
		Seq:    binary.LittleEndian.Uint32(msg[4:]),
		Socket: binary.LittleEndian.Uint32(msg[8:]),
		Status: binary.LittleEndian.Uint32(msg[12:]),
	}
	info, ok := types[h.Type.Request()]
	switch {
	case !ok || h.Type.IsReply() && info.unasked:
		err = violation(ReasonMessage, h.Type, "there is no such message in this version")
	case binary.LittleEndian.Uint16(msg[2:]) != 0:
		err = violation(ReasonMessage, h.Type, reserved)
	case info.unasked != (h.Seq == 0):
		err = violation(ReasonMessage, h.Type, "the sequence number is 0 in CREDIT and notifications, and nowhere else")
	case info.ofSession != (h.Socket == 0):
		err = violation(ReasonMessage, h.Type, "the socket is 0 in messages about the session, and nowhere else")
	}
	return h, msg[HeaderSize:], err
}

// isFailure says that a status is an NTSTATUS of severity error.
func isFailure(status uint32) bool { return status>>30 == 3 }
