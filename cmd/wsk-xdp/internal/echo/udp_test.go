// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// What is read when no answer leaves any more is of a class, too: it was held at the end.
func TestReadWhileItEnds(t *testing.T) {
	rule := Rule{Path: Path{Delay: time.Hour}}
	e, err := OpenUDP(nil, netip.MustParseAddrPort("127.0.0.1:0"), rule, NewMeter())
	if err != nil {
		t.Fatal(err)
	}
	e.wait.Go(func() { // as serve does
		<-e.late.done
		if !e.late.put(time.Now(), parcel{}) {
			t.Error("no room")
		}
		e.meter.came(100, "")
	})
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if c := e.meter.Now(); c.Packets != 1 || c.Refused[AtEnd] != 1 {
		t.Errorf("%+v", c)
	}
}

// A socket that can't be read any more says so at once, and why when it is closed.
func TestBrokenSocketIsTold(t *testing.T) {
	e, err := OpenUDP(nil, netip.MustParseAddrPort("127.0.0.1:0"), Rule{}, NewMeter())
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.Broken():
		t.Error("it is broken from the beginning")
	default:
	}
	e.fail(unix.EIO)
	e.fail(unix.ENOMEM)
	testenv.Eventually(t, time.Minute, "it to be told", func() bool {
		select {
		case <-e.Broken():
			return true
		default:
			return false
		}
	})
	if err := e.Close(); err == nil || err.Error() != "input/output error\ncannot allocate memory" {
		t.Error(err)
	}
}
