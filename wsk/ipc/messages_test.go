// SPDX-License-Identifier: Apache-2.0

package ipc_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// body is what all bodies can do.
type body interface {
	Append(b []byte) []byte
	Decode(b []byte) error
}

// The bodies whose Decode wants to know the type, those that are written by a writer, and the empty one.
type (
	failure struct {
		ipc.Failure
		t ipc.Type
	}
	source struct {
		ipc.Source
		t ipc.Type
	}
	send  struct{ ipc.Send }
	recv  struct{ ipc.Recv }
	empty struct{ t ipc.Type }
)

func (m *failure) Decode(b []byte) error { return m.Failure.Decode(m.t, b) }
func (m *source) Decode(b []byte) error  { return m.Source.Decode(m.t, b) }
func (m *empty) Append(b []byte) []byte  { return b }
func (m *empty) Decode(b []byte) error   { return ipc.Empty(m.t, b) }

func (m *send) Append(b []byte) []byte {
	var w ipc.SendWriter
	w.Begin(make([]byte, 0, ipc.MaxMessage), 1, 1)
	for i := range m.Datagrams() {
		payload, ok := w.Add(&m.Datagrams()[i].Entry)
		if !ok {
			panic("what came in one message does not go into one")
		}
		copy(payload, m.Datagrams()[i].Payload)
	}
	return append(b, w.Message()[ipc.HeaderSize:]...)
}

func (m *recv) Append(b []byte) []byte {
	var w ipc.RecvWriter
	w.Begin(make([]byte, 0, ipc.MaxMessage), 1)
	for i := range m.Records() {
		payload, ok := w.Add(&m.Records()[i].Record)
		if !ok {
			panic("what came in one message does not go into one")
		}
		copy(payload, m.Records()[i].Payload)
	}
	return append(b, w.Message()[ipc.HeaderSize:]...)
}

// bodyOf is a body for a message with that header.
func bodyOf(h ipc.Header) body {
	if h.Status != 0 {
		return &failure{t: h.Type}
	}
	switch h.Type {
	case ipc.TypeHello:
		return new(ipc.Hello)
	case ipc.TypeHello.Reply():
		return new(ipc.Welcome)
	case ipc.TypeOpen:
		return new(ipc.Open)
	case ipc.TypeOpen.Reply():
		return new(ipc.Opened)
	case ipc.TypeMTU:
		return new(ipc.Path)
	case ipc.TypeMTU.Reply():
		return new(ipc.MTU)
	case ipc.TypeConfigure:
		return new(ipc.Configure)
	case ipc.TypeMembership:
		return new(ipc.Membership)
	case ipc.TypeCancel:
		return new(ipc.Cancel)
	case ipc.TypeSource, ipc.TypeSource.Reply():
		return &source{t: h.Type}
	case ipc.TypeSend:
		return new(send)
	case ipc.TypeSend.Reply():
		return new(ipc.Done)
	case ipc.TypeCredit:
		return new(ipc.Credit)
	case ipc.TypeRecv:
		return new(recv)
	case ipc.TypeDead, ipc.TypeError:
		return &failure{t: h.Type}
	case ipc.TypeAddresses:
		return new(ipc.Addresses)
	case ipc.TypeGoodbye:
		return new(ipc.Goodbye)
	}
	return &empty{t: h.Type}
}

// decode takes a message apart as its receiver does.
func decode(from string, msg []byte) (ipc.Header, body, error) {
	parse := ipc.ParseRequest
	if from == "daemon" {
		parse = ipc.ParseAnswer
	}
	h, rest, err := parse(msg)
	if err != nil {
		return h, nil, err
	}
	b := bodyOf(h)
	return h, b, b.Decode(rest)
}

// values are the fields of a body as the vectors have them.
func values(b body) map[string]any {
	all := make(map[string]any)
	list := func(v reflect.Value) {
		for i := range v.Len() {
			addValues(all, fmt.Sprintf("%d_", i), v.Index(i))
		}
	}
	switch b := b.(type) {
	case *send:
		list(reflect.ValueOf(b.Datagrams()))
	case *recv:
		list(reflect.ValueOf(b.Records()))
	case *ipc.Done:
		all["left"] = float64(b.Left)
		list(reflect.ValueOf(b.Completions()))
	case *ipc.Addresses:
		list(reflect.ValueOf(b.List))
	default:
		addValues(all, "", reflect.ValueOf(b).Elem())
	}
	return all
}

func addValues(all map[string]any, prefix string, v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name := prefix + snake(field.Name)
		switch x := v.Field(i).Interface().(type) {
		case [16]byte:
			all[name] = netip.AddrFrom16(x).Unmap().String()
		case []byte:
			all[name] = hex.EncodeToString(x)
		case ipc.Reason:
			all[name] = x.String()
		case time.Duration:
			all[name] = float64(x.Milliseconds())
		case bool, string:
			all[name] = x
		default:
			switch value := v.Field(i); {
			case value.CanUint():
				all[name] = float64(value.Uint())
			case field.Anonymous:
				addValues(all, prefix, value)
			default:
				addValues(all, name+"_", value)
			}
		}
	}
}

// snake is BufferBytes as buffer_bytes, and ID as id.
func snake(name string) string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if unicode.IsUpper(r) && lower {
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
