// SPDX-License-Identifier: Apache-2.0

package datapath_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// A client from registration to deregistration. It is not run here, because it sends a packet.
func Example() {
	ctx := context.Background()
	dp, err := datapath.Open(datapath.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer dp.Close()
	wsk.Default().Attach(dp, wsk.ProviderOptions{})
	defer wsk.Default().Detach()

	var reg wsk.Registration
	var npi wsk.ProviderNPI
	wsk.Register(&wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}, &reg)
	defer wsk.Deregister(&reg)
	wsk.CaptureProviderNPI(&reg, wsk.WSK_INFINITE_WAIT, &npi)
	defer wsk.ReleaseProviderNPI(&reg)

	irp := wsk.AllocateIRP()
	call := func(f func()) wsk.IOStatusBlock {
		irp.Reuse(wsk.STATUS_SUCCESS)
		f()
		if err := irp.Wait(ctx); err != nil {
			log.Fatal(err)
		}
		return irp.IoStatus
	}
	socket := call(func() {
		npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	}).Socket
	call(func() { socket.Bind(wsk.NewSockaddr(netip.MustParseAddrPort("0.0.0.0:0")), 0, irp) })

	payload := wsk.AllocateMDL([]byte("hello"))
	to := wsk.NewSockaddr(netip.MustParseAddrPort("10.77.0.2:9000"))
	sent := call(func() {
		socket.SendTo(&wsk.Buf{Mdl: payload, Length: 5}, 0, to, wsk.AppendTTL(nil, true, 9), irp)
	})
	fmt.Println(sent.Status, sent.Information) // the frame is back on the completion ring

	call(func() { socket.Close(irp) })
}
