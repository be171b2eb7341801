// SPDX-License-Identifier: Apache-2.0

package ipc_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// A vector is a message in testdata/vectors.json, which was made from the tables of docs/protocol.md without this
// package: the bytes with their names, and either what they mean or the reason for which they are refused.
type vector struct {
	Name    string
	From    string
	Parts   [][2]string
	Values  map[string]any
	Refused string
}

func (v *vector) message(t testing.TB) []byte {
	var msg []byte
	for _, part := range v.Parts {
		b, err := hex.DecodeString(part[1])
		if err != nil {
			t.Fatalf("%s: %s: %v", v.Name, part[0], err)
		}
		msg = append(msg, b...)
	}
	return msg[:len(msg):len(msg)]
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			msg := v.message(t)
			h, b, err := decode(v.From, msg)
			if v.Refused != "" {
				var violation *ipc.Violation
				if !errors.As(err, &violation) || violation.Reason.String() != v.Refused {
					t.Fatalf("got %v, want a violation with reason %s", err, v.Refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.Values, values(b)); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if again := b.Append(h.Append(nil)); !bytes.Equal(msg, again) {
				t.Errorf("encoded again:\n got %x\nwant %x", again, msg)
			}
		})
	}
}

// TestVectorsAreComplete: each message is there, and each but the empty ones both right and wrong.
func TestVectorsAreComplete(t *testing.T) {
	type key struct {
		t      ipc.Type
		failed bool
	}
	seen := make(map[key]int)
	for _, v := range vectors(t) {
		h, _, err := decode(v.From, v.message(t))
		seen[key{h.Type, err != nil}]++
	}
	want := func(ty ipc.Type, failed bool) {
		if seen[key{ty, failed}] == 0 {
			t.Errorf("%s: no vector, refused: %t", ty, failed)
		}
	}
	for ty := ipc.TypeHello; ty <= ipc.TypeSend; ty++ {
		want(ty, false)
	}
	for _, ty := range []ipc.Type{
		ipc.TypeHello, ipc.TypeOpen, ipc.TypeMTU, ipc.TypeConfigure, ipc.TypeMembership, ipc.TypeCancel, ipc.TypeAbort,
		ipc.TypeSource, ipc.TypeSend, ipc.TypeCredit, ipc.TypeRecv, ipc.TypeAddresses, ipc.TypeGoodbye,
		ipc.TypeHello.Reply(), ipc.TypeOpen.Reply(), ipc.TypeMTU.Reply(), ipc.TypeSource.Reply(), ipc.TypeSend.Reply(),
	} {
		want(ty, false)
		want(ty, true)
	}
	want(ipc.TypeDead, false)
	want(ipc.TypeError, false)
}
