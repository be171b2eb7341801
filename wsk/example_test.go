// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// A client that sends one datagram, from registration to deregistration. Over AF_XDP only the transport is another.
func Example() {
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(wsktest.New(), wsk.ProviderOptions{})

	var registration wsk.Registration
	client := &wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}
	if status := subsystem.Register(client, &registration); status != wsk.STATUS_SUCCESS {
		fmt.Println("register:", status.String())
		return
	}
	defer wsk.Deregister(&registration)
	var provider wsk.ProviderNPI
	if status := wsk.CaptureProviderNPI(&registration, wsk.WSK_INFINITE_WAIT, &provider); status != wsk.STATUS_SUCCESS {
		fmt.Println("capture:", status.String())
		return
	}
	defer wsk.ReleaseProviderNPI(&registration)

	// One IRP for the calls that set things up, which are waited for one after the other.
	irp := wsk.AllocateIRP()
	wait := func(what string) {
		irp.Wait(context.Background())
		fmt.Println(what, irp.IoStatus.Status.String())
	}
	provider.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	wait("socket")
	socket := irp.IoStatus.Socket

	irp.Reuse(wsk.STATUS_SUCCESS)
	socket.Bind(wsk.NewSockaddr(netip.MustParseAddrPort("0.0.0.0:5000")), 0, irp)
	wait("bind")

	// The payload in two pieces, as a chain.
	head, tail := wsk.AllocateMDL([]byte("hello, ")), wsk.AllocateMDL([]byte("world"))
	head.Next = tail
	control := wsk.AppendTOS(nil, true, 0xb8)
	irp.Reuse(wsk.STATUS_SUCCESS)
	socket.SendTo(&wsk.Buf{Mdl: head, Length: 12}, 0, wsk.NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9")), control, irp)
	wait("send")
	fmt.Println(irp.IoStatus.Information, "bytes")

	irp.Reuse(wsk.STATUS_SUCCESS)
	socket.Close(irp)
	wait("close")
	// Output:
	// socket STATUS_SUCCESS
	// bind STATUS_SUCCESS
	// send STATUS_SUCCESS
	// 12 bytes
	// close STATUS_SUCCESS
}

// The usual way to send many: a completion routine per IRP, which here sends the next datagram with the same IRP.
func ExampleIRP_SetCompletionRoutine() {
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(wsktest.New(), wsk.ProviderOptions{})
	var registration wsk.Registration
	subsystem.Register(&wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}, &registration)
	var provider wsk.ProviderNPI
	wsk.CaptureProviderNPI(&registration, wsk.WSK_NO_WAIT, &provider)
	setup := wsk.AllocateIRP()
	provider.Socket(wsk.AF_INET6, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, setup)
	setup.Wait(context.Background())
	socket := setup.IoStatus.Socket
	setup.Reuse(wsk.STATUS_SUCCESS)
	socket.Bind(wsk.NewSockaddr(netip.MustParseAddrPort("[::]:0")), 0, setup)
	setup.Wait(context.Background())

	remote := wsk.NewSockaddr(netip.MustParseAddrPort("[2001:db8::1]:9"))
	buf := &wsk.Buf{Mdl: wsk.AllocateMDL([]byte("payload")), Length: 7}
	sent := 0
	done := make(chan struct{})
	var completed wsk.CompletionRoutine
	completed = func(irp *wsk.IRP, context any) wsk.NTSTATUS {
		if sent++; !irp.IoStatus.Status.Success() || sent == 3 {
			close(done)
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}
		irp.Reuse(wsk.STATUS_SUCCESS)
		irp.SetCompletionRoutine(completed, context, true, true, true)
		socket.SendTo(buf, 0, remote, nil, irp)
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	irp := wsk.AllocateIRP()
	irp.SetCompletionRoutine(completed, nil, true, true, true)
	socket.SendTo(buf, 0, remote, nil, irp)
	<-done
	fmt.Println(sent, "sent, the last with", irp.IoStatus.Status.String())
	// Output: 3 sent, the last with STATUS_SUCCESS
}
