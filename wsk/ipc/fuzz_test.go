// SPDX-License-Identifier: Apache-2.0

package ipc_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// FuzzRequest is the daemon: whatever a client sends is refused with a violation, or means something that encodes to the
// same bytes.
func FuzzRequest(f *testing.F) { fuzz(f, "client") }

// FuzzAnswer is the client.
func FuzzAnswer(f *testing.F) { fuzz(f, "daemon") }

func fuzz(f *testing.F, from string) {
	for _, v := range vectors(f) {
		if v.From == from {
			f.Add(v.message(f))
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		msg = bytes.Clone(msg)[:len(msg):len(msg)] // so that reading past the end panics
		before := bytes.Clone(msg)
		h, b, err := decode(from, msg)
		if !bytes.Equal(before, msg) {
			t.Fatal("decoding has changed the message")
		}
		if err != nil {
			var violation *ipc.Violation
			if !errors.As(err, &violation) || violation.Reason/100 != 5 || violation.Reason.Sentence() == "" {
				t.Fatalf("%v is not a violation of the protocol", err)
			}
			return
		}
		if again := b.Append(h.Append(nil)); !bytes.Equal(before, again) {
			t.Fatalf("%s: %x encodes to %x", h.Type, before, again)
		}
	})
}
