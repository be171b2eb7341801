// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

const pythonClient = "../../../../docs/examples/wsk_client.py"

// python is the example with arguments.
func python(t *testing.T, path string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(testenv.Context(t, waitLimit), path, append([]string{pythonClient}, args...)...)
}

// TestPython: docs/protocol.md is good enough for a client in another language, which sends, receives and is told reasons.
func TestPython(t *testing.T) { testPython(t, start) }

func testPython(t *testing.T, start func(*testing.T) *rig) {
	path, err := exec.LookPath("python3")
	if err != nil {
		testenv.Skipf(t, "there is no Python to run docs/examples/wsk_client.py with: %v", err)
	}
	r := start(t)
	for i, addr := range []netip.Addr{r.lab.B.IPv4(), r.lab.B.IPv6()} {
		here := []netip.Addr{r.lab.A.IPv4(), r.lab.A.IPv6()}[i]
		far := testenv.NewUDPReceiverT(t, r.lab.B.NS, netip.AddrPortFrom(addr, 9000), testenv.UDPReceiverOptions{})
		cmd := python(t, path, "--socket", r.path("s"), "--ttl", "9", "--tos", "184", "--receive", "1", far.Local().String(), "hello")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		got, err := far.Wait(testenv.Context(t, waitLimit), 1)
		if err != nil {
			t.Fatal(err)
		}
		if d := got[0]; string(d.Payload) != "hello" || d.TTL != 9 || d.TOS != 184 || d.Source.Addr() != here {
			t.Errorf("%+v", d)
		}
		back := testenv.NewUDPSenderT(t, r.lab.B.NS, testenv.UDPSenderOptions{Source: netip.AddrPortFrom(addr, 0), TTL: 33})
		if err := back.Send(got[0].Source, []byte("and back")); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var last string
		for lines.Scan() {
			last = lines.Text()
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		want := fmt.Sprintf("received b'and back' from %v port %d TTL 33", addr, back.Local().Port())
		if !strings.HasPrefix(last, want) {
			t.Errorf("%s, want %s", last, want)
		}
	}
	out, err := python(t, path, "--socket", r.path("s"), "--bind", "10.77.0.1:80").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "reason 104") {
		t.Errorf("a port that is not granted: %v: %s", err, out)
	}
}
