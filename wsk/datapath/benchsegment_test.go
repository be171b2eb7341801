// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// chained is a buffer over n MDLs of equal size.
func chained(payload []byte, n int) *wsk.Buf {
	step := len(payload) / n
	var head, tail *wsk.MDL
	for i := range n {
		end := (i + 1) * step
		if i == n-1 {
			end = len(payload)
		}
		m := wsk.AllocateMDL(payload[i*step : end : end])
		if head == nil {
			head = m
		} else {
			tail.Next = m
		}
		tail = m
	}
	return &wsk.Buf{Mdl: head, Length: uintptr(len(payload))}
}

// BenchmarkSendSegments is the cost of one datagram of a buffer that UDP_SEND_MSG_SIZE cuts up, whatever the chain looks like. A
// datagram of a list (BenchmarkSendMessages) costs less: it lies in one piece and is built in a loop of its own.
func BenchmarkSendSegments(b *testing.B) {
	const count = 44 // what one call of the kernel's GSO takes of 1472 bytes
	for _, size := range []int{18, 1472} {
		for _, mdls := range []int{1, count, 16 * count} {
			b.Run(fmt.Sprintf("size=%d/mdls=%d", size, mdls), func(b *testing.B) {
				s := benchSocket(b, 1, 1)[0]
				to := wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo))
				buf := chained(pattern(count*size), min(mdls, count*size))
				control := wsk.AppendSendMsgSize(nil, uint32(size))
				irp := new(pumpIRP)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				sent := 0
				for b.Loop() {
					if sent%count == 0 {
						irp.ready(pumpRoutine)
						s.SendTo(buf, 0, to, control, &irp.IRP)
					}
					sent++
				}
			})
		}
	}
}
