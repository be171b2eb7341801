// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// testSeed is TEST_SEED, or a new seed that the log names.
func testSeed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 0, 64); err != nil {
			t.Fatalf("TEST_SEED: %v", err)
		}
	}
	t.Logf("TEST_SEED=%d", seed)
	return seed
}

// Checklist items 8, 13, 18, 19, 71 and 74: clients come and go, and each makes sockets and does everything with them
// that the API has, from several goroutines and from completion routines and callbacks, in random order, over a
// transport that answers at random. Every IRP completes exactly once, with what its call said; nothing of a socket
// completes after its close, nothing of a client after Deregister, which does return; every datagram is given back.
// (chaosEndpoint says what the transport checks besides.)
func TestChaos(t *testing.T) { chaosStorm(t, func(c *chaos) wsk.Transport { return c }) }

// chaosStorm is the storm over what through makes of the transport, which ends with the test.
func chaosStorm(t *testing.T, through func(*chaos) wsk.Transport) {
	d := &dice{r: rand.New(rand.NewPCG(testSeed(t), 0))}
	c := newChaos(t, d)
	var running, completing sync.WaitGroup
	for range 2 {
		completing.Go(c.complete)
	}
	t.Cleanup(func() { // behind the end of whatever lies between
		c.mu.Lock()
		c.stop = true
		c.work.Broadcast()
		if len(c.endpoints) != 0 || len(c.taken) != 0 || c.lent != 0 {
			t.Errorf("left: %d endpoints, %d operations, %d datagrams", len(c.endpoints), len(c.taken), c.lent)
		}
		c.mu.Unlock()
		completing.Wait()
	})
	transport := through(c)
	ss := new(wsk.Subsystem)
	options := wsk.ProviderOptions{Resolver: &chaosResolver{dice: d}}
	want(t, "Attach", ss.Attach(transport, options), wsk.STATUS_SUCCESS)
	stop := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(stop) })
	loop := func(f func()) {
		running.Go(func() {
			for !t.Failed() {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	loop(func() {
		c.arrive()
		runtime.Gosched()
		if d.n(16) == 0 {
			c.move()
		}
	})
	loop(func() {
		for range 200 {
			runtime.Gosched()
		}
		ss.Detach()
		want(t, "Attach", ss.Attach(transport, options), wsk.STATUS_SUCCESS)
	})
	var clients, irps atomic.Int64
	for range 2 {
		loop(func() {
			n := chaosRound(t, ss, d)
			irps.Add(n)
			clients.Add(1)
		})
	}
	running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("%d clients, %d IRPs, %d endpoints, %d sends, %d datagrams received, %d deaths", clients.Load(), irps.Load(), c.opened, c.sent,
		c.arrived, c.deaths)
}

// chaosResolver takes its time, and sometimes does not notice a cancel.
type chaosResolver struct {
	resolver
	dice *dice
}

func (r *chaosResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	for range r.dice.n(100) {
		runtime.Gosched()
	}
	if r.dice.n(2) == 0 {
		return nil, ctx.Err()
	}
	return []netip.Addr{netip.MustParseAddr("192.0.2.66")}, nil
}

// chaosRound is the life of one client. It returns how many IRPs were passed.
func chaosRound(t *testing.T, ss *wsk.Subsystem, d *dice) int64 {
	c := &chaosClient{t: t, dice: d}
	want(t, "Register", ss.Register(clientNPI(1, 0), &c.reg), wsk.STATUS_SUCCESS)
	want(t, "Capture", wsk.CaptureProviderNPI(&c.reg, wsk.WSK_INFINITE_WAIT, &c.npi), wsk.STATUS_SUCCESS)
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for range 40 {
				c.step(false)
				if d.n(4) == 0 {
					c.cancel()
				}
			}
		})
	}
	workers.Wait()
	c.opening.Wait()
	for s := c.take(); s != nil; s = c.take() {
		s.close()
		for began := time.Now(); !s.gone.Load(); runtime.Gosched() { // only then has it kept all that it will
			if time.Since(began) > time.Minute {
				t.Errorf("a close does not complete: %d IRPs passed, %d completed", c.passed.Load(), c.completed.Load())
				return c.passed.Load()
			}
		}
		s.giveBack()
	}
	wsk.ReleaseProviderNPI(&c.reg)
	done := make(chan struct{})
	go func() {
		wsk.Deregister(&c.reg)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Errorf("Deregister does not return: %d IRPs passed, %d completed", c.passed.Load(), c.completed.Load())
		return c.passed.Load()
	}
	c.over.Store(true)
	if passed, completed := c.passed.Load(), c.completed.Load(); passed != completed {
		t.Errorf("%d IRPs passed, %d completed", passed, completed)
	}
	return c.passed.Load()
}
