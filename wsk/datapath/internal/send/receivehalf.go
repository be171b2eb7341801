// SPDX-License-Identifier: Apache-2.0

package send

import "github.com/wsk-xdp/wsk-xdp/xdp"

// startRX begins to receive on a socket that the queue has adopted or is about to. It is nothing for a queue that only sends.
func (q *Queue) startRX(sock xdp.Queue) {
	if q.Rx == nil {
		return
	}
	if err := q.Rx.Start(sock); err != nil {
		q.log.Error("receive on queue; its frames go through the kernel's stack", "interface", q.Dev.Name(), "queue", q.Id, "err", err)
	}
}

// closeSocket closes a socket of the queue, whichever way its chunks allow. KickMu is held, or nobody else uses the queue.
func (q *Queue) closeSocket(sock xdp.Queue) error {
	if q.Rx == nil {
		return sock.Close()
	}
	return q.Rx.Close(sock)
}
