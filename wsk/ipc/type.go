// SPDX-License-Identifier: Apache-2.0

package ipc

import "fmt"

// Type is what a message is. The upper two bits say who sends it and why.
type Type uint16

// Requests, and the notifications of the daemon. A reply has the type of its request with the bit 0x8000.
const (
	TypeHello      Type = 1
	TypeOpen       Type = 2
	TypeMTU        Type = 3
	TypeConfigure  Type = 4
	TypeMembership Type = 5
	TypeCancel     Type = 6
	TypeAbort      Type = 7
	TypeClose      Type = 8
	TypeSource     Type = 9
	TypeSend       Type = 10
	TypeCredit     Type = 11

	TypeRecv      Type = notification | 1
	TypeDead      Type = notification | 2
	TypeAddresses Type = notification | 3
	TypeGoodbye   Type = notification | 4
	TypeError     Type = notification | 0xff

	notification Type = 0x4000
	reply        Type = 0x8000
)

// typeInfo says what the header of a request or notification must be like.
type typeInfo struct {
	name      string
	ofSession bool // the socket is 0; else it is not
	unasked   bool // the sequence number is 0, and there is no reply
}

var types = map[Type]typeInfo{
	TypeHello:      {"HELLO", true, false},
	TypeOpen:       {"OPEN", false, false},
	TypeMTU:        {"MTU", false, false},
	TypeConfigure:  {"CONFIGURE", false, false},
	TypeMembership: {"MEMBERSHIP", false, false},
	TypeCancel:     {"CANCEL", false, false},
	TypeAbort:      {"ABORT", false, false},
	TypeClose:      {"CLOSE", false, false},
	TypeSource:     {"SOURCE", true, false},
	TypeSend:       {"SEND", false, false},
	TypeCredit:     {"CREDIT", false, true},
	TypeRecv:       {"RECV", false, true},
	TypeDead:       {"DEAD", false, true},
	TypeAddresses:  {"ADDRESSES", true, true},
	TypeGoodbye:    {"GOODBYE", true, true},
	TypeError:      {"ERROR", true, true},
}

// Reply is the type of the reply to a request.
func (t Type) Reply() Type { return t | reply }

// IsReply says that the message answers a request.
func (t Type) IsReply() bool { return t&reply != 0 }

// Request is the type of the request that a reply answers, and t itself for all others.
func (t Type) Request() Type { return t &^ reply }

func (t Type) String() string {
	info, ok := types[t.Request()]
	switch {
	case !ok:
		return fmt.Sprintf("message %#x", uint16(t))
	case t.IsReply():
		return "reply to " + info.name
	}
	return info.name
}
