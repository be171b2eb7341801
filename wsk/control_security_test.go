// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Checklist item 24: all 36 cells of the sharing matrix, each with a first socket whose descriptor refuses and one
// whose descriptor permits. The table is that of "Sharing Transport Addresses", written out again.
func TestSharingMatrix(t *testing.T) {
	const use, no, check, ok = "IN USE", "DENIED", "CHECK", "ok"
	kinds := []string{"default W", "default S", "REUSE W", "REUSE S", "EXCL W", "EXCL S"}
	for second, row := range [][]string{
		{use, ok, use, ok, use, ok},
		{check, use, check, no, no, use},
		{no, ok, ok, ok, no, ok},
		{check, no, ok, ok, no, no},
		{use, use, use, use, use, use},
		{check, use, check, use, no, use},
	} {
		for first, cell := range row {
			for _, permit := range []bool{false, true} {
				wanted := map[string]wsk.NTSTATUS{use: wsk.STATUS_ADDRESS_ALREADY_EXISTS, no: wsk.STATUS_ACCESS_DENIED, ok: wsk.STATUS_SUCCESS}[cell]
				if cell == check && !permit {
					wanted = wsk.STATUS_ACCESS_DENIED
				}
				h := newHost(t)
				bind := func(kind string, sd *wsk.SecurityDescriptor) wsk.NTSTATUS {
					c := newCall(t)
					c.end("Socket", h.npi.Socket(2, 2, 17, 4, nil, nil, nil, nil, sd, &c.IRP))
					s := c.IoStatus.Socket
					switch kind[:2] {
					case "RE":
						want(t, "REUSE", h.set(s, sol, wsk.SO_REUSEADDR, 1), wsk.STATUS_SUCCESS)
					case "EX":
						want(t, "EXCLUSIVE", h.set(s, sol, wsk.SO_EXCLUSIVEADDRUSE, 1), wsk.STATUS_SUCCESS)
					}
					return h.bind(s, map[byte]string{'W': "0.0.0.0:1000", 'S': "192.0.2.10:1000"}[kind[len(kind)-1]])
				}
				sd, status := h.npi.CacheSecurityDescriptor(wsk.SharingDescriptor(permit))
				want(t, "CACHE_SD", status, wsk.STATUS_SUCCESS)
				want(t, "first", bind(kinds[first], sd), wsk.STATUS_SUCCESS)
				// The second socket's own descriptor does not matter.
				other, _ := h.npi.CacheSecurityDescriptor(wsk.SharingDescriptor(!permit))
				want(t, fmt.Sprintf("%s after %s, permit %v", kinds[second], kinds[first], permit), bind(kinds[second], other), wanted)
			}
		}
	}
}

// Which binds conflict: the matrix goes for one port, and for addresses that one datagram can be for.
func TestSharingMeets(t *testing.T) {
	for _, c := range []struct {
		a, b       string
		dual, meet bool
	}{
		{"0.0.0.0:1", "0.0.0.0:2", false, false},
		{"192.0.2.1:1", "192.0.2.2:1", false, false},
		{"192.0.2.1:1", "[2001:db8::1]:1", false, false},
		{"0.0.0.0:1", "[::]:1", false, false},
		{"0.0.0.0:1", "[::]:1", true, true},
		{"[::]:1", "192.0.2.1:1", false, false},
		{"[::]:1", "192.0.2.1:1", true, true},
		{"[::]:1", "[2001:db8::1]:1", false, true},
		{"0.0.0.0:1", "[2001:db8::1]:1", false, false},
		{"0.0.0.0:1", "[::ffff:192.0.2.1]:1", false, true},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", false, true},
		{"[::ffff:0.0.0.0]:1", "192.0.2.1:1", true, true},
		{"[::ffff:0.0.0.0]:1", "0.0.0.0:1", true, true},
		{"[::ffff:0.0.0.0]:1", "[2001:db8::1]:1", true, false},
		{"[::]:1", "[::]:1", false, true},
		{"[fe80::1%2]:1", "[fe80::1%3]:1", false, false},
		{"[fe80::1%2]:1", "[::]:1", false, true},
		{"[fe80::1%2]:1", "[fe80::1%2]:1", false, true},
	} {
		for range 2 {
			request := func(s string) *wsk.BindRequest {
				ap := netip.MustParseAddrPort(s)
				return &wsk.BindRequest{Local: ap, DualStack: c.dual && ap.Addr().Is6()}
			}
			second := request(c.b)
			second.ExclusiveAddressUse = true // refused whenever the two conflict
			if got := wsk.Sharing(request(c.a), second) != wsk.STATUS_SUCCESS; got != c.meet {
				t.Errorf("%s and %s, dual-stack %v: meet %v", c.a, c.b, c.dual, got)
			}
			c.a, c.b = c.b, c.a
		}
	}
}

// Checklist item 12: the descriptor cache counts references; item 53: SO_WSK_SECURITY comes before bind.
func TestSecurityDescriptors(t *testing.T) {
	h := newHost(t)
	permit, refuse := wsk.SharingDescriptor(true), wsk.SharingDescriptor(false)
	a, status := h.npi.CacheSecurityDescriptor(permit)
	want(t, "CACHE_SD", status, wsk.STATUS_SUCCESS)
	if b, _ := h.npi.CacheSecurityDescriptor(permit); b != a {
		t.Error("the same content is cached twice")
	}
	if c, _ := h.npi.CacheSecurityDescriptor(refuse); c == a || bytes.Equal(c.Handle(), a.Handle()) {
		t.Error("different content is cached once")
	}
	s := h.socket(wsk.AF_INET)
	get := func() []byte {
		t.Helper()
		c, out := newCall(t), make([]byte, 8)
		want(t, "get", c.end("get", s.ControlSocket(wsk.WskGetOption, wsk.SO_WSK_SECURITY, sol, nil, out, nil, &c.IRP)), wsk.STATUS_SUCCESS)
		if c.IoStatus.Information != 8 {
			t.Errorf("Information %d", c.IoStatus.Information)
		}
		return out
	}
	if !bytes.Equal(get(), make([]byte, 8)) {
		t.Error("the default descriptor is not NULL")
	}
	want(t, "set", h.setBytes(s, sol, wsk.SO_WSK_SECURITY, a.Handle()), wsk.STATUS_SUCCESS)
	if !bytes.Equal(get(), a.Handle()) {
		t.Error("got another handle")
	}
	want(t, "unknown handle", h.setBytes(s, sol, wsk.SO_WSK_SECURITY, bytes.Repeat([]byte{0x77}, 8)), wsk.STATUS_INVALID_PARAMETER)
	want(t, "short", h.setBytes(s, sol, wsk.SO_WSK_SECURITY, a.Handle()[:4]), wsk.STATUS_INVALID_PARAMETER)
	irp := newCall(t)
	want(t, "get into 4 bytes", irp.end("get", s.ControlSocket(wsk.WskGetOption, wsk.SO_WSK_SECURITY, sol, nil, make([]byte, 4), nil, &irp.IRP)),
		wsk.STATUS_BUFFER_TOO_SMALL)

	release := func(handle []byte) wsk.NTSTATUS {
		_, status := h.client(wsk.WSK_RELEASE_SD, handle, nil)
		return status
	}
	want(t, "first reference", release(a.Handle()), wsk.STATUS_SUCCESS)
	want(t, "still cached", h.setBytes(s, sol, wsk.SO_WSK_SECURITY, a.Handle()), wsk.STATUS_SUCCESS)
	want(t, "second reference", release(a.Handle()), wsk.STATUS_SUCCESS)
	want(t, "third", release(a.Handle()), wsk.STATUS_INVALID_PARAMETER)
	want(t, "released", h.setBytes(h.socket(2), sol, wsk.SO_WSK_SECURITY, a.Handle()), wsk.STATUS_INVALID_PARAMETER)
	c := newCall(t)
	want(t, "released, WskSocket", c.end("Socket", h.npi.Socket(2, 2, 17, 4, nil, nil, nil, nil, a, &c.IRP)), wsk.STATUS_INVALID_PARAMETER)
	// A socket that has the descriptor keeps it.
	want(t, "Bind", h.bind(s, "0.0.0.0:1000"), wsk.STATUS_SUCCESS)
	want(t, "a second one", h.bind(h.socket(2), "192.0.2.1:1000"), wsk.STATUS_SUCCESS)
	want(t, "set after bind", h.setBytes(s, sol, wsk.SO_WSK_SECURITY, make([]byte, 8)), wsk.STATUS_INVALID_DEVICE_STATE)
	want(t, "default again", h.setBytes(h.socket(2), sol, wsk.SO_WSK_SECURITY, make([]byte, 8)), wsk.STATUS_SUCCESS)
	// A descriptor from another registration's cache.
	other := newHost(t)
	foreign, _ := other.npi.CacheSecurityDescriptor(refuse)
	c = newCall(t)
	want(t, "foreign", c.end("Socket", h.npi.Socket(2, 2, 17, 4, nil, nil, nil, nil, foreign, &c.IRP)), wsk.STATUS_INVALID_PARAMETER)
}

// ace is an ACE with a SID.
func ace(kind byte, mask uint32, sid string) []byte {
	b := []byte{kind, 0, byte(8 + len(sid)), 0}
	return append(binary.LittleEndian.AppendUint32(b, mask), sid...)
}

// acl is a self-relative descriptor whose DACL has these entries.
func acl(aces ...[]byte) []byte {
	b := wsk.SharingDescriptor(false)
	n := 8
	for _, a := range aces {
		b = append(b, a...)
		n += len(a)
	}
	binary.LittleEndian.PutUint16(b[22:], uint16(n))
	binary.LittleEndian.PutUint16(b[24:], uint16(len(aces)))
	return b
}

// What descriptors say, and bytes that are no descriptor.
func TestSecurityDescriptorContent(t *testing.T) {
	const everyone, system = "\x01\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", "\x01\x01\x00\x00\x00\x00\x00\x05\x12\x00\x00\x00"
	edit := func(b []byte, at int, v byte) []byte {
		b = bytes.Clone(b)
		b[at] = v
		return b
	}
	allow := ace(0, 1, everyone)
	const invalid = wsk.STATUS_INVALID_PARAMETER
	for _, c := range []struct {
		name   string
		raw    []byte
		status wsk.NTSTATUS
		share  bool
	}{
		{"null-dacl", wsk.SharingDescriptor(true), 0, true},
		{"no-dacl", edit(wsk.SharingDescriptor(false), 2, 0), 0, true},
		{"empty-dacl", wsk.SharingDescriptor(false), 0, false},
		{"allow-everyone", acl(allow), 0, true},
		{"allow-system-only", acl(ace(0, 1, system)), 0, false},
		{"allow-system-and-everyone", acl(ace(0, 1, system), allow), 0, true},
		{"deny-first", acl(ace(1, 1, everyone), allow), 0, false},
		{"deny-after", acl(allow, ace(1, 1, everyone)), 0, true},
		{"allow-nothing", acl(ace(0, 0, everyone)), 0, false},
		{"audit-entry", acl(ace(2, 1, everyone)), 0, false},
		{"empty", nil, invalid, false},
		{"short", wsk.SharingDescriptor(true)[:19], invalid, false},
		{"revision", edit(wsk.SharingDescriptor(true), 0, 2), invalid, false},
		{"absolute", edit(wsk.SharingDescriptor(true), 3, 0), invalid, false},
		{"dacl-in-head", edit(acl(allow), 16, 4), invalid, false},
		{"dacl-outside", edit(acl(allow), 16, 0xF0), invalid, false},
		{"dacl-size", edit(acl(allow), 22, 0xFF), invalid, false},
		{"dacl-size-small", edit(acl(allow), 22, 7), invalid, false},
		{"more-entries", edit(acl(allow), 24, 2), invalid, false},
		{"entry-size", edit(acl(allow), 30, 0xFF), invalid, false},
		{"entry-size-0", edit(acl(allow), 30, 0), invalid, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			sd, status := h.npi.CacheSecurityDescriptor(c.raw)
			want(t, "CACHE_SD", status, c.status)
			if status != wsk.STATUS_SUCCESS {
				return
			}
			s := h.socket(wsk.AF_INET)
			want(t, "set", h.setBytes(s, sol, wsk.SO_WSK_SECURITY, sd.Handle()), wsk.STATUS_SUCCESS)
			want(t, "Bind", h.bind(s, "0.0.0.0:1000"), wsk.STATUS_SUCCESS)
			second := wsk.STATUS_ACCESS_DENIED
			if c.share {
				second = wsk.STATUS_SUCCESS
			}
			want(t, "second socket", h.bind(h.socket(2), "192.0.2.1:1000"), second)
		})
	}
	_, status := newHost(t).client(wsk.WSK_CACHE_SD, wsk.SharingDescriptor(true), make([]byte, 7))
	want(t, "no room for the handle", status, wsk.STATUS_BUFFER_TOO_SMALL)
}
