// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
)

func TestMain(m *testing.M) {
	Child()
	testenv.Main(m)
}

func newRunner(t *testing.T) *Runner {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	r, err := NewRunner(testenv.Seed(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestShort runs one fault of each kind; `make faults` runs all of them.
func TestShort(t *testing.T) {
	r := newRunner(t)
	for _, name := range Short {
		at := slices.IndexFunc(All(), func(f *Fault) bool { return f.ID() == name })
		if at < 0 {
			t.Errorf("there is no fault %q", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			res, err := r.Run(t.Context(), All()[at])
			if err != nil {
				t.Fatal(err)
			}
			t.Log(res.Line())
			if res.Failed() {
				t.Error(strings.Join(res.Details(), "\n"))
			}
		})
	}
}

// TestSeesTheft: what a thief takes that nobody counts is unexplained, what is left open is a leak.
func TestSeesTheft(t *testing.T) {
	r := newRunner(t)
	r.closing = 300 * time.Millisecond // what is left here does not go
	leaked := -1
	f := &Fault{Name: "theft", Dir: Send, do: func(w *world) (err error) {
		peer, err := testenv.NewXDPPeer(w.lab.B.If, testenv.XDPPeerOptions{CountOnly: true})
		if err != nil {
			return err
		}
		if err := poll(callLimit, "loot", func() bool { return peer.Count() > 100 }); err != nil {
			return err
		}
		if leaked, err = unix.Dup(0); err != nil {
			return err
		}
		return peer.Close()
	}}
	res, err := r.Run(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(leaked)
	if res.Unexplained < 90 || len(res.Leaks) != 1 || !res.Failed() || len(res.Wrong) != 0 {
		t.Errorf("%s\n%v", res.Line(), res.Details())
	}
}

func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range All() {
		if seen[f.ID()] || f.About == "" || f.do == nil || f.Dir != Send && f.Dir != Receive {
			t.Errorf("%+v", f)
		}
		seen[f.ID()] = true
	}
	if len(seen) < 40 {
		t.Errorf("%d faults", len(seen))
	}
	if got := Select([]string{"receive/link down", "cancel storm, link"}); len(got) != 2 {
		t.Errorf("selected %d", len(got))
	}
}

func TestReport(t *testing.T) {
	good := Result{Fault: &Fault{Name: "rain", Dir: Send, About: "It rains."}, Back: 3 * time.Millisecond, KernelBack: -1, Longest: 20 * time.Millisecond,
		Took: 1500 * time.Millisecond,
		Verdict: account.Verdict{Sent: 5, OK: 3, Arrived: 2, Failed: map[string]int{"STATUS_NETWORK_BUSY": 2}, OpenArrived: 1,
			Explained: map[string]int{"kernel: RAIN": 1}}}
	bad := good
	bad.Fault = &Fault{Name: "hail", Dir: Receive, About: "It hails."}
	bad.Unexplained, bad.Problems, bad.Pending, bad.Leaks = 2, []account.Problem{{Seq: 7, What: "is wet"}}, 4, []string{"an umbrella"}
	var out bytes.Buffer
	if err := Markdown(&out, []Result{good, bad}, "9.9"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| send/rain | 5 | 3 | 2 NETWORK_BUSY (1 arrived) | 2 | 1 kernel: RAIN | 0 | 0 | 20 ms | 0 | 3 ms | - | 1.5 |", "| **receive/hail** |",
		"2 faults, 1 failed", "- datagram 7: is wet", "- and 1 more", "- 4 IRPs are pending", "- left: an umbrella", "on Linux 9.9", "- send/rain: It rains.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if good.Failed() || !bad.Failed() {
		t.Error("good and bad are mixed up")
	}
}

// TestChildEnds: a child ends when it is told to, and one that can not begin is no child.
func TestChildEnds(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	ns := testenv.NewNamespaceT(t)
	p, err := startChild(ns, task{Role: "kernel", Run: 1, Local: netipAny}, nil, account.NewArrivals(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if _, err := startChild(ns, task{Role: "send", Local: netipAny, Receive: "nosuch"}, nil, nil); err == nil {
		t.Error("a child that can't open its datapath was ready")
	}
	if _, ok := os.LookupEnv(childVariable); ok {
		t.Error("the variable of a child is set here")
	}
}

var netipAny = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
