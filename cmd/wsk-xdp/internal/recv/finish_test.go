// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestFinishReadsWhatWaits: what has come to the socket before the end is counted, however late its reader is.
func TestFinishReadsWhatWaits(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	l := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	local := netip.AddrPortFrom(l.B.IPv4(), 9000)
	sink, err := NewSink(64, VerifyNothing)
	if err != nil {
		t.Fatal(err)
	}
	e, err := openUDP(netns.Borrow(l.B.NS.FD()), local, sink)
	if err != nil {
		t.Fatal(err)
	}
	const sent = 1000
	sink.mu.Lock() // the reader waits for this with the first of them
	conn := dialUDP(t, l, local)
	for range sent {
		write(t, conn, []byte("some words"))
	}
	ended := make(chan error)
	go func() { ended <- e.finish() }()
	sink.mu.Unlock()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := sink.Totals().Packets; n != sent {
		t.Errorf("%d of %d are counted", n, sent)
	}
	if err := e.finish(); err == nil {
		t.Error("a socket that is closed is finished again without a word")
	}
}
