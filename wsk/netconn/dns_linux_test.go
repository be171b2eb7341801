// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
)

// answerSizes are the sizes of the texts that the tests ask for, in bytes: answers of one frame, and answers that need
// fragments.
var answerSizes = []int{40, 1000, 3000, 6000}

// TestDNS is a real program, server and client of github.com/miekg/dns, with the connections of this package at one end
// and those of the kernel at the other. The program does not notice the difference.
func TestDNS(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{})
	dp, npi := afxdp(t, lab.A, true)
	for _, addrs := range addresses(lab) {
		wskHost, kernel := host(addrs[0], npi), pctest.Kernel(addrs[1], lab.B.NS.Do)
		t.Run("WSK server "+addrs[0].String(), func(t *testing.T) {
			before := dp.Info()
			exchangeDNS(t, wskHost, kernel)
			after := dp.Info()
			// The four sizes of answers take 1, 1, 3 and 5 frames.
			if sent := after.Queues[0].Submitted - before.Queues[0].Submitted; sent < queries/4*(1+1+3+5) {
				t.Errorf("%d frames left through AF_XDP", sent)
			}
			received := after.Programs[0].Counters[bpf.ReasonRedirected] - before.Programs[0].Counters[bpf.ReasonRedirected]
			// The port gets its entry in the XDP program after the bind; what arrives before that comes through the
			// companion socket.
			if received < queries*9/10 {
				t.Errorf("%d frames came through AF_XDP; before %v, after %v", received, before.Programs, after.Programs)
			}
		})
		t.Run("WSK client "+addrs[0].String(), func(t *testing.T) {
			before := dp.Info()
			exchangeDNS(t, kernel, wskHost)
			after := dp.Info()
			if sent := after.Queues[0].Submitted - before.Queues[0].Submitted; sent < queries {
				t.Errorf("%d frames left through AF_XDP", sent)
			}
			counters := func(r bpf.Reason) uint64 { return after.Programs[0].Counters[r] - before.Programs[0].Counters[r] }
			if n := counters(bpf.ReasonRedirected); n < queries/2*9/10 {
				t.Errorf("%d frames came through AF_XDP", n)
			}
			if n := after.CompanionReceived - before.CompanionReceived; n < queries/2 || counters(bpf.ReasonIPFragment) < 4*(queries/2) {
				t.Errorf("%d datagrams came in %d fragments", n, counters(bpf.ReasonIPFragment))
			}
		})
	}
}

const (
	clients      = 4
	perClient    = 40
	queries      = clients * perClient
	advertised   = 8192 // EDNS size of both ends
	serverPort   = 53
	dnsZone      = ".text.example."
	textPerEntry = 250
)

// exchangeDNS runs a server on one host and clients on the other.
func exchangeDNS(t *testing.T, server, client pctest.Host) {
	t.Helper()
	conn, err := server.Listen("udp", netip.AddrPortFrom(netip.Addr{}, serverPort))
	if err != nil {
		t.Fatal(err)
	}
	started, ended := make(chan struct{}), make(chan error, 1)
	srv := &dns.Server{
		PacketConn: conn, Handler: dns.HandlerFunc(answer), UDPSize: advertised, NotifyStartedFunc: func() { close(started) },
	}
	go func() { ended <- srv.ActivateAndServe() }()
	<-started
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			if err := ask(client, netip.AddrPortFrom(server.Addr, serverPort), i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// A deadline in the past wakes the server, which then closes its connection.
	if err := srv.ShutdownContext(testenv.Context(t, waitLimit)); err != nil {
		t.Errorf("shut down: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// answer answers a query for 3000.text.example with 3000 bytes of text.
func answer(w dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg).SetReply(query)
	if opt := query.IsEdns0(); opt == nil || opt.UDPSize() != advertised || len(query.Question) != 1 {
		reply.Rcode = dns.RcodeFormatError
		w.WriteMsg(reply)
		return
	}
	reply.SetEdns0(advertised, false)
	name := query.Question[0].Name
	n, _ := strconv.Atoi(strings.Split(name, ".")[0])
	for at := 0; at < n; at += textPerEntry {
		reply.Answer = append(reply.Answer, &dns.TXT{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60},
			Txt: []string{text(at, min(n-at, textPerEntry))},
		})
	}
	w.WriteMsg(reply)
}

// text is n characters that tell their position.
func text(at, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte((at+i)*7%26)
	}
	return string(b)
}

// ask queries over one dialled connection and checks the answers.
func ask(client pctest.Host, server netip.AddrPort, seed int) error {
	conn, err := client.Dial("udp", netip.AddrPort{}, server)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &dns.Client{UDPSize: advertised, Timeout: waitLimit}
	for i := range perClient {
		size := answerSizes[(i+seed)%len(answerSizes)]
		query := new(dns.Msg).SetQuestion(strconv.Itoa(size)+dnsZone, dns.TypeTXT)
		query.SetEdns0(advertised, true)
		reply, _, err := c.ExchangeWithConn(query, &dns.Conn{Conn: conn, UDPSize: advertised})
		if err != nil {
			return fmt.Errorf("query %d for %d bytes: %w", i, size, err)
		}
		var got strings.Builder
		for _, rr := range reply.Answer {
			got.WriteString(strings.Join(rr.(*dns.TXT).Txt, ""))
		}
		if reply.Rcode != dns.RcodeSuccess || got.String() != text(0, size) {
			return fmt.Errorf("query %d for %d bytes: %v", i, size, reply)
		}
	}
	return nil
}

// TestDNSResolver: net.Resolver looks names up through a Dialer, which shows that it takes the place of net.Dialer.
func TestDNSResolver(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{})
	_, npi := afxdp(t, lab.A, true)
	conn, err := pctest.Kernel(lab.B.IPv4(), lab.B.NS.Do).Listen("udp4", netip.AddrPortFrom(lab.B.IPv4(), serverPort))
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		if q := query.Question[0]; q.Qtype == dns.TypeA {
			rr, _ := dns.NewRR(q.Name + " A 192.0.2.33")
			reply.Answer = append(reply.Answer, rr)
		}
		w.WriteMsg(reply)
	})}
	ended := make(chan error, 1)
	go func() { ended <- srv.ActivateAndServe() }()
	dialer := &netconn.Dialer{Provider: npi}
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "udp", netip.AddrPortFrom(lab.B.IPv4(), serverPort).String())
	}}
	addrs, err := resolver.LookupNetIP(testenv.Context(t, waitLimit), "ip4", "host.example.")
	if err != nil || len(addrs) != 1 || addrs[0] != netip.MustParseAddr("192.0.2.33") {
		t.Errorf("%v, %v", addrs, err)
	}
	conn.Close()
	<-ended
}
