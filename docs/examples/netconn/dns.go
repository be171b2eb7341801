// SPDX-License-Identifier: Apache-2.0

package examples

import (
	"context"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// ServeDNS answers on conn until ctx ends, and closes it. A server on a wildcard must answer from the address at which it
// was asked: miekg/dns sees to that itself over a *net.UDPConn, and over a connection of a stack that has
// netconn.Options.ReplyFromDestination the connection does.
func ServeDNS(ctx context.Context, conn net.PacketConn, handler dns.Handler) error {
	server := &dns.Server{PacketConn: conn, Handler: handler}
	server.NotifyStartedFunc = func() { context.AfterFunc(ctx, func() { _ = server.Shutdown() }) }
	return server.ActivateAndServe()
}

// AddressOf is a handler that answers every question with one address.
func AddressOf(host netip.Addr) dns.HandlerFunc {
	return func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		for _, q := range query.Question {
			reply.Answer = append(reply.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: host.AsSlice(),
			})
		}
		_ = w.WriteMsg(reply)
	}
}

// AskDNS asks for the addresses of a name. conn is connected to the server, and so hears from nobody else.
func AskDNS(ctx context.Context, conn net.Conn, name string) ([]netip.Addr, error) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	reply, _, err := new(dns.Client).ExchangeWithConnContext(ctx, query, &dns.Conn{Conn: conn})
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, rr := range reply.Answer {
		if a, ok := rr.(*dns.A); ok {
			if addr, ok := netip.AddrFromSlice(a.A); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs, nil
}
