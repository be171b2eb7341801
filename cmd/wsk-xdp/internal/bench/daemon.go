// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/admin"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/daemon"
)

// servant is a daemon in a process of its own, for an engine that sends through one. It is a child of the engine's
// process, so that what it uses of processors and memory counts as the engine's, and ends with it.
type servant struct {
	dir     string // its settings, its policy and its sockets
	process *proc.Process
}

const (
	servantStart = 30 * time.Second // until it is ready
	servantStop  = 20 * time.Second // its own bound is a quarter of that, on a machine that is not busy
)

// What its files are called.
const (
	servantSettings = "daemon.toml"
	servantPolicy   = "policy.toml"
	servantSocket   = "wsk.sock"
	servantAdmin    = "admin.sock"
)

// startServant starts a daemon that sends through the job's interface, for this user, and waits until it is ready.
func startServant(ctx context.Context, j *job) (_ *servant, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start it again: %w", err)
	}
	s := new(servant)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("daemon: %w", err), s.stop())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "wsk-xdp-bench-"); err != nil {
		return nil, err
	}
	if err := s.write(j); err != nil {
		return nil, err
	}
	here := func(start func() error) error { return start() }
	if s.process, err = proc.StartChild(here, append([]string{self}, os.Args[1:]...), &job{Daemon: s.path(servantSettings)}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, servantStart)
	defer cancel()
	for {
		if status, err := s.status(ctx); err == nil && status.Ready {
			return s, nil
		}
		if err := s.process.Pause(ctx, time.Millisecond); errors.Is(err, proc.ErrEnded) {
			return nil, s.process.Failure()
		} else if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("is not ready within %v", servantStart)
		} else if err != nil {
			return nil, err
		}
	}
}

// write writes what the daemon reads. Like the other engines' queues, those of the daemon only send.
func (s *servant) write(j *job) error {
	policy := fmt.Sprintf(`version = 1
[interface.%q]
queues = %d
receive = false
[[allow]]
name = "bench"
uid = %d
destination = ["0.0.0.0/0"]
rate = "unlimited"
new_destinations = "1000000/s"
sockets = 64
inflight = 65536
memory = "128MiB"
`, j.Interface, j.Queues, os.Getuid())
	settings := fmt.Sprintf("version = 1\npolicy = %q\nlisten = %q\nadmin = %q\nlog_level = \"warn\"\n",
		s.path(servantPolicy), s.path(servantSocket), s.path(servantAdmin))
	return errors.Join(os.WriteFile(s.path(servantPolicy), []byte(policy), 0o600),
		os.WriteFile(s.path(servantSettings), []byte(settings), 0o600))
}

func (s *servant) path(name string) string { return filepath.Join(s.dir, name) }

func (s *servant) status(ctx context.Context) (*admin.Status, error) {
	return admin.NewClient(s.path(servantAdmin)).Status(ctx)
}

// stop ends the daemon and removes its files.
func (s *servant) stop() (err error) {
	if s.process != nil {
		err = s.process.Stop(servantStop)
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// serve is the whole program of such a daemon, until ctx is done.
func serve(ctx context.Context, settings string) error {
	config, err := daemon.Load(daemon.Options{Config: settings})
	if err != nil {
		return err
	}
	return daemon.Run(ctx, config, nil, os.Stderr)
}
