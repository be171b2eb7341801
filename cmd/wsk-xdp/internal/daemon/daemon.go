// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// Options are the command line: what it says holds above daemon.toml.
type Options struct {
	Config  string // daemon.toml; empty: DefaultConfig, which need not be there
	Policy  string
	Listen  string
	Admin   string
	Verbose bool
	Version string
}

// Config is what a daemon starts from, read and found to be in order.
type Config struct {
	settings *Settings
	rules    *rules
	options  Options

	patient time.Duration // tests that do not ask how fast it ends: instead of drainTime
}

// Load reads settings and policy. The error names every line that is wrong.
func Load(o Options) (*Config, error) {
	s, err := readSettings(o.Config)
	if err != nil {
		return nil, err
	}
	s.Policy, s.Listen, s.Admin = cmp.Or(o.Policy, s.Policy), cmp.Or(o.Listen, s.Listen), cmp.Or(o.Admin, s.Admin)
	if o.Verbose {
		s.LogLevel = "debug"
	}
	r, err := readPolicy(s)
	if err != nil {
		return nil, err
	}
	return &Config{settings: s, rules: r, options: o}, nil
}

// Policy is the policy that was read.
func (c *Config) Policy() *policy.Policy { return c.rules.current.Load() }

// Files are where settings and policy come from; the first is empty where there is no file.
func (c *Config) Files() (settings, policy string) { return c.settings.file, c.settings.Policy }

// daemon is one that runs.
type daemon struct {
	*Config
	ns        *netns.NS // nil: the process's own
	log       *slog.Logger
	systemd   *notifier
	started   time.Time
	queues    io.Closer // the datapath
	server    *service.Server
	health    *health
	sessions  asker[[]service.Client]
	listeners []listener
	names     *names // of interfaces, in another namespace

	mu    sync.Mutex
	ready bool
}

func (d *daemon) setReady(ready bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready = ready
}

func (d *daemon) isReady() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ready
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
