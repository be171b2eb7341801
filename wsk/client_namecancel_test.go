// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// stubborn is a resolver that does not notice in time that its context has ended, like that of the C library.
type stubborn struct {
	resolver
	answer chan struct{}
}

func (r *stubborn) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	<-r.answer
	return []netip.Addr{netip.MustParseAddr("192.0.2.66")}, nil
}

// A cancelled name query is over for its IRP, whatever the resolver still does: at its completion the IRP is the
// client's, and the resolver has no part in what the client passes it to next.
func TestCancelledNameQueryLeavesTheIRP(t *testing.T) {
	for _, next := range []string{"receive", "query"} {
		t.Run(next, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &stubborn{answer: make(chan struct{})}
				h := newHostWith(t, wsk.ProviderOptions{Resolver: r})
				s := h.bound("0.0.0.0:1000")
				var first, second *wsk.AddrInfo
				irp := wsk.AllocateIRP()
				ask := func(result **wsk.AddrInfo) {
					want(t, "query", h.npi.GetAddressInfo("a.example", "", 0, nil, nil, result, nil, nil, irp), wsk.STATUS_PENDING)
				}
				ask(&first)
				synctest.Wait()
				if !irp.Cancel() || irp.IoStatus.Status != wsk.STATUS_CANCELLED {
					t.Fatalf("not cancelled: %v", irp.IoStatus.Status)
				}
				irp.Reuse(wsk.STATUS_SUCCESS)
				completed := false
				irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
					completed = true
					return wsk.STATUS_MORE_PROCESSING_REQUIRED
				}, nil, true, true, true)
				if next == "receive" {
					want(t, "receive", s.ReceiveFrom(text("room"), 0, nil, nil, nil, nil, irp), wsk.STATUS_PENDING)
				} else {
					ask(&second)
				}
				synctest.Wait()
				r.answer <- struct{}{} // of the first query
				synctest.Wait()
				if completed || first != nil || second != nil {
					t.Errorf("the end of a query that was cancelled completed the next call: %v, %v, %v, %v",
						completed, irp.IoStatus.Status, describe(first), describe(second))
				}
				close(r.answer)
				if next == "receive" {
					if !completed && !irp.Cancel() {
						t.Error("the receive is not waiting")
					}
				} else {
					synctest.Wait()
					if describe(second) == "" {
						t.Error("the second query has no answer")
					}
				}
				want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
				wsk.ReleaseProviderNPI(&h.reg)
				wsk.Deregister(&h.reg)
			})
		})
	}
}
