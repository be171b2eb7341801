// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

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
