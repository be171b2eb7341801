// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestDeletedWhileOpening: an interface that is deleted while it is made ready to be received on keeps nothing of it,
// wherever that was, and no queue is opened on it.
func TestDeletedWhileOpening(t *testing.T) {
	_, set, rd := labSet(t, testenv.AFXDP|testenv.XDPProgram, testenv.Topology{})
	for _, at := range []string{"load", "adopt"} {
		p := set.NewProgram(rd.Index, rd.Name)
		p.Queues = 1
		d, err := set.NewReceivingDevice(rd, p)
		if err != nil {
			t.Fatal(err)
		}
		opened := make(chan error)
		go func() {
			_, err := d.Open(0)
			opened <- err
		}()
		if at == "load" {
			set.Remove(rd.Index).Dismantle()
			err = p.begin(d, 1)
		} else if err = p.load(d, 1); err == nil {
			set.Remove(rd.Index).Dismantle()
			if set.Hub.Add(p.Intake, p.IsClosed) {
				t.Error("the intake of a program that was closed is adopted")
			}
			err = errDeviceGone
		}
		if !errors.Is(err, errDeviceGone) {
			t.Fatalf("%s: %v", at, err)
		}
		d.Opening.Unlock()
		if err := <-opened; !errors.Is(err, errDeviceGone) {
			t.Errorf("%s: a queue was opened: %v", at, err)
		}
		if list := holders(t, set, rd.Index); len(list) != 0 {
			t.Errorf("%s: the interface has %v", at, list)
		}
		if set.Hub.Serves(uint32(rd.Index)) {
			t.Errorf("%s: the intake is still known", at)
		}
	}
}
