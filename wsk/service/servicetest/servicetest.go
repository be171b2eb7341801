// SPDX-License-Identifier: Apache-2.0

// Package servicetest puts a daemon and its connection between a test and its transport, so that what holds without them
// can be tested with them.
package servicetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// generous allows this user everything that a policy can allow.
const generous = `version = 1
[interface.%s]
[[allow]]
name = "tests"
uid = %d
source = ["0.0.0.0/0", "::/0", "interface"]
source_port = ["1-65535"]
privileged_ports = true
destination = ["0.0.0.0/0", "::/0"]
multicast = ["224.0.0.0/4", "ff00::/8"]
local = true
link_local = true
broadcast = true
reuse = true
rate = "unlimited"
new_destinations = "1000000/s"
destinations = 65536
inflight = 65536
sockets = 1000
memory = "1GiB"
`

// Over is a client of a service over a transport, whose one interface has a name. Both end with the test; the transport
// stays open. name says what interface an index is.
func Over(t testing.TB, under wsk.Transport, iface string, name func(index uint32) string, recheck func()) wsk.Transport {
	t.Helper()
	transport := client.Open(client.Options{Path: Serve(t, under, iface, name, recheck)})
	t.Cleanup(func() {
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	})
	return transport
}

// Serve is the path of the socket of such a service.
func Serve(t testing.TB, under wsk.Transport, iface string, name func(index uint32) string, recheck func()) (path string) {
	t.Helper()
	p, err := policy.Parse("policy.toml", []byte(fmt.Sprintf(generous, iface, os.Getuid())), policy.Host{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := service.New(service.Config{
		Transport: under, Policy: policy.NewCurrent(p), Interface: name, Recheck: recheck, Version: "test",
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l, "default") }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, service.ErrClosed) {
			t.Error(err)
		}
	})
	return path
}
