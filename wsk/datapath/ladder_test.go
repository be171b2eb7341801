// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestZeroCopyIsAskedOnce: a driver that neither announces zero-copy nor grants it is not asked for each queue, unless zero-copy
// is all that will do; the reason is that of the first.
func TestZeroCopyIsAskedOnce(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static, A: testenv.End{TX: 2, RX: 2}, B: testenv.End{TX: 2, RX: 2}}, Options{})
	mustSucceed(t, "first", sendOne(t, c.socket("0.0.0.0:0"), whole([]byte("first")), sockaddr(lab.B.IPv4(), 7), nil))
	d := c.dp.devices.Known(lab.A.If.Index())
	if f := d.Inspected(); f.DeviceErr != nil {
		t.Logf("this kernel does not tell what drivers can: %v", f.DeviceErr)
		return
	}
	first := c.dp.Info().Queues[0].Granted
	if first.Mode != xdp.ModeCopy || !errors.Is(first.FallbackReason, unix.EOPNOTSUPP) || !errors.Is(d.Supply.Hopeless(), unix.EOPNOTSUPP) {
		t.Fatalf("%v because of %v, remembered %v", first.Mode, first.FallbackReason, d.Supply.Hopeless())
	}
	reason := fmt.Errorf("remembered: %w", xdp.ErrNotSupported)
	d.Supply.Despair(reason)
	sock, err := c.dp.devices.OpenSocket(d, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	if g := sock.Granted(); g.Mode != xdp.ModeCopy || !errors.Is(g.FallbackReason, reason) {
		t.Errorf("the second queue: %v because of %v", g.Mode, g.FallbackReason)
	}
	d.Set.Opts.Socket.Mode = xdp.ModeZeroCopy
	if _, err := c.dp.devices.OpenSocket(d, 1); err == nil || errors.Is(err, reason) {
		t.Errorf("zero-copy by name: %v, want the driver's own answer", err)
	}
}
