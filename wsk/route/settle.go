// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

// What a change of a device or of an address does to routes of IPv4 the kernel announces too early or not at all: that a link has gone
// down, or an address been deleted, is told before the routes that go with it are taken out, silently (net/core/dev.c,
// __dev_notify_flags; net/ipv4/fib_frontend.c, fib_del_ifaddr). An answer that is asked for in between still has them, and no event says
// later that it is wrong. But all of that happens under the lock of rtnetlink. So the settler asks something that the kernel answers
// under that lock, and when that is answered the table looks again at what it was told meanwhile.

// settler waits until the kernel is through with what it has announced.
type settler struct {
	asks   *requester
	wanted chan struct{}
	over   chan struct{} // it is
	before func()        // tests: is called before it asks; nil
}

func newSettler(before func()) settler {
	return settler{wanted: make(chan struct{}, 1), over: make(chan struct{}), before: before}
}

// want has it told when all that has been announced is over. It does not block.
func (s *settler) want() {
	select {
	case s.wanted <- struct{}{}:
	default: // who is waiting there has not asked yet
	}
}

// run waits for the lock, which others may hold for long, so that the goroutine of the table need not.
func (s *settler) run(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-s.wanted:
		}
		if s.before != nil {
			s.before()
		}
		_, _ = s.asks.device(1) // whether there is such a device, and what it is, does not matter
		select {
		case <-done:
			return
		case s.over <- struct{}{}:
		}
	}
}
