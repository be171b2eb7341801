// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"bytes"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// sendCase is a call of SendTo. The zero value of each field means the default that is given behind it.
type sendCase struct {
	unbound, dual bool
	family        uint16 // AF_INET
	kill, closed  bool
	cancel        bool
	flags         uint32
	buf           *wsk.Buf // 4 bytes
	noBuf         bool
	remote        wsk.SOCKADDR // 192.0.2.1:9
	noRemote      bool
	control       []byte
	local         string
}

func (c sendCase) run(t *testing.T) wsk.NTSTATUS {
	t.Helper()
	h := newHost(t)
	if c.family == 0 {
		c.family = wsk.AF_INET
	}
	s := h.socket(c.family)
	if c.dual {
		want(t, "V6ONLY off", h.set(s, wsk.IPPROTO_IPV6, wsk.IPV6_V6ONLY, 0), wsk.STATUS_SUCCESS)
	}
	if !c.unbound {
		local := c.local
		if local == "" {
			local = map[uint16]string{wsk.AF_INET: "0.0.0.0:0", wsk.AF_INET6: "[::]:0"}[c.family]
		}
		want(t, "Bind", h.bind(s, local), wsk.STATUS_SUCCESS)
	}
	if c.kill {
		h.transport.Kill()
	}
	if c.closed {
		want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
	}
	irp := newCall(t)
	if c.cancel {
		irp.Cancel()
	}
	if c.buf == nil && !c.noBuf {
		c.buf = text("data")
	}
	if c.remote == nil && !c.noRemote {
		c.remote = addr("192.0.2.1:9")
	}
	status := irp.end("SendTo", s.SendTo(c.buf, c.flags, c.remote, c.control, &irp.IRP))
	// SendMessages takes the same way.
	list := newCall(t)
	if c.cancel {
		list.Cancel()
	}
	node := &wsk.BufList{}
	if c.buf != nil {
		node.Buffer = *c.buf
	} else {
		node = nil
	}
	got := list.end("SendMessages", s.SendMessages(node, c.flags, c.remote, c.control, &list.IRP))
	want(t, "SendMessages as SendTo", got, status)
	// So does SendBatch.
	one := newCall(t)
	if c.cancel {
		one.Cancel()
	}
	batch := wsk.Batch{Sends: []wsk.BatchSend{{Buf: c.buf, Flags: c.flags, Remote: c.remote, Control: c.control, IRP: &one.IRP}}}
	s.SendBatch(&batch)
	want(t, "SendBatch as SendTo", one.end("SendBatch", batch.Sends[0].Status), status)
	sent := h.transport.Counts().Sends
	if (sent == 3) != (status == wsk.STATUS_SUCCESS) || sent != 3 && sent != 0 {
		t.Errorf("%v, and %d operations reached the transport", status, sent)
	}
	return status
}

// Every row of docs/wsk-mapping.md, status of a send that is decided in this package, each by itself. Checklist items 21, 34 and 38.
func TestSendToValidation(t *testing.T) {
	huge4 := &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 65508)), Length: 65508}
	most4 := &wsk.Buf{Mdl: huge4.Mdl, Length: 65507}
	huge6 := &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 65528)), Length: 65528}
	most6 := &wsk.Buf{Mdl: huge6.Mdl, Length: 65527}
	for name, c := range map[string]struct {
		sendCase
		want wsk.NTSTATUS
	}{
		"good":                             {sendCase{}, wsk.STATUS_SUCCESS},
		"row-2-closed":                     {sendCase{closed: true}, wsk.STATUS_FILE_CLOSED},
		"row-2-dead":                       {sendCase{kill: true}, wsk.STATUS_FILE_FORCED_CLOSED},
		"row-3-cancelled":                  {sendCase{cancel: true}, wsk.STATUS_CANCELLED},
		"row-4-flags":                      {sendCase{flags: 1}, wsk.STATUS_INVALID_PARAMETER},
		"row-4-flags-high":                 {sendCase{flags: 1 << 31}, wsk.STATUS_INVALID_PARAMETER},
		"row-5-nil-buffer":                 {sendCase{noBuf: true}, wsk.STATUS_INVALID_PARAMETER},
		"row-5-nil-mdl":                    {sendCase{buf: &wsk.Buf{Length: 1}}, wsk.STATUS_INVALID_PARAMETER},
		"row-5-offset":                     {sendCase{buf: &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 4)), Offset: 5, Length: 1}}, wsk.STATUS_INVALID_PARAMETER},
		"row-5-length":                     {sendCase{buf: &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 4)), Length: 5}}, wsk.STATUS_INVALID_PARAMETER},
		"row-6-unbound":                    {sendCase{unbound: true}, wsk.STATUS_INVALID_DEVICE_STATE},
		"row-7-no-address":                 {sendCase{noRemote: true}, wsk.STATUS_INVALID_PARAMETER},
		"row-8-ipv6-on-ipv4":               {sendCase{remote: addr("[2001:db8::1]:9")}, wsk.STATUS_INVALID_PARAMETER},
		"row-8-ipv4-on-ipv6":               {sendCase{family: wsk.AF_INET6}, wsk.STATUS_INVALID_PARAMETER},
		"row-8-linux-af-inet6":             {sendCase{family: wsk.AF_INET6, remote: append([]byte{10}, addr("[2001:db8::1]:9")[1:]...)}, wsk.STATUS_INVALID_PARAMETER},
		"row-8-short":                      {sendCase{remote: addr("192.0.2.1:9")[:15]}, wsk.STATUS_INVALID_PARAMETER},
		"row-8-empty-is-not-null":          {sendCase{remote: wsk.SOCKADDR{}}, wsk.STATUS_INVALID_PARAMETER},
		"row-8-short-ipv6":                 {sendCase{family: wsk.AF_INET6, remote: addr("[2001:db8::1]:9")[:27]}, wsk.STATUS_INVALID_PARAMETER},
		"row-9-wildcard":                   {sendCase{remote: addr("0.0.0.0:9")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		"row-9-wildcard-6":                 {sendCase{family: wsk.AF_INET6, remote: addr("[::]:9")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		"row-9-wildcard-mapped":            {sendCase{family: wsk.AF_INET6, dual: true, remote: addr("[::ffff:0.0.0.0]:9")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		"row-9-port-0":                     {sendCase{remote: addr("192.0.2.1:0")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		"row-9-port-0-6":                   {sendCase{family: wsk.AF_INET6, remote: addr("[2001:db8::1]:0")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		"row-10-mapped-on-v6only":          {sendCase{family: wsk.AF_INET6, remote: addr("[::ffff:192.0.2.1]:9")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		"row-10-mapped-on-dual":            {sendCase{family: wsk.AF_INET6, dual: true, remote: addr("[::ffff:192.0.2.1]:9")}, wsk.STATUS_SUCCESS},
		"row-10-v6-from-mapped":            {sendCase{family: wsk.AF_INET6, dual: true, local: "[::ffff:192.0.2.9]:0", remote: addr("[2001:db8::1]:9")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		"row-10-mapped-from-mapped":        {sendCase{family: wsk.AF_INET6, dual: true, local: "[::ffff:192.0.2.9]:0", remote: addr("[::ffff:192.0.2.1]:9")}, wsk.STATUS_SUCCESS},
		"row-10-mapped-from-v6":            {sendCase{family: wsk.AF_INET6, dual: true, local: "[2001:db8::9]:0", remote: addr("[::ffff:192.0.2.1]:9")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		"row-11-short-object":              {sendCase{control: make([]byte, 15)}, wsk.STATUS_INVALID_PARAMETER},
		"row-11-past-end":                  {sendCase{control: wsk.AppendTOS(nil, true, 0)[:19]}, wsk.STATUS_INVALID_PARAMETER},
		"row-11-ecn-3":                     {sendCase{control: wsk.AppendECN(nil, true, 3)}, wsk.STATUS_INVALID_PARAMETER},
		"row-12-broadcast":                 {sendCase{remote: addr("255.255.255.255:9")}, wsk.STATUS_ACCESS_DENIED},
		"row-13-65508":                     {sendCase{buf: huge4}, wsk.STATUS_INVALID_BUFFER_SIZE},
		"row-13-65507":                     {sendCase{buf: most4}, wsk.STATUS_SUCCESS},
		"row-13-65528-over-ipv6":           {sendCase{family: wsk.AF_INET6, remote: addr("[2001:db8::1]:9"), buf: huge6}, wsk.STATUS_INVALID_BUFFER_SIZE},
		"row-13-65527-over-ipv6":           {sendCase{family: wsk.AF_INET6, remote: addr("[2001:db8::1]:9"), buf: most6}, wsk.STATUS_SUCCESS},
		"row-13-65508-over-ipv6-to-mapped": {sendCase{family: wsk.AF_INET6, dual: true, remote: addr("[::ffff:192.0.2.1]:9"), buf: huge4}, wsk.STATUS_INVALID_BUFFER_SIZE},
		"row-13-segmented":                 {sendCase{buf: huge4, control: wsk.AppendSendMsgSize(nil, 1000)}, wsk.STATUS_INVALID_BUFFER_SIZE},
		"row-19-empty":                     {sendCase{buf: &wsk.Buf{}}, wsk.STATUS_SUCCESS},
	} {
		t.Run(name, func(t *testing.T) { want(t, "SendTo", c.run(t), c.want) })
	}
}

// Row 1 of docs/wsk-mapping.md, status of a send, and checklist item 21: without an IRP there is nothing to complete,
// whatever the function.
func TestNilIRP(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	want(t, "SendTo", s.SendTo(text("x"), 0, addr("192.0.2.1:9"), nil, nil), wsk.STATUS_INVALID_PARAMETER)
	want(t, "SendMessages", s.SendMessages(&wsk.BufList{}, 0, addr("192.0.2.1:9"), nil, nil), wsk.STATUS_INVALID_PARAMETER)
	want(t, "Close", s.Close(nil), wsk.STATUS_INVALID_PARAMETER)
	want(t, "the socket is still open", h.send(s, "x", "192.0.2.1:9", nil), wsk.STATUS_SUCCESS)
}

// The order of docs/wsk-mapping.md, status of a send: of two faults that of the earlier row decides. Each case has the
// fault of its row, and of every later row whose fault is possible together with it. Checklist item 34.
func TestSendToValidationOrder(t *testing.T) {
	all := func(c sendCase) sendCase {
		c.control = make([]byte, 3)
		if c.remote == nil && !c.noRemote {
			c.remote = addr("255.255.255.255:0")
		}
		if c.buf == nil {
			c.buf = &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 65508)), Length: 65508}
		}
		return c
	}
	bad := &wsk.Buf{Length: 1}
	for _, c := range []struct {
		name string
		sendCase
		want wsk.NTSTATUS
	}{
		{"row-2", sendCase{closed: true, kill: true, cancel: true, flags: 1, buf: bad}, wsk.STATUS_FILE_CLOSED},
		{"row-2-dead", sendCase{kill: true, cancel: true, flags: 1, buf: bad, unbound: true}, wsk.STATUS_FILE_FORCED_CLOSED},
		{"row-3", sendCase{cancel: true, flags: 1, buf: bad, unbound: true}, wsk.STATUS_CANCELLED},
		{"row-4", sendCase{flags: 1, unbound: true}, wsk.STATUS_INVALID_PARAMETER},
		{"row-5", sendCase{buf: bad, unbound: true}, wsk.STATUS_INVALID_PARAMETER},
		{"row-6", sendCase{unbound: true, noRemote: true}, wsk.STATUS_INVALID_DEVICE_STATE},
		{"row-7", sendCase{noRemote: true}, wsk.STATUS_INVALID_PARAMETER},
		{"row-8", sendCase{remote: addr("[::]:0")}, wsk.STATUS_INVALID_PARAMETER},
		{"row-9", sendCase{}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"row-9-before-10", sendCase{family: wsk.AF_INET6, remote: addr("[::ffff:0.0.0.0]:0")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"row-10", sendCase{family: wsk.AF_INET6, remote: addr("[::ffff:255.255.255.255]:9")}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"row-11", sendCase{remote: addr("255.255.255.255:9")}, wsk.STATUS_INVALID_PARAMETER},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, "SendTo", all(c.sendCase).run(t), c.want) })
	}
	c := sendCase{remote: addr("255.255.255.255:9"), buf: &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 65508)), Length: 65508}}
	want(t, "row-12 before 13", c.run(t), wsk.STATUS_ACCESS_DENIED)
}

// Checklist item 34: with SO_BROADCAST the limited broadcast is sent, and marked for the transport.
func TestBroadcast(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	want(t, "SO_BROADCAST", h.set(s, wsk.SOL_SOCKET, wsk.SO_BROADCAST, 1), wsk.STATUS_SUCCESS)
	want(t, "SendTo", h.send(s, "x", "255.255.255.255:9", nil), wsk.STATUS_SUCCESS)
	if d := h.last(); d.To.Flags&wsk.AllowBroadcast == 0 {
		t.Error("the transport is not told that broadcasts are allowed")
	}
	want(t, "SO_BROADCAST off", h.set(s, wsk.SOL_SOCKET, wsk.SO_BROADCAST, 0), wsk.STATUS_SUCCESS)
	want(t, "SendTo", h.send(s, "x", "255.255.255.255:9", nil), wsk.STATUS_ACCESS_DENIED)
	want(t, "SendTo unicast", h.send(s, "x", "192.0.2.255:9", nil), wsk.STATUS_SUCCESS)
	if d := h.last(); d.To.Flags&wsk.AllowBroadcast != 0 {
		t.Error("the transport is told that broadcasts are allowed")
	}
}

// Checklist item 29: Information is the size of the payload, 0 for an empty datagram, which is a datagram all the
// same.
func TestInformation(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	for _, payload := range []string{"", "1", "12345678901234567"} {
		want(t, "SendTo", h.send(s, payload, "192.0.2.1:9", nil), wsk.STATUS_SUCCESS) // compares Information
		if d := h.last(); string(d.Payload) != payload {
			t.Errorf("left as %q, want %q", d.Payload, payload)
		}
	}
	if n := len(h.transport.Datagrams()); n != 3 {
		t.Errorf("%d datagrams left, want 3", n)
	}
	// Failure of a pending send: Information 0.
	h.transport.SetMode(wsktest.Wait)
	irp := newCall(t)
	status := s.SendTo(text("lost"), 0, addr("192.0.2.1:9"), nil, &irp.IRP)
	h.transport.CompleteAll(wsk.STATUS_HOST_UNREACHABLE)
	want(t, "SendTo", irp.end("SendTo", status), wsk.STATUS_HOST_UNREACHABLE) // end compares Information
}

// Checklist item 31: an IRP stays pending until the transport completes it; item 33: small arguments are copied in the
// call.
func TestSendToCapturesInCall(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	h.transport.SetMode(wsktest.Wait)
	buf := text("payload")
	remote := addr("192.0.2.1:9")
	control := wsk.AppendTOS(nil, true, 0xb8)
	irp := newCall(t)
	status := s.SendTo(buf, 0, remote, control, &irp.IRP)
	want(t, "SendTo", status, wsk.STATUS_PENDING)
	if irp.completed.Load() != 0 {
		t.Fatal("completed before the transport had it sent")
	}
	*buf = wsk.Buf{Mdl: wsk.AllocateMDL([]byte("something else")), Length: 14}
	clear(remote)
	clear(control)
	h.transport.CompleteAll(wsk.STATUS_SUCCESS)
	want(t, "SendTo", irp.end("SendTo", status), wsk.STATUS_SUCCESS)
	d := h.last()
	if string(d.Payload) != "payload" || d.To.IP().String() != "192.0.2.1" || d.To.Port != 9 || d.To.TOS != 0xb8 {
		t.Errorf("left: %q to %v:%d TOS %#x", d.Payload, d.To.IP(), d.To.Port, d.To.TOS)
	}
}

// Checklist items 31 and 77: after completion an idle IRP keeps nothing of the client's, and a transport sees no
// buffers.
func TestCompletionLetsBuffersGo(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	h.transport.SetMode(wsktest.Post)
	payload := []byte("payload")
	irp := newCall(t)
	status := s.SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL(payload), Length: 7}, 0, addr("192.0.2.1:9"), nil, &irp.IRP)
	h.transport.CompleteAll(wsk.STATUS_SUCCESS)
	irp.end("SendTo", status)
	clear(payload)
	if d := h.last(); !bytes.Equal(d.Payload, []byte("payload")) {
		t.Errorf("left as %q", d.Payload)
	}
}

// Checklist item 30.
func TestFixedAddresses(t *testing.T) {
	for _, code := range []uint32{wsk.SIO_WSK_SET_REMOTE_ADDRESS, wsk.SIO_WSK_SET_SENDTO_ADDRESS} {
		h := newHost(t)
		s := h.socket(wsk.AF_INET)
		want(t, "before bind", h.ioctl(s, code, addr("192.0.2.1:9")), wsk.STATUS_INVALID_DEVICE_STATE)
		want(t, "Bind", h.bind(s, "0.0.0.0:0"), wsk.STATUS_SUCCESS)
		want(t, "send without", h.send(s, "x", "", nil), wsk.STATUS_INVALID_PARAMETER)
		want(t, "set", h.ioctl(s, code, addr("192.0.2.1:9")), wsk.STATUS_SUCCESS)
		want(t, "send to fixed", h.send(s, "x", "", nil), wsk.STATUS_SUCCESS)
		if d := h.last(); d.To.IP().String() != "192.0.2.1" || d.To.Port != 9 {
			t.Errorf("went to %v:%d", d.To.IP(), d.To.Port)
		}
		want(t, "explicit wins", h.send(s, "x", "192.0.2.2:10", nil), wsk.STATUS_SUCCESS)
		if d := h.last(); d.To.IP().String() != "192.0.2.2" || d.To.Port != 10 {
			t.Errorf("went to %v:%d", d.To.IP(), d.To.Port)
		}
		want(t, "bad family", h.ioctl(s, code, addr("[::1]:9")), wsk.STATUS_INVALID_PARAMETER)
		want(t, "short", h.ioctl(s, code, addr("192.0.2.3:9")[:8]), wsk.STATUS_INVALID_PARAMETER)
		want(t, "port 0", h.ioctl(s, code, addr("192.0.2.3:0")), wsk.STATUS_INVALID_ADDRESS_COMPONENT)
		want(t, "wildcard", h.ioctl(s, code, addr("0.0.0.0:9")), wsk.STATUS_INVALID_ADDRESS_COMPONENT)
		want(t, "a failed set changes nothing", h.send(s, "x", "", nil), wsk.STATUS_SUCCESS)
		if d := h.last(); d.To.IP().String() != "192.0.2.1" {
			t.Errorf("went to %v", d.To.IP())
		}
		want(t, "nil IRP", s.ControlSocket(wsk.WskIoctl, code, 0, addr("192.0.2.3:9"), nil, nil, nil), wsk.STATUS_INVALID_PARAMETER)
		want(t, "clear", h.ioctl(s, code, nil), wsk.STATUS_SUCCESS)
		want(t, "send without", h.send(s, "x", "", nil), wsk.STATUS_INVALID_PARAMETER)
	}
}

// Of the two, the one that was set last is the destination; clearing it brings back the other.
func TestBothFixedAddresses(t *testing.T) {
	h := newHost(t)
	s := h.bound("[::]:1000", dualStack)
	goes := func(to string) {
		t.Helper()
		want(t, "SendTo", h.send(s, "x", "", nil), wsk.STATUS_SUCCESS)
		if d := h.last(); d.To.IP().String() != to {
			t.Errorf("went to %v, want %s", d.To.IP(), to)
		}
	}
	want(t, "remote", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, addr("[2001:db8::1]:9")), wsk.STATUS_SUCCESS)
	want(t, "sendto", h.ioctl(s, wsk.SIO_WSK_SET_SENDTO_ADDRESS, addr("[::ffff:192.0.2.2]:9")), wsk.STATUS_SUCCESS)
	goes("192.0.2.2")
	want(t, "remote", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, addr("[2001:db8::3]:9")), wsk.STATUS_SUCCESS)
	goes("2001:db8::3")
	want(t, "clear remote", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, nil), wsk.STATUS_SUCCESS)
	goes("192.0.2.2")
	v6only := h.bound("[::]:1001")
	want(t, "v4-mapped on V6ONLY", h.ioctl(v6only, wsk.SIO_WSK_SET_SENDTO_ADDRESS, addr("[::ffff:192.0.2.2]:9")),
		wsk.STATUS_INVALID_ADDRESS_COMPONENT)
}
