// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// What is verified is really looked at: each difference is found.
func TestCompare(t *testing.T) {
	from := netip.MustParseAddrPort("10.77.0.1:5000")
	good := func() testenv.Datagram {
		return testenv.Datagram{Payload: payloadOf(17), Source: from, TOS: askTOS, TTL: askTTL}
	}
	if err := compare(good(), payloadOf(17), from); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*testenv.Datagram){
		"payload":  func(d *testenv.Datagram) { d.Payload[16] ^= 1 },
		"short":    func(d *testenv.Datagram) { d.Payload = d.Payload[:16] },
		"TOS":      func(d *testenv.Datagram) { d.TOS = 0 },
		"TTL":      func(d *testenv.Datagram) { d.TTL-- },
		"port":     func(d *testenv.Datagram) { d.Source = netip.AddrPortFrom(from.Addr(), 5001) },
		"address":  func(d *testenv.Datagram) { d.Source = netip.MustParseAddrPort("10.77.0.3:5000") },
		"TOS none": func(d *testenv.Datagram) { d.TOS = -1 },
	} {
		d := good()
		change(&d)
		if compare(d, payloadOf(17), from) == nil {
			t.Errorf("%s: no difference found", name)
		}
	}
}

// A step that fails makes the whole fail, is marked, and does not keep the others from running.
func TestFailureIsShown(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	var out strings.Builder
	sick := errors.New("the doctor is ill")
	err := Run(testenv.Context(t, timeout), Options{
		Out: &out, Rootless: true, Doctor: func(context.Context, *testenv.Lab) ([]string, error) { return nil, sick },
	})
	if !errors.Is(err, sick) || exit.Code(err) != exit.Runtime {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"doctor: FAILED: the doctor is ill", "FAILED\n", "IPv4 datagrams", "needs root", "clean up"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "  verified\n"); n != 6 {
		t.Errorf("%d steps verified, want 6:\n%s", n, out.String())
	}
}

// An interrupt ends it early, with an error, and the laboratory is gone all the same.
func TestInterrupted(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	ctx, cancel := context.WithCancel(testenv.Context(t, timeout))
	var out strings.Builder
	err := Run(ctx, Options{Out: &out, Rootless: true, Doctor: func(context.Context, *testenv.Lab) ([]string, error) {
		cancel()
		return []string{"fine"}, nil
	}})
	if !errors.Is(err, context.Canceled) || !strings.Contains(out.String(), "clean up") || strings.Contains(out.String(), "blast") {
		t.Errorf("error %v\n%s", err, out.String())
	}
}
