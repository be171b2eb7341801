// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/servicetest"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// What follows, up to the Example, stands in docs/daemon.md, too.

type transport interface {
	wsk.Transport
	io.Closer
}

func ownQueues() (transport, error) { return datapath.Open(datapath.Options{}) }

func daemonQueues() (transport, error) { return client.Open(client.Options{}), nil }

func hello(open func() (transport, error), server netip.AddrPort) (answer string, err error) {
	t, err := open()
	if err != nil {
		return "", err
	}
	defer t.Close()
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(t, wsk.ProviderOptions{})
	defer subsystem.Detach()
	npi, release, err := netconn.Capture(subsystem)
	if err != nil {
		return "", err
	}
	defer release()
	conn, err := netconn.Dial(npi, "udp", netip.AddrPort{}, server, netconn.Options{})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		return "", err
	}
	buf := make([]byte, 1500)
	n, err := conn.Read(buf)
	return string(buf[:n]), err
}

// A program that has had queues of its own moves to those of a daemon (wsk-xdp daemon), and needs no capabilities any
// more, by the one line that opens its transport.
func Example_daemon() {
	server := netip.MustParseAddrPort("192.0.2.7:7")
	fmt.Println(hello(ownQueues, server))
	fmt.Println(hello(daemonQueues, server))
}

// TestExampleDaemon: the program of the example works through a daemon, without a change.
func TestExampleDaemon(t *testing.T) {
	under := wsktest.New()
	under.Loop(true)
	loopback := netip.MustParseAddr("127.0.0.1")
	under.SetLocal(loopback)
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(under, wsk.ProviderOptions{})
	npi, release, err := netconn.Capture(subsystem)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	server, err := netconn.Listen(npi, "udp", netip.AddrPortFrom(loopback, 7), netconn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go echo(server)
	through := servicetest.Over(t, under, "lo", func(uint32) string { return "lo" }, nil)
	answer, err := hello(func() (transport, error) { return through.(transport), nil }, netip.AddrPortFrom(loopback, 7))
	if answer != "hello" || err != nil {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestExampleIsInTheDocument: what docs/daemon.md shows is what is compiled here.
func TestExampleIsInTheDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/daemon.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("example_daemon_linux_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "docs/daemon.md, too.\n\n")
	example, _, found := strings.Cut(example, "\n// A program that")
	if !found || !strings.Contains(string(document), "```go\n"+example+"```\n") {
		t.Errorf("docs/daemon.md does not have\n%s", example)
	}
}
