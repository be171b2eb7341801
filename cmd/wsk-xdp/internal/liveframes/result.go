// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// resultOf sums up what the programs of lanes did. Its times are when the first and the last frame were made, since the kernel's monotonic
// clock began.
func resultOf(lanes []*lane) (res blast.Result, err error) {
	res.ByStatus = map[wsk.NTSTATUS]uint64{}
	var bytes uint64
	for _, l := range lanes {
		t, err := l.program.state()
		if err != nil {
			return res, err
		}
		res.Submitted += t.Made
		res.Completed += t.Taken
		res.Forfeited += t.Forfeited
		bytes += t.Bytes - t.Made*uint64(l.part.headers)
		fail := func(status wsk.NTSTATUS, n uint64) {
			if n > 0 {
				res.Failed += n
				res.ByStatus[status] += n
			}
		}
		fail(statusOf(t.Refusal), t.Refused)
		fail(statusOf(t.Error), t.Undelivered)
		fail(wsk.STATUS_FILE_FORCED_CLOSED, t.Gone)
		fail(wsk.STATUS_UNSUCCESSFUL, t.Made-t.Taken-t.Refused-t.Undelivered-t.Gone) // of which the kernel has said nothing
		res.Dead = res.Dead || t.Gone > 0
		if begun := time.Duration(t.Begun); begun > 0 && (res.Sending == 0 || begun < res.Sending) {
			res.Sending = begun
		}
		res.Completing = max(res.Completing, time.Duration(t.Last))
	}
	res.Payload = bytes
	if res.Failed > 0 && res.Submitted > 0 { // what failed was as large as the others on the average
		res.Payload = uint64(float64(bytes) * float64(res.Completed) / float64(res.Submitted))
	}
	return res, nil
}

// countsOf is how far programs are that run, and how many frames are between them and the driver.
func countsOf(lanes []*lane) (c blast.Counts, inFlight uint64, err error) {
	for _, l := range lanes {
		t, err := l.program.state()
		if err != nil {
			return c, 0, err
		}
		failed := t.Refused + t.Undelivered + t.Gone
		c.Submitted += t.Made
		c.Completed += t.Taken
		c.Failed += failed
		inFlight += t.Made - min(t.Made, t.Taken+failed)
	}
	return c, inFlight, nil
}

// statusOf is the status for what the driver, or the kernel in front of it, has said of a frame.
func statusOf(errno int32) wsk.NTSTATUS {
	switch unix.Errno(-errno) {
	case unix.ENETDOWN, unix.ENXIO: // a veth whose other end is down, or takes none
		return wsk.STATUS_DEVICE_NOT_READY
	case unix.EMSGSIZE:
		return wsk.STATUS_INVALID_BUFFER_SIZE
	case unix.EOPNOTSUPP:
		return wsk.STATUS_NOT_SUPPORTED
	}
	return wsk.STATUS_NETWORK_BUSY
}
