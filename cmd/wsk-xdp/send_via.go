// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/send"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	daemon "github.com/wsk-xdp/wsk-xdp/wsk/client"
)

// viaPath is the daemon's socket of --via daemon[=PATH].
func viaPath(via string) (string, error) {
	name, path, given := strings.Cut(via, "=")
	switch {
	case name != "daemon", given && path == "":
		return "", exit.Usagef("--via %q is none of the ways: daemon, or daemon=PATH of its socket", via)
	case path == "":
		path = daemon.DefaultPath
	}
	return path, nil
}

// sendVia is send through a daemon, which knows the way and has the queues.
func (a *app) sendVia(ctx context.Context, f *sendFlags, h header, body []byte) (err error) {
	path := f.way.socket
	var why reasons
	transport := daemon.Open(daemon.Options{Path: path, OnRefusal: why.add})
	c, err := client.Open(transport, transport.Close)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	if err := transport.Connect(); err != nil {
		return exit.NotPossiblef("--via %s: %w", f.way.via, err)
	}
	family, wildcard := uint16(wsk.AF_INET6), netip.IPv6Unspecified()
	if h.to.Addr().Is4() {
		family, wildcard = wsk.AF_INET, netip.IPv4Unspecified()
	}
	socket, err := c.Socket(ctx, family, nil, nil)
	if err != nil {
		return err
	}
	local := netip.AddrPortFrom(wildcard, h.source.Port())
	if h.source.Addr().IsValid() {
		local = h.source
	}
	if err := client.Bind(ctx, socket, local); err != nil {
		return exit.NotPossiblef("%w", why.with(err))
	}
	bound, err := client.LocalAddress(ctx, socket)
	if err != nil {
		return err
	}
	a.note(fmt.Sprintf("wsk-xdp send %v via the daemon at %s  from %v", h.to, path, bound))
	a.noteIf(h.named())
	r := sendReport{
		Schema: "wsk-xdp.send/1", Version: host.ReadBuild().Version, StartedAt: time.Now(), Host: host.Describe(),
		Destination: h.to.String(), Source: bound.String(), Payload: len(body), Results: []send.Result{},
		Granted: []session.Granted{}, ICMPErrors: []icmp.Error{}, Warnings: []string{},
	}
	config := send.Config{
		Socket: socket, Remote: wsk.NewSockaddr(h.to), Control: f.way.plainControl(h, f.segment), Payload: body, Count: f.count,
		Timeout: f.timeout,
	}
	send.Run(ctx, config, r.add)
	r.Interrupted = ctx.Err() != nil
	show := func() error { return r.table().Write(a.stdout) }
	if f.json {
		show = func() error { return output.JSON(a.stdout, r) }
	}
	return errors.Join(show(), why.with(r.failure(h, "")))
}

// reasons are what the daemon has said, each sentence once.
type reasons struct {
	mu    sync.Mutex
	lines []string
}

func (r *reasons) add(refusal daemon.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if line := refusal.Error(); !slices.Contains(r.lines, line) {
		r.lines = append(r.lines, line)
	}
}

// with adds them to an error.
func (r *reasons) with(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		return nil
	}
	for _, line := range r.lines {
		err = fmt.Errorf("%w\n  %s", err, line)
	}
	return err
}

// ofTheWay are flags that say how this process would send: through a daemon others decide that.
var ofTheWay = []string{"interface", "mode", "checksum", "require", "df", "assume-no-ipsec", "queues"}

// checkVia refuses what means nothing with --via.
func (w *wayFlags) checkVia(a *app, run func() error) (err error) {
	if w.socket, err = viaPath(w.via); err != nil {
		return err
	}
	if a.netns != "" {
		return exit.Usagef("--via and --netns: the daemon is where its socket is")
	}
	for _, name := range ofTheWay {
		if flag := w.flags.Lookup(name); flag != nil && flag.Changed {
			return exit.Usagef("--via and --%s: what the daemon sends with is in its policy", name)
		}
	}
	return run()
}
