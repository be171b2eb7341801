// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// TestTakeError: errors are taken out of the buffer in their order, past datagrams, which stay.
func TestTakeError(t *testing.T) {
	h := newHost(t)
	s := h.bound("192.0.2.10:1000", option{wsk.IPPROTO_IP, wsk.IP_RECVERR, 1})
	if e, ok := s.TakeError(); ok {
		t.Fatalf("%+v before anything came", e)
	}
	refused, prohibited := from("192.0.2.1:9", ""), from("192.0.2.1:9", "")
	refused.Err = &wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 3}
	prohibited.Err = &wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 13}
	h.transport.Arrive([]wsktest.Arrival{from("192.0.2.1:9", "one"), refused, prohibited, from("192.0.2.1:9", "two")}...)
	for _, code := range []uint8{3, 13} {
		if e, ok := s.TakeError(); !ok || e.Code != code {
			t.Errorf("%+v, %v, want code %d", e, ok, code)
		}
	}
	if e, ok := s.TakeError(); ok {
		t.Errorf("%+v is left", e)
	}
	for _, want := range []string{"one", "two"} {
		r := h.receive(s, 10)
		if status := r.wait(); status != wsk.STATUS_SUCCESS || r.payload() != want {
			t.Errorf("%v, %q, want %q", status, r.payload(), want)
		}
	}
	// A buffer that is full takes one.
	want(t, "RCVBUF", h.set(s, sol, wsk.SO_RCVBUF, 10), wsk.STATUS_SUCCESS)
	h.transport.Arrive(from("192.0.2.1:9", "one"), prohibited, refused, from("192.0.2.1:9", "two"))
	if st := s.ReceiveStatistics(); st.Buffered != 2 || st.Overflowed != 2 {
		t.Errorf("a full buffer: %+v", st)
	}
	want(t, "the same RCVBUF", h.set(s, sol, wsk.SO_RCVBUF, 10), wsk.STATUS_SUCCESS)
	if e, ok := s.TakeError(); !ok || e.Code != 13 {
		t.Errorf("%+v, %v of a full buffer", e, ok)
	}
	h.transport.Arrive(refused)
	if e, ok := s.TakeError(); !ok || e.Code != 3 {
		t.Errorf("%+v, %v after the first was taken", e, ok)
	}
	if got := h.receive(s, 10).payload(); got != "one" {
		t.Errorf("%q", got)
	}
	want(t, "RCVBUF 0", h.set(s, sol, wsk.SO_RCVBUF, 0), wsk.STATUS_SUCCESS)
	h.transport.Arrive(refused)
	if e, ok := s.TakeError(); ok {
		t.Errorf("%+v without a buffer", e)
	}
	h.nothingLent()
}
