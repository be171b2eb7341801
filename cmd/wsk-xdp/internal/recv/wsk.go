// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// wskEngine is a WSK socket over AF_XDP.
type wskEngine struct {
	dp     *datapath.Datapath
	client *client.Client
}

// OpenWSK attaches an XDP program to the interfaces, and binds a WSK socket whose datagrams from there come over AF_XDP.
// netns is the descriptor of a network namespace, 0 for the process's own.
func OpenWSK(ctx context.Context, netns int, interfaces []string, local netip.AddrPort, sink *Sink, logger *slog.Logger) (_ Engine, err error) {
	e := &wskEngine{}
	if e.dp, err = OpenDatapath(datapath.Options{NetNS: netns, Receive: interfaces, Logger: logger}); err != nil {
		return nil, err
	}
	if e.client, err = client.Open(e.dp, e.dp.Close); err != nil {
		return nil, err
	}
	if err := e.bind(ctx, local, sink); err != nil {
		return nil, errors.Join(err, e.client.Close(ctx))
	}
	return e, nil
}

func (e *wskEngine) bind(ctx context.Context, local netip.AddrPort, sink *Sink) error {
	family := uint16(wsk.AF_INET6)
	if local.Addr().Is4() {
		family = wsk.AF_INET
	}
	event := func(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		sink.Batch(func(take func([]byte, int)) {
			for d := list; d != nil; d = d.Next {
				length := int(d.Buffer.Length)
				c := d.Buffer.Cursor(0)
				take(c.Next(length), length)
			}
		})
		return wsk.STATUS_SUCCESS
	}
	socket, err := e.client.Socket(ctx, family, &wsk.ClientDatagramDispatch{ReceiveFromEvent: event}, nil)
	if err != nil {
		return err
	}
	if !local.Addr().IsValid() {
		if err := client.SetOption(ctx, socket, wsk.IPPROTO_IPV6, wsk.IPV6_V6ONLY, 0); err != nil {
			return err
		}
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), local.Port())
	}
	if err := client.Bind(ctx, socket, local); err != nil {
		return err
	}
	return client.EnableReceiveFrom(ctx, socket)
}

func (e *wskEngine) Name() string { return "wsk" }

// Drops are those of the datapath.
func (e *wskEngine) Drops() map[string]uint64 { return DropsOf(e.dp.Info()) }

// DropsOf are the datagrams that the kernel has dropped at the AF_XDP sockets of a datapath, and that this has dropped
// itself, by cause. It is never nil.
func DropsOf(info datapath.Info) map[string]uint64 {
	out := map[string]uint64{}
	add := func(cause string, n uint64) {
		if n > 0 {
			out[cause] += n
		}
	}
	for _, q := range info.Queues {
		if r := q.Receive; r != nil {
			add("rx_ring_full", r.Kernel.RxRingFull)
			// In copy mode a frame for which the fill ring has no chunk counts as dropped, too (net/xdp/xsk.c, __xsk_rcv).
			add("rx_dropped", r.Kernel.RxDropped-min(r.Kernel.RxDropped, r.Kernel.RxFillRingEmpty))
			add("rx_fill_ring_empty", r.Kernel.RxFillRingEmpty)
			add("memory_full", r.Exhausted)
			add("not_for_this_host", r.OtherHost+r.Unowned+r.NotJoined+r.Refused)
			for _, n := range r.Malformed {
				add("malformed", n)
			}
		}
	}
	add("companion_discarded", info.CompanionDiscarded)
	add(BufferFull, info.CompanionOverflowed)
	return out
}

// CatchUp does nothing: what is in the rings is not known here.
func (e *wskEngine) CatchUp() {}

// Err is nil: datagrams come through the kernel's stack where AF_XDP has ended.
func (e *wskEngine) Err() error { return nil }

func (e *wskEngine) Close() error { return e.client.Close(context.Background()) }
