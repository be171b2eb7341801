// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Bounds of the end. With adminTime and notifyTime they make less than endTime.
const (
	drainTime = 3 * time.Second        // for clients: the two seconds that they have, and what is called back after them
	closeTime = 500 * time.Millisecond // at least, for the queues, and for what only comes back with them
	endTime   = 5 * time.Second
)

// Run is the daemon, in a network namespace, nil for the process's own, until ctx is done. It returns when everything is closed.
func Run(ctx context.Context, c *Config, ns *netns.NS, log io.Writer) (err error) {
	handler, err := newHandler(log, c.settings.LogFormat, c.settings.LogLevel)
	if err != nil {
		return err
	}
	d := &daemon{Config: c, ns: ns, log: slog.New(handler), started: time.Now()}
	d.systemd = newNotifier(d.log)
	defer d.systemd.close()
	var beside sync.WaitGroup
	defer beside.Wait() // they write to the log
	hups := make(chan os.Signal, 1)
	signal.Reset(syscall.SIGHUP) // it ends other commands
	signal.Notify(hups, syscall.SIGHUP)
	defer signal.Stop(hups)
	if err := d.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	web, err := d.serveAdmin()
	if err != nil {
		return err
	}
	defer web.close()
	failed := make(chan error, len(d.listeners))
	for _, l := range d.listeners {
		go func() { failed <- d.server.Serve(l.UnixListener, l.name) }()
	}
	d.setReady(true)
	d.systemd.tell(sd.SdNotifyReady)
	d.log.Info("ready", "policy", c.settings.Policy, "grants", len(c.Policy().Grants()), "admin", c.settings.Admin)
	over := make(chan struct{})
	defer close(over)
	beside.Go(func() { d.reloadAt(hups, over) })
	beside.Go(func() { d.watch(over) })
	select {
	case <-ctx.Done():
		d.log.Info("stopping", "cause", context.Cause(ctx))
	case err = <-failed:
		err = fmt.Errorf("a socket of clients fails: %w", err)
	}
	d.setReady(false)
	d.rules.over()
	d.systemd.tell(sd.SdNotifyStopping)
	return err
}

// open opens everything, in the order in which it needs each other. What it has opened it closes when it fails.
func (d *daemon) open() (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	p := d.Policy()
	opts := datapath.Options{
		NetNS: d.ns.FD(), Queues: p.Interfaces[0].Queues, SpreadReceive: p.Interfaces[0].Spread,
		StallTimeout: d.settings.stall, NeighbourTimeout: d.settings.neighbour, Logger: d.log,
		Socket: xdp.Options{Mode: modes[p.Interfaces[0].Mode]},
	}
	for _, i := range p.Interfaces {
		opts.Interfaces = append(opts.Interfaces, i.Name)
		if i.Receive {
			opts.Receive = append(opts.Receive, i.Name)
		}
	}
	dp, err := datapath.Open(opts)
	if err != nil {
		return err
	}
	d.queues = dp
	config := service.Config{
		Transport: dp, Policy: d.rules.current, Recheck: dp.Recheck, Queues: opts.Queues,
		Version: d.options.Version, Logger: d.log,
	}
	if d.ns != nil {
		if d.names, err = newNames(d.ns); err != nil {
			return err
		}
		config.Interface = d.names.of
	}
	if d.server, err = service.New(config); err != nil {
		return err
	}
	d.health = newHealth(func() look { return look{true, d.server.Statistics(), dp.Info()} }, d.settings.stall)
	d.sessions.ask = d.server.Clients
	d.listeners, err = clientSockets(d.settings)
	return err
}

var modes = map[policy.Mode]xdp.Mode{
	policy.ModeAuto: xdp.ModeAuto, policy.ModeZeroCopy: xdp.ModeZeroCopy, policy.ModeCopy: xdp.ModeCopy,
}

// close ends what open has opened: clients first, who are told and have time, then the queues.
func (d *daemon) close() (err error) {
	for _, l := range d.listeners {
		if e := l.Close(); e != nil && !errors.Is(e, os.ErrClosed) && d.server == nil {
			err = errors.Join(err, e)
		}
	}
	err = errors.Join(err, d.drain())
	d.names.close()
	d.log.Info("stopped", "after", time.Since(d.started).Truncate(time.Millisecond))
	return err
}

// drain ends the server and then the queues. What has not come back in time is left to the end of the process: an
// operation that never completes does not keep the daemon.
func (d *daemon) drain() (err error) {
	var clients, queues chan error
	drain := drainTime
	if d.Config != nil && d.patient != 0 {
		drain = d.patient
	}
	late := time.NewTimer(drain + closeTime) // clients that go early leave their time to the queues
	defer late.Stop()
	if d.server != nil {
		clients = begin(func() error { return d.server.Shutdown(context.Background()) })
		goOn := time.NewTimer(drain)
		defer goOn.Stop()
		select {
		case err = <-clients:
			clients = nil
		case <-goOn.C:
		}
	}
	if d.queues != nil {
		queues = begin(d.queues.Close)
	}
	for clients != nil || queues != nil {
		select {
		case e := <-clients:
			clients, err = nil, errors.Join(err, e)
		case e := <-queues:
			queues, err = nil, errors.Join(err, e)
		case <-late.C:
			return errors.Join(err, errLeft)
		}
	}
	return err
}

var errLeft = errors.New("operations that do not complete are left to the end of the process")

// begin runs f on a goroutine of its own.
func begin(f func() error) chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// reloadAt reads the policy again at each signal. One that comes meanwhile is not lost.
func (d *daemon) reloadAt(hups <-chan os.Signal, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-hups:
			_ = d.reload("SIGHUP") // has been logged
		}
	}
}

// watch looks at the health from time to time, and tells systemd of it.
func (d *daemon) watch(over <-chan struct{}) {
	tick := time.NewTicker(d.watchEvery())
	defer tick.Stop()
	well := true
	for {
		select {
		case <-over:
			return
		case now := <-tick.C:
			_, complaints := d.health.look(now)
			if len(complaints) == 0 {
				d.systemd.tell(sd.SdNotifyWatchdog)
			}
			if now := len(complaints) == 0; now != well {
				well = now
				d.log.Warn("health", "healthy", well, "complaints", complaints)
			}
		}
	}
}

const usualLook = 5 * time.Second

// watchEvery is half of what systemd waits for, or a time that is good for logs.
func (d *daemon) watchEvery() time.Duration {
	if every, err := sd.SdWatchdogEnabled(false); err == nil && every > 0 {
		return min(every/2, usualLook)
	}
	return usualLook
}
