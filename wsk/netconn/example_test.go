// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// echo is any program written for a net.PacketConn.
func echo(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		conn.WriteTo(buf[:n], from)
	}
}

// A program keeps its code and gets its connection from here. The transport is one in memory; with
// datapath.Open in its place the datagrams go through AF_XDP.
func Example() {
	transport := wsktest.New()
	transport.Loop(true)
	transport.SetLocal(netip.MustParseAddr("127.0.0.1"))
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(transport, wsk.ProviderOptions{})
	npi, release, err := netconn.Capture(subsystem)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer release()

	server, err := netconn.Listen(npi, "udp", netip.MustParseAddrPort("127.0.0.1:7"), netconn.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	go echo(server)

	client, err := netconn.Dial(npi, "udp", netip.AddrPort{}, netip.MustParseAddrPort("127.0.0.1:7"), netconn.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	client.Write([]byte("hello"))
	buf := make([]byte, 1500)
	n, err := client.Read(buf)
	fmt.Printf("%s %v\n", buf[:n], err)

	client.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = client.Read(buf)
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	// Output:
	// hello <nil>
	// true
}

// Many datagrams, to whichever destinations, go to the provider at once.
func ExampleConn_WriteBatch() {
	transport := wsktest.New()
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(transport, wsk.ProviderOptions{})
	npi, release, _ := netconn.Capture(subsystem)
	defer release()
	conn, _ := netconn.Listen(npi, "udp", netip.AddrPort{}, netconn.Options{})
	defer conn.Close()

	messages := make([]netconn.Message, 32)
	for i := range messages {
		to := &net.UDPAddr{IP: net.IPv4(192, 0, 2, byte(1+i%4)), Port: 9}
		messages[i] = netconn.Message{Buffers: [][]byte{[]byte("header"), []byte("payload")}, Addr: to}
	}
	n, err := conn.WriteBatch(messages, 0)
	fmt.Println(n, err)
	fmt.Println(len(transport.Datagrams()), "datagrams")
	// Output:
	// 32 <nil>
	// 32 datagrams
}
