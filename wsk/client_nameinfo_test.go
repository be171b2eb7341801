// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// resolver is a wsk.Resolver with a small name space. It blocks while block is not nil.
type resolver struct{ block chan struct{} }

func (r *resolver) wait(ctx context.Context) error {
	if r.block == nil {
		return nil
	}
	select {
	case <-r.block:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *resolver) LookupNetIP(ctx context.Context, network, host string) (list []netip.Addr, err error) {
	if err := r.wait(ctx); err != nil {
		return nil, err
	}
	switch host {
	case "slow.example":
		return nil, &net.DNSError{IsTimeout: true}
	case "busy.example":
		return nil, &net.DNSError{IsTemporary: true}
	case "broken.example":
		return nil, errors.New("broken")
	case "both.example", "alias.example":
	default:
		return nil, &net.DNSError{IsNotFound: true}
	}
	if network != "ip4" {
		list = append(list, netip.MustParseAddr("2001:db8::7"))
	}
	if network != "ip6" {
		list = append(list, netip.MustParseAddr("::ffff:198.51.100.7")) // as net.Resolver gives them
	}
	return list, nil
}

func (r *resolver) LookupCNAME(_ context.Context, host string) (string, error) {
	if host == "alias.example" {
		return "both.example.", nil
	}
	return "", &net.DNSError{IsNotFound: true}
}

func (r *resolver) LookupPort(_ context.Context, network, service string) (int, error) {
	if service == "domain" {
		return map[string]int{"udp": 53, "tcp": 5353}[network], nil
	}
	return 0, &net.DNSError{IsNotFound: true}
}

func (r *resolver) LookupAddr(ctx context.Context, a string) ([]string, error) {
	if err := r.wait(ctx); err != nil {
		return nil, err
	}
	switch a {
	case "198.51.100.7":
		return []string{"both.example.", "second.example."}, nil
	case "198.51.100.8":
		return nil, &net.DNSError{IsTimeout: true}
	}
	return nil, &net.DNSError{IsNotFound: true}
}

// describe is a result in readable form.
func describe(list *wsk.AddrInfo) string {
	var out []string
	for ; list != nil; list = list.Next {
		out = append(out, fmt.Sprintf("%d/%d/%d %v %s", list.Family, list.SocketType, list.Protocol, list.Address, list.CanonicalName))
	}
	return strings.Join(out, ", ")
}

func TestGetAddressInfo(t *testing.T) {
	h := newHostWith(t, wsk.ProviderOptions{Resolver: &resolver{}})
	const invalid, missing = wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_NOT_FOUND
	for _, c := range []struct {
		node, service string
		hints         *wsk.AddrInfo
		status        wsk.NTSTATUS
		want          string
	}{
		{"both.example", "", nil, 0, "23/0/0 [2001:db8::7]:0 , 2/0/0 198.51.100.7:0 "},
		{"both.example", "53", &wsk.AddrInfo{Family: wsk.AF_INET, SocketType: wsk.SOCK_DGRAM, Protocol: wsk.IPPROTO_UDP}, 0, "2/2/17 198.51.100.7:53 "},
		{"both.example", "domain", &wsk.AddrInfo{Family: wsk.AF_INET6}, 0, "23/0/0 [2001:db8::7]:53 "},
		{"both.example", "domain", &wsk.AddrInfo{Family: wsk.AF_INET6, SocketType: wsk.SOCK_STREAM}, 0, "23/1/0 [2001:db8::7]:5353 "},
		{"alias.example", "", &wsk.AddrInfo{Flags: wsk.AI_CANONNAME}, 0, "23/0/0 [2001:db8::7]:0 both.example., 2/0/0 198.51.100.7:0 "},
		{"both.example", "", &wsk.AddrInfo{Flags: wsk.AI_CANONNAME, Family: 2}, 0, "2/0/0 198.51.100.7:0 both.example"},
		{"192.0.2.1", "9", nil, 0, "2/0/0 192.0.2.1:9 "},
		{"fe80::1%3", "9", nil, 0, "23/0/0 [fe80::1%3]:9 "},
		{"fe80::1%eth0", "9", nil, missing, ""},
		{"192.0.2.1", "9", &wsk.AddrInfo{Family: wsk.AF_INET6}, missing, ""},
		{"192.0.2.1", "9", &wsk.AddrInfo{Flags: wsk.AI_NUMERICHOST | wsk.AI_NUMERICSERV | wsk.AI_CANONNAME}, 0, "2/0/0 192.0.2.1:9 192.0.2.1"},
		{"both.example", "", &wsk.AddrInfo{Flags: wsk.AI_NUMERICHOST}, missing, ""},
		{"192.0.2.1", "domain", &wsk.AddrInfo{Flags: wsk.AI_NUMERICSERV}, missing, ""},
		{"192.0.2.1", "nosuch", nil, missing, ""},
		{"192.0.2.1", "65536", nil, missing, ""},
		{"", "9", nil, 0, "23/0/0 [::1]:9 , 2/0/0 127.0.0.1:9 "},
		{"", "9", &wsk.AddrInfo{Flags: wsk.AI_PASSIVE, Family: wsk.AF_INET}, 0, "2/0/0 0.0.0.0:9 "},
		{"nosuch.example", "", nil, missing, ""},
		{"slow.example", "", nil, wsk.STATUS_IO_TIMEOUT, ""},
		{"busy.example", "", nil, wsk.STATUS_NETWORK_BUSY, ""},
		{"broken.example", "", nil, missing, ""},
		{"", "", nil, invalid, ""},
		{"a", "", &wsk.AddrInfo{Flags: 0x10}, invalid, ""},
		{"", "9", &wsk.AddrInfo{Flags: wsk.AI_CANONNAME}, invalid, ""},
		{"a", "", &wsk.AddrInfo{Family: 10}, invalid, ""},
		{"a", "", &wsk.AddrInfo{SocketType: wsk.SOCK_DGRAM, Protocol: wsk.IPPROTO_TCP}, invalid, ""},
		{"a", "", &wsk.AddrInfo{SocketType: 9}, invalid, ""},
		{"a", "", &wsk.AddrInfo{Next: new(wsk.AddrInfo)}, invalid, ""},
	} {
		var list *wsk.AddrInfo
		irp := newCall(t)
		status := irp.end("GetAddressInfo", h.npi.GetAddressInfo(c.node, c.service, wsk.NS_ALL, nil, c.hints, &list, nil, nil, &irp.IRP))
		want(t, fmt.Sprint(c.node, " ", c.service, " ", c.hints), status, c.status)
		if got := describe(list); got != c.want {
			t.Errorf("%s %s %+v: %q, want %q", c.node, c.service, c.hints, got, c.want)
		}
		h.npi.FreeAddressInfo(list)
	}
	get := func(npi *wsk.ProviderNPI, nameSpace uint32, provider *wsk.GUID, result **wsk.AddrInfo, cancel bool) wsk.NTSTATUS {
		irp := newCall(t)
		if cancel {
			irp.Cancel()
		}
		return irp.end("GetAddressInfo", npi.GetAddressInfo("192.0.2.1", "", nameSpace, provider, nil, result, nil, nil, &irp.IRP))
	}
	var list *wsk.AddrInfo
	want(t, "NS_DNS", get(&h.npi, wsk.NS_DNS, nil, &list, false), wsk.STATUS_SUCCESS)
	want(t, "other name space", get(&h.npi, 1, nil, &list, false), wsk.STATUS_NOT_SUPPORTED)
	want(t, "name space provider", get(&h.npi, wsk.NS_ALL, new(wsk.GUID), &list, false), wsk.STATUS_NOT_SUPPORTED)
	want(t, "no result", get(&h.npi, wsk.NS_ALL, nil, nil, false), invalid)
	want(t, "cancelled", get(&h.npi, wsk.NS_ALL, nil, &list, true), wsk.STATUS_CANCELLED)
	want(t, "nil client", get(&wsk.ProviderNPI{}, wsk.NS_ALL, nil, &list, false), wsk.STATUS_INVALID_HANDLE)
	want(t, "nil IRP", h.npi.GetAddressInfo("a", "", 0, nil, nil, &list, nil, nil, nil), invalid)
}

func TestGetNameInfo(t *testing.T) {
	h := newHostWith(t, wsk.ProviderOptions{Resolver: &resolver{}})
	const invalid = wsk.STATUS_INVALID_PARAMETER
	for _, c := range []struct {
		sa            wsk.SOCKADDR
		flags         uint32
		noName, noSvc bool
		status        wsk.NTSTATUS
		want          string
	}{
		{addr(peer), 0, false, false, 0, "both.example 9"},
		{addr("[::ffff:198.51.100.7]:9"), wsk.NI_DGRAM | wsk.NI_NUMERICSERV, false, false, 0, "both.example 9"},
		{addr(peer), wsk.NI_NUMERICHOST, false, false, 0, "198.51.100.7 9"},
		{addr("[fe80::1%3]:9"), wsk.NI_NUMERICHOST, false, true, 0, "fe80::1%3 "},
		{addr("198.51.100.9:9"), 0, false, false, 0, "198.51.100.9 9"},
		{addr("198.51.100.9:9"), wsk.NI_NAMEREQD, false, false, wsk.STATUS_NOT_FOUND, " "},
		{addr("198.51.100.8:9"), 0, false, false, wsk.STATUS_IO_TIMEOUT, " "},
		{addr("198.51.100.8:9"), 0, true, false, 0, " 9"},
		{addr(peer), 0, true, true, invalid, " "},
		{addr(peer)[:15], 0, false, false, invalid, " "},
		{make(wsk.SOCKADDR, 16), 0, false, false, invalid, " "},
		{append(addr(peer), make([]byte, 113)...), 0, false, false, invalid, " "},
		{append(addr(peer), make([]byte, 112)...), 0, false, false, 0, "both.example 9"},
		{nil, 0, false, false, invalid, " "},
		{addr(peer), 0x20, false, false, invalid, " "},
		{addr(peer), wsk.NI_NUMERICHOST | wsk.NI_NAMEREQD, false, false, invalid, " "},
		{addr(peer), wsk.NI_NOFQDN, false, false, wsk.STATUS_NOT_SUPPORTED, " "},
	} {
		var name, service string
		n, s := &name, &service
		if c.noName {
			n = nil
		}
		if c.noSvc {
			s = nil
		}
		irp := newCall(t)
		status := irp.end("GetNameInfo", h.npi.GetNameInfo(c.sa, n, s, c.flags, nil, nil, &irp.IRP))
		want(t, fmt.Sprint(c.sa, " ", c.flags), status, c.status)
		if got := name + " " + service; got != c.want {
			t.Errorf("%v %#x: %q, want %q", c.sa, c.flags, got, c.want)
		}
	}
	var name string
	irp := newCall(t)
	want(t, "nil client", irp.end("GetNameInfo", (&wsk.ProviderNPI{}).GetNameInfo(addr(peer), &name, nil, 0, nil, nil, &irp.IRP)),
		wsk.STATUS_INVALID_HANDLE)
	want(t, "nil IRP", h.npi.GetNameInfo(addr(peer), &name, nil, 0, nil, nil, nil), invalid)
}

// A name query never blocks its caller and can be cancelled while the resolver is blocked; Deregister waits for it:
// Checklist item 8 (d).
func TestNameQueryPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{block: make(chan struct{})}
		h := newHostWith(t, wsk.ProviderOptions{Resolver: r})
		var list, never *wsk.AddrInfo
		var name string
		a, b, c := newCall(t), newCall(t), newCall(t)
		want(t, "a", h.npi.GetAddressInfo("both.example", "", 0, nil, nil, &never, nil, nil, &a.IRP), wsk.STATUS_PENDING)
		want(t, "b", h.npi.GetAddressInfo("both.example", "", 0, nil, nil, &list, nil, nil, &b.IRP), wsk.STATUS_PENDING)
		want(t, "c", h.npi.GetNameInfo(addr(peer), &name, nil, 0, nil, nil, &c.IRP), wsk.STATUS_PENDING)
		synctest.Wait()
		if !a.Cancel() {
			t.Error("Cancel: false")
		}
		want(t, "a", a.end("a", wsk.STATUS_PENDING), wsk.STATUS_CANCELLED)
		wsk.ReleaseProviderNPI(&h.reg)
		done := make(chan struct{})
		go func() {
			wsk.Deregister(&h.reg)
			close(done)
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Error("Deregister did not wait for a pending IRP")
		default:
		}
		close(r.block)
		want(t, "b", b.end("b", wsk.STATUS_PENDING), wsk.STATUS_SUCCESS)
		want(t, "c", c.end("c", wsk.STATUS_PENDING), wsk.STATUS_SUCCESS)
		<-done
		if never != nil || list == nil || name != "both.example" {
			t.Errorf("%v, %v, %q", never, list, name)
		}
	})
}
