// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// versionFlags say which version of IP a host name stands for.
type versionFlags struct{ ipv4, ipv6 bool }

func (v *versionFlags) add(f *pflag.FlagSet) {
	f.BoolVarP(&v.ipv4, "ipv4", "4", false, "DST is a host's name, or an address, of IPv4")
	f.BoolVarP(&v.ipv6, "ipv6", "6", false, "DST is a host's name, or an address, of IPv6")
}

// takes is whether an address is of the version that was asked for.
func (v *versionFlags) takes(a netip.Addr) bool { return !(a.Is4() && v.ipv6) && !(a.Is6() && v.ipv4) }

// network is the version as a lookup names it, with words for a sentence. A name has the version of the source where none
// was asked for.
func (v *versionFlags) network(source netip.Addr) (network, words string) {
	switch {
	case v.ipv4 || !v.ipv6 && source.Is4():
		return "ip4", " with an IPv4 address"
	case v.ipv6 || source.Is6():
		return "ip6", " with an IPv6 address"
	}
	return "ip", ""
}

// destination parses DST:PORT, in which an IPv6 address stands in brackets. DST may be the name of a host, which is looked up
// where this process is, not where --netns is; name is that name.
func (v *versionFlags) destination(ctx context.Context, s string, source netip.Addr) (to netip.AddrPort, name string, err error) {
	if v.ipv4 && v.ipv6 {
		return to, "", exit.Usagef("--ipv4 and --ipv6 contradict each other: give one")
	}
	to, err = netip.ParseAddrPort(s)
	if err != nil {
		host, port, ok := nameAndPort(s)
		if !ok {
			return to, "", exit.Usagef("destination %q %s", s, notAnEndpoint(s))
		}
		network, words := v.network(source)
		found, err := lookUp(ctx, network, host, words)
		if err != nil {
			return to, "", err
		}
		to, name = netip.AddrPortFrom(found, port), host
	}
	to = ipaddr.Unmap(to)
	switch {
	case to.Port() == 0:
		return to, "", exit.Usagef("destination %q: nothing listens on port 0", s)
	case to.Addr().IsUnspecified():
		return to, "", exit.Usagef("destination %q is the wildcard address: name a host", s)
	case !v.takes(to.Addr()):
		return to, "", exit.Usagef("destination %q is an address of %s: leave out -4 and -6", s, ipVersion(to))
	}
	return to, name, nil
}

// nameAndPort takes apart what may be the name of a host (RFC 1123) with a port. What consists of digits and dots is a
// mistyped address.
func nameAndPort(s string) (host string, port uint16, ok bool) {
	const longest = 253
	host, digits, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || strings.Trim(digits, "0123456789") != "" || len(host) > longest || strings.Trim(host, "0123456789.") == "" {
		return "", 0, false
	}
	for _, label := range strings.Split(strings.TrimSuffix(host, "."), ".") {
		if label == "" || strings.HasPrefix(label, "-") || strings.Trim(label, nameLetters) != "" {
			return "", 0, false
		}
	}
	return host, uint16(n), true
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// lookUpTime is how long name servers have.
const lookUpTime = 10 * time.Second

// lookUp is the address of a host that the system prefers. words say what was asked for.
func lookUp(ctx context.Context, network, host, words string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	var dns *net.DNSError
	switch {
	case err == nil && len(found) > 0:
		return found[0].Unmap(), nil
	case errors.As(err, &dns) && !dns.IsNotFound:
		return netip.Addr{}, exit.NotPossiblef("no name server says what the address of %s is: give the address itself", host)
	}
	return netip.Addr{}, exit.Usagef("there is no host %q%s", host, words)
}

// badPort is what is wrong with the port behind an address, empty where something else is.
func badPort(s string) string {
	i := strings.LastIndexByte(s, ':')
	if _, err := netip.ParseAddrPort(s); err == nil || i < 0 {
		return ""
	}
	if _, err := netip.ParseAddr(strings.Trim(s[:i], "[]")); err != nil {
		return ""
	}
	return notAnEndpoint(s)
}

// notAnEndpoint says why s is no IP address with a port, and what to write.
func notAnEndpoint(s string) string {
	i := strings.LastIndexByte(s, ':')
	host, port := s[:max(i, 0)], s[i+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
		if address, found := strings.CutSuffix(host, "%"); found {
			return fmt.Sprintf("has a %% with no interface behind it: write [%s%%wsk0]:%s", address, port)
		}
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		// An IPv6 address with a port and no brackets is another address.
		if h, err := netip.ParseAddr(host); err == nil && a.Is6() && s[0] != '[' {
			return fmt.Sprintf("has no brackets: write [%v]:%s or %v", h, port, netip.AddrPortFrom(a, 9000))
		}
		return fmt.Sprintf("has no port: write %v", netip.AddrPortFrom(a, 9000))
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "is no IP address or host with a port: write 10.77.0.2:9000, [fd77::2]:9000 or receiver.example:9000"
	}
	if port != "" && strings.Trim(port, "0123456789") == "" {
		return fmt.Sprintf("has port %s: ports are 1 to 65535", port)
	}
	return fmt.Sprintf("has %q in place of a port: ports are 1 to 65535", port)
}

func ipVersion(to netip.AddrPort) string {
	if to.Addr().Is4() {
		return "IPv4"
	}
	return "IPv6"
}
