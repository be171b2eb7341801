// SPDX-License-Identifier: Apache-2.0

package daemondemo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Ports of the far side: it listens on the first and answers from the second.
const (
	farPort    = 9000
	answerPort = 9001
)

// far are the addresses that programs send to.
func (d *demo) far() []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(d.lab.B.IPv4(), farPort), netip.AddrPortFrom(d.lab.B.IPv6(), farPort)}
}

func (d *demo) program(ctx context.Context, uid uint32) *exec.Cmd {
	var to []string
	for _, addr := range d.far() {
		to = append(to, addr.String())
	}
	return d.as(ctx, uid, nil, d.args(d.path("wsk.sock"), to...)...)
}

// granted lets the two programs run at the same time, answers them, and checks both directions.
func (d *demo) granted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	answers := make(chan error, len(d.far()))
	for _, addr := range d.far() {
		r, err := testenv.NewUDPReceiver(d.lab.B.NS, addr, testenv.UDPReceiverOptions{})
		if err != nil {
			return err
		}
		defer r.Close()
		go func() { answers <- d.answer(ctx, r) }()
	}
	users := []uint32{firstUser, secondUser}
	type end struct {
		out, errs bytes.Buffer
		err       error
		over      chan struct{}
	}
	ends := make([]end, len(users))
	for i, uid := range users {
		e := &ends[i]
		e.over = make(chan struct{})
		cmd := d.program(ctx, uid)
		cmd.Stdout, cmd.Stderr = &e.out, &e.errs
		go func() {
			defer close(e.over)
			e.err = cmd.Run()
		}()
	}
	var all []error
	for i, uid := range users {
		e := &ends[i]
		<-e.over
		if e.err != nil || e.out.String() != d.expected() {
			all = append(all, fmt.Errorf("the program of user %d: %s: it says\n%s%swant\n%s", uid, ending(e.err), &e.out, &e.errs, d.expected()))
			cancel()
			continue
		}
		for _, line := range strings.Split(strings.TrimSpace(e.out.String()), "\n") {
			d.say("program %d  user %d: sent with TTL %d, TOS %#x; got %s", i+1, uid, programTTL, programTOS, line)
		}
	}
	for range d.far() {
		all = append(all, <-answers)
	}
	return errors.Join(all...)
}

// answer answers a datagram of each program, which must have the headers that were asked for.
func (d *demo) answer(ctx context.Context, r *testenv.UDPReceiver) error {
	from := netip.AddrPortFrom(r.Local().Addr(), answerPort)
	s, err := testenv.NewUDPSender(d.lab.B.NS, testenv.UDPSenderOptions{Source: from, TTL: answerTTL, TOS: answerTOS})
	if err != nil {
		return err
	}
	defer s.Close()
	seen := map[netip.AddrPort]bool{}
	for n := 1; n <= 2; n++ {
		list, err := r.Wait(ctx, n)
		if err != nil {
			return err
		}
		for _, got := range list {
			if seen[got.Source] {
				continue
			}
			seen[got.Source] = true
			if string(got.Payload) != "hello" || got.TTL != programTTL || got.TOS != programTOS {
				return fmt.Errorf("%v has got %q from %v, TTL %d, TOS %#x", r.Local(), got.Payload, got.Source, got.TTL, got.TOS)
			}
			if err := s.Send(got.Source, []byte("and back")); err != nil {
				return err
			}
		}
	}
	return nil
}

// expected is what a program has to say.
func (d *demo) expected() string {
	var b strings.Builder
	here := []netip.Addr{d.lab.A.IPv4(), d.lab.A.IPv6()}
	for i, addr := range d.far() {
		h := header{ttl: answerTTL, tos: answerTOS, to: here[i], ifindex: uint32(d.lab.A.If.Index())}
		fmt.Fprintln(&b, line([]byte("and back"), netip.AddrPortFrom(addr.Addr(), answerPort), h))
	}
	return b.String()
}

// ending is how a program has ended that should not have ended so: it may have succeeded.
func ending(err error) string {
	if err == nil {
		return "exit code 0"
	}
	return err.Error()
}
