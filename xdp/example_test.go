// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp_test

import (
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// One frame on its way through a queue. With a real interface the queue comes from
// xdp.Open(xdp.DefaultOptions("eth0", 0)); the rest is the same.
func Example() {
	kernel, err := xdptest.New(xdptest.Config{OnSend: func(frame []byte) { fmt.Printf("sent %q\n", frame) }})
	if err != nil {
		fmt.Println(err)
		return
	}
	var q xdp.Queue = kernel
	defer q.Close()
	tx, umem, completion := q.TX(), q.UMEM(), q.Completion()

	addr := umem.Addr(5) // chunk 5 is ours until it is submitted
	n := copy(umem.Chunk(addr), "an Ethernet frame")
	if slot, ok := tx.Reserve(1); ok == 1 {
		tx.Set(slot, xdp.Desc{Addr: addr, Len: uint32(n)})
		tx.Submit(1)
	}
	if errno, _ := q.KickIfNeeded(); xdp.ClassifyKick(errno) != xdp.KickDone {
		fmt.Println(errno)
	}

	first, count := completion.Peek(64)
	for i := range count {
		if chunk, ok := umem.CheckTx(completion.At(first + i)); ok {
			fmt.Println("chunk", chunk, "is ours again")
		}
	}
	completion.Release(count)
	// Output:
	// sent "an Ethernet frame"
	// chunk 5 is ours again
}
