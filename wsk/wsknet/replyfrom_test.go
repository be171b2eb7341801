// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// TestReplyFromDestination: a server on a wildcard that is asked at a secondary address answers from it, so that a
// client that has dialled it gets the answer.
func TestReplyFromDestination(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	four := lab.A.IPv4().As4()
	second := netip.AddrFrom4([4]byte{four[0], four[1], four[2], 77})
	if err := lab.A.If.AddAddr(netip.PrefixFrom(second, 24)); err != nil {
		t.Fatal(err)
	}
	s, err := wsknet.Open(wsknet.Options{
		Datapath: datapath.Options{NetNS: lab.A.NS.FD()}, Conn: netconn.Options{ReplyFromDestination: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, network := range []string{"udp4", "udp"} {
		server, err := orNil(s.ListenUDP(network, nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, asked := range []netip.Addr{second, lab.A.IPv4(), second} {
			client, err := pctest.Kernel(lab.B.IPv4(), lab.B.NS.Do).Dial("udp", netip.AddrPort{}, at(asked, server))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []conn{client, server} {
				c.SetDeadline(time.Now().Add(waitLimit))
			}
			buf := make([]byte, 10)
			for range 2 {
				if _, err := client.Write([]byte("question")); err != nil {
					t.Fatal(err)
				}
				n, from, err := server.ReadFrom(buf)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := server.WriteTo(buf[:n], from); err != nil {
					t.Fatal(err)
				}
				if n, err := client.Read(buf); string(buf[:n]) != "question" || err != nil {
					t.Errorf("%s asked at %v: %q, %v", network, asked, buf[:n], err)
				}
			}
			client.Close()
		}
	}
}

// TestAskedByBroadcast: who asks by the broadcast address of the subnet gets an answer, of a server that looks at nothing, and
// of one that hands the control messages of the question to the answer.
func TestAskedByBroadcast(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	s, err := wsknet.Open(wsknet.Options{
		Datapath: datapath.Options{NetNS: lab.A.NS.FD()}, Conn: netconn.Options{ReplyFromDestination: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client, err := pcKernel(lab.B).Listen("udp4", netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	kernel := pcKernel(lab.A)
	for name, listen := range map[string]func() (conn, error){
		"net": func() (conn, error) {
			c, err := kernel.Listen("udp4", netip.AddrPort{})
			if err == nil {
				err = kernel.Control(c)
			}
			return c, err
		},
		"wsknet": func() (conn, error) { return orNil(s.ListenUDP("udp4", nil)) },
	} {
		server, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []conn{client, server} {
			c.SetDeadline(time.Now().Add(testenv.Patience(5 * time.Second)))
		}
		buf, oob := make([]byte, 20), make([]byte, 100)
		for _, echo := range []bool{false, true} {
			if _, err := client.WriteToUDPAddrPort([]byte("question"), at(broadcastOf(lab.A.Addrs[0]), server)); err != nil {
				t.Fatal(err)
			}
			_, oobn, _, from, err := server.ReadMsgUDPAddrPort(buf, oob)
			if err != nil {
				t.Fatal(err)
			}
			if !echo {
				oobn = 0
			}
			if _, _, err := server.WriteMsgUDPAddrPort([]byte("answer"), oob[:oobn], from); err != nil {
				t.Errorf("%s, control messages %v: %v", name, echo, err)
				continue
			}
			if n, from, err := client.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "answer" || from != at(lab.A.IPv4(), server) {
				t.Errorf("%s, control messages %v: %q from %v, %v", name, echo, buf[:n], from, err)
			}
		}
		server.Close()
	}
}
