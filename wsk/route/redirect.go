// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// redirects hear the ICMP redirects that the host gets. The kernel heeds them, or not, and announces neither; so what was answered
// about the destination is asked again when one has come. Raw sockets need CAP_NET_RAW: without it a redirect is found
// when an answer is too old (Options.CacheTTL).
type redirects struct {
	files []*os.File

	mu sync.Mutex
	// pending are the destinations that are going to be asked about; the invalid address is all.
	pending map[netip.Addr]struct{}
}

const (
	// The kernel deals with a redirect after it has given it to raw sockets: within microseconds, but for a busy processor.
	redirectSoon  = 5 * time.Millisecond
	redirectLater = 200 * time.Millisecond
	// redirectLimit bounds the destinations that are pending: anybody can send redirects.
	redirectLimit = 64

	icmpRedirect   = 5   // RFC 792
	icmpv6Redirect = 137 // RFC 4861 section 4.5
	icmpFilter     = 1   // ICMP_FILTER, linux/icmp.h
)

// openRedirects must run in the namespace. What can't be had is left out.
func openRedirects() *redirects {
	r := &redirects{pending: map[netip.Addr]struct{}{}}
	for _, s := range []struct {
		family, proto int
		filter        func(fd int) error
	}{
		{unix.AF_INET, unix.IPPROTO_ICMP, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, ^(1 << icmpRedirect))
		}},
		{unix.AF_INET6, unix.IPPROTO_ICMPV6, func(fd int) error {
			f := unix.ICMPv6Filter{}
			for i := range f.Data {
				f.Data[i] = ^uint32(0)
			}
			f.Data[icmpv6Redirect/32] &^= 1 << (icmpv6Redirect % 32)
			return unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &f)
		}},
	} {
		fd, err := unix.Socket(s.family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, s.proto)
		if err != nil {
			continue
		}
		if s.filter(fd) != nil {
			unix.Close(fd)
			continue
		}
		r.files = append(r.files, os.NewFile(uintptr(fd), "redirects"))
	}
	return r
}

func (r *redirects) close() {
	for _, f := range r.files {
		f.Close() // wakes the reader
	}
}

// begin notes that a destination is to be asked about, and says about which; ok is false when it is noted already.
func (r *redirects) begin(dst netip.Addr) (about netip.Addr, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, all := r.pending[netip.Addr{}]; all {
		return dst, false
	}
	if _, ok := r.pending[dst]; ok {
		return dst, false
	}
	if len(r.pending) >= redirectLimit {
		dst = netip.Addr{}
	}
	r.pending[dst] = struct{}{}
	return dst, true
}

func (r *redirects) end(dst netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, dst)
}

// hearRedirects reads one raw socket until it is closed.
func (t *Table) hearRedirects(f *os.File) {
	defer t.running.Done()
	buf := make([]byte, 256) // all that is looked at
	for {
		n, err := f.Read(buf)
		switch {
		case err == nil:
			if dst, ok := parseRedirect(buf[:n]); ok {
				t.redirected(dst)
			}
		case errors.Is(err, os.ErrClosed) || t.closed():
			return
		case !t.pause(100 * time.Millisecond):
			return
		}
	}
}

// redirected has the answers about dst asked again, when the kernel has dealt with the redirect, and once more in case it was slow.
func (t *Table) redirected(dst netip.Addr) {
	dst, ok := t.redirects.begin(dst)
	if !ok {
		return
	}
	time.AfterFunc(redirectSoon, func() {
		t.Flush(dst)
		time.AfterFunc(redirectLater, func() {
			t.redirects.end(dst)
			t.Flush(dst)
		})
	})
}

// parseRedirect finds out which destination a redirect is about. IPv4's comes with its IP header and quotes that of the datagram
// that went astray; IPv6's names the destination.
func parseRedirect(b []byte) (dst netip.Addr, ok bool) {
	if len(b) >= 40 && b[0] == icmpv6Redirect {
		dst = netip.AddrFrom16([16]byte(b[24:40]))
		return dst, !dst.Is4In6()
	}
	if len(b) < 20 || b[0]>>4 != 4 {
		return netip.Addr{}, false
	}
	at := int(b[0]&15) * 4
	const header, quotedDst = 8, 16
	if at < 20 || len(b) < at+header+20 || b[at] != icmpRedirect || b[at+header]>>4 != 4 {
		return netip.Addr{}, false
	}
	quoted := b[at+header:]
	return netip.AddrFrom4([4]byte(quoted[quotedDst : quotedDst+4])), true
}
