// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"errors"
	"log"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// What stands between here and Example is in docs/go.md, too.

// serve sends each datagram back to whom it came from.
func serve(addr *net.UDPAddr) error {
	conn, err := wsknet.ListenUDP("udp", addr)
	if err != nil {
		return err
	}
	defer conn.Close() // waits up to a second for what was written; the last Close frees the queues
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err // net.ErrClosed when somebody has closed conn
		}
		if _, err := conn.WriteToUDPAddrPort(buf[:n], from); errors.Is(err, net.ErrClosed) {
			return err
		} else if err != nil {
			log.Print(err) // of one datagram: ENETUNREACH, EMSGSIZE and the like, as from package net
		}
	}
}

// An echo server.
func Example() {
	log.Fatal(serve(&net.UDPAddr{Port: 9000}))
}

// TestExampleIsInTheDocument: the program in docs/go.md is what is compiled here.
func TestExampleIsInTheDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/go.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "docs/go.md, too.\n\n")
	example, _, found := strings.Cut(example, "\n// An echo server.")
	call := "\tlog.Fatal(serve(&net.UDPAddr{Port: 9000}))\n"
	if !found || !strings.Contains(string(document), "func main() {\n"+call+"}\n\n"+example+"```\n") {
		t.Errorf("docs/go.md does not have\n%s", example)
	}
	if !strings.Contains(string(text), "func Example() {\n"+call) {
		t.Errorf("Example does not do %s", call)
	}
}
