// SPDX-License-Identifier: Apache-2.0

package datapath

import "github.com/wsk-xdp/wsk-xdp/xdp"

// startRX begins to receive on a socket that the queue has adopted or is about to. It is nothing for a queue that only sends.
func (q *queue) startRX(sock xdp.Queue) {
	if q.rx == nil {
		return
	}
	if err := q.rx.start(sock); err != nil {
		q.log.Error("receive on queue; its frames go through the kernel's stack", "interface", q.dev.ifname(), "queue", q.id, "err", err)
	}
}

// closeSocket closes a socket of the queue, whichever way its chunks allow. kickMu is held, or nobody else uses the queue.
func (q *queue) closeSocket(sock xdp.Queue) error {
	if q.rx == nil {
		return sock.Close()
	}
	return q.rx.close(sock)
}
