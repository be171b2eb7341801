// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A lab, a datagram, and what the kernel at the other end says of it. Without output comment, because it needs root or
// a user namespace of one's own.
func ExampleNewLab() {
	lab, err := testenv.NewLab(testenv.Topology{Neighbours: testenv.Static})
	if err != nil {
		log.Fatal(err)
	}
	defer lab.Close()
	at := netip.AddrPortFrom(lab.B.IPv4(), 7)
	receiver, err := testenv.NewUDPReceiver(lab.B.NS, at, testenv.UDPReceiverOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer receiver.Close()
	sender, err := testenv.NewUDPSender(lab.A.NS, testenv.UDPSenderOptions{TTL: 33})
	if err != nil {
		log.Fatal(err)
	}
	defer sender.Close()
	if err := sender.Send(at, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := receiver.Wait(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s with TTL %d from %v\n", got[0].Payload, got[0].TTL, got[0].Source.Addr())
}
