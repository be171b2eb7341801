// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// waitLimit is how long a test waits for what takes milliseconds on a machine that has nothing else to do. It only keeps a test
// that is broken from hanging.
const waitLimit = time.Minute

// client is a WSK client over a datapath.
type client struct {
	t   *testing.T
	dp  *Datapath
	npi wsk.ProviderNPI
}

// newClient registers a client with a subsystem of its own. Everything is taken down, and the chunks counted, at the end
// of the test.
func newClient(t *testing.T, dp *Datapath) *client {
	t.Helper()
	return newClientOver(t, dp, dp)
}

// newClientOver is newClient over a transport that passes on to dp.
func newClientOver(t *testing.T, dp *Datapath, transport wsk.Transport) *client {
	t.Helper()
	c := &client{t: t, dp: dp}
	var ss wsk.Subsystem
	mustSucceed(t, "attach", ss.Attach(transport, wsk.ProviderOptions{}))
	reg := new(wsk.Registration)
	npi := &wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}
	mustSucceed(t, "register", ss.Register(npi, reg))
	mustSucceed(t, "capture", wsk.CaptureProviderNPI(reg, wsk.WSK_NO_WAIT, &c.npi))
	t.Cleanup(func() {
		wsk.ReleaseProviderNPI(reg)
		wsk.Deregister(reg)
		ss.Detach()
		audit(t, dp)
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// audit is invariant I1: with nothing under way every chunk is in the pool.
func audit(t *testing.T, dp *Datapath) {
	t.Helper()
	dp.devices.EachQueue(func(q *send.Queue) {
		if err := send.Audit(q); err != nil {
			t.Error(err)
		}
	})
}

// testLogger sends the datapath's log to the test's.
func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// newLab builds a lab and a client in its namespace A.
func newLab(t *testing.T, top testenv.Topology, opts Options) (*testenv.Lab, *client) {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, top)
	opts.NetNS = lab.A.NS.FD()
	opts.Logger = testLogger(t)
	dp, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return lab, newClient(t, dp)
}

func mustSucceed(t *testing.T, what string, status wsk.NTSTATUS) {
	t.Helper()
	if status != wsk.STATUS_SUCCESS {
		t.Fatalf("%s: %v", what, status)
	}
}

// await waits for an IRP and returns its status.
func await(t *testing.T, irp *wsk.IRP) wsk.NTSTATUS {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience(waitLimit))
	defer cancel()
	if err := irp.Wait(ctx); err != nil {
		t.Fatalf("IRP does not complete: %v", err)
	}
	return irp.IoStatus.Status
}

// pending reports whether an IRP has not completed.
func pending(irp *wsk.IRP) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return irp.Wait(ctx) != nil
}

// socket makes a socket bound to local ("10.77.0.1:0", "[::]:5000") and closes it at the end of the test.
func (c *client) socket(local string) *wsk.Socket {
	c.t.Helper()
	ap := netip.MustParseAddrPort(local)
	family := uint16(wsk.AF_INET)
	if ap.Addr().Is6() {
		family = wsk.AF_INET6
	}
	irp := wsk.AllocateIRP()
	c.npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	mustSucceed(c.t, "WskSocket", await(c.t, irp))
	s := irp.IoStatus.Socket
	irp = wsk.AllocateIRP()
	s.Bind(wsk.NewSockaddr(ap), 0, irp)
	mustSucceed(c.t, "WskBind "+local, await(c.t, irp))
	c.t.Cleanup(func() { closeSocket(c.t, s) })
	return s
}

// closeSocket closes a socket unless a test has done so.
func closeSocket(t *testing.T, s *wsk.Socket) {
	t.Helper()
	irp := wsk.AllocateIRP()
	s.Close(irp)
	if status := await(t, irp); status != wsk.STATUS_SUCCESS && status != wsk.STATUS_FILE_CLOSED {
		t.Errorf("WskCloseSocket: %v", status)
	}
}

func localPort(t *testing.T, s *wsk.Socket) uint16 {
	t.Helper()
	sa := make(wsk.SOCKADDR, 28)
	irp := wsk.AllocateIRP()
	s.GetLocalAddress(sa, irp)
	mustSucceed(t, "WskGetLocalAddress", await(t, irp))
	ap, _ := sa.AddrPort()
	return ap.Port()
}

// pattern is n bytes that tell their position.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// mdl lays payload into a chain of MDLs cut at the given odd places, behind junk at the front, with junk at the end.
func mdl(payload []byte, cuts ...int) *wsk.Buf {
	const junk = 5
	whole := append(make([]byte, junk), payload...)
	whole = append(whole, make([]byte, junk)...)
	var head, tail *wsk.MDL
	add := func(b []byte) {
		m := wsk.AllocateMDL(append([]byte(nil), b...))
		if head == nil {
			head = m
		} else {
			tail.Next = m
		}
		tail = m
	}
	from := 0
	for _, cut := range cuts {
		if cut += junk; cut <= from || cut > len(whole)-junk {
			continue
		}
		add(whole[from:cut])
		add(nil) // an empty MDL in the chain is legal
		from = cut
	}
	add(whole[from:])
	return &wsk.Buf{Mdl: head, Offset: junk, Length: uintptr(len(payload))}
}

func whole(payload []byte) *wsk.Buf {
	return &wsk.Buf{Mdl: wsk.AllocateMDL(payload), Length: uintptr(len(payload))}
}

func sockaddr(a netip.Addr, port uint16) wsk.SOCKADDR {
	return wsk.NewSockaddr(netip.AddrPortFrom(a, port))
}

// sendOne sends one datagram and waits for its IRP.
func sendOne(t *testing.T, s *wsk.Socket, buf *wsk.Buf, to wsk.SOCKADDR, control []byte) wsk.NTSTATUS {
	t.Helper()
	irp := wsk.AllocateIRP()
	returned := s.SendTo(buf, 0, to, control, irp)
	status := await(t, irp)
	if returned != wsk.STATUS_PENDING && returned != status {
		t.Errorf("SendTo returned %v, its IRP ended with %v", returned, status)
	}
	want := uintptr(0)
	if status == wsk.STATUS_SUCCESS {
		want = buf.Length
	}
	if irp.IoStatus.Information != want {
		t.Errorf("Information = %d with %v, want %d", irp.IoStatus.Information, status, want)
	}
	return status
}

// option sets a socket option of four bytes, or of any size with value a []byte.
func option(t *testing.T, s *wsk.Socket, level, code uint32, value any) {
	t.Helper()
	var in []byte
	switch v := value.(type) {
	case uint32:
		in = binary.LittleEndian.AppendUint32(nil, v)
	case []byte:
		in = v
	default:
		t.Fatalf("option value %T", value)
	}
	irp := wsk.AllocateIRP()
	s.ControlSocket(wsk.WskSetOption, code, level, in, nil, nil, irp)
	mustSucceed(t, "set option", await(t, irp))
}
