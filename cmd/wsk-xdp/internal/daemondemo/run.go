// SPDX-License-Identifier: Apache-2.0

package daemondemo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/admin"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Run shows it. It needs root, and leaves nothing behind.
func Run(ctx context.Context, out io.Writer, args Args) (err error) {
	d := &demo{out: out, args: args}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(); err != nil {
		return err
	}
	if err := d.startDaemon(ctx); err != nil {
		return fmt.Errorf("%w\nits log:\n%s", err, d.log.String())
	}
	for _, step := range []func(context.Context) error{d.granted, d.stranger, d.counted, d.stopDaemon} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) open() (err error) {
	if d.self, err = os.Open("/proc/self/exe"); err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "wsk-xdp-demo-"); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(d.dir, 0o755), os.Chown(d.dir, daemonUser, daemonUser)); err != nil {
		return err
	}
	if d.lab, err = testenv.NewLab(testenv.Topology{}); err != nil {
		return err
	}
	policy := fmt.Sprintf("version = 1\n[interface.%s]\n", d.lab.A.If.Name())
	for name, uid := range map[string]int{"one": firstUser, "two": secondUser} {
		policy += fmt.Sprintf("[[allow]]\nname = %q\nuid = %d\ndestination = [%q, %q]\n", name, uid, d.lab.A.Addrs[0].Masked(), d.lab.A.Addrs[1].Masked())
	}
	settings := fmt.Sprintf("version = 1\npolicy = %q\nlisten = %q\nadmin = %q\nlisten_mode = \"0666\"\n",
		d.path("policy.toml"), d.path("wsk.sock"), d.path("admin.sock"))
	return errors.Join(os.WriteFile(d.path("policy.toml"), []byte(policy), 0o644),
		os.WriteFile(d.path("daemon.toml"), []byte(settings), 0o644))
}

func (d *demo) startDaemon(ctx context.Context) error {
	d.daemon = d.as(ctx, daemonUser, capabilities, "daemon", "--config", d.path("daemon.toml"))
	d.daemon.Stderr = &d.log
	if err := d.lab.A.NS.Do(d.daemon.Start); err != nil {
		d.daemon = nil
		return err
	}
	d.ended = make(chan error, 1)
	go func(cmd *exec.Cmd) { d.ended <- cmd.Wait() }(d.daemon)
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	client := admin.NewClient(d.path("admin.sock"))
	err := testenv.Poll(ctx, "the daemon to be ready", func() (bool, error) {
		select {
		case err := <-d.ended:
			d.daemon = nil
			return false, fmt.Errorf("the daemon has ended: %s", ending(err))
		default:
		}
		s, err := client.Status(ctx)
		return err == nil && s.Ready, nil
	})
	if err != nil {
		return err
	}
	d.say("daemon     user %d with CAP_NET_RAW, NET_ADMIN, BPF, PERFMON, IPC_LOCK: ready on %s", daemonUser, d.lab.A.If.Name())
	return nil
}

// stranger is the program that the policy does not know.
func (d *demo) stranger(ctx context.Context) error {
	cmd := d.program(ctx, strangerUser)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Run(); err == nil || !strings.Contains(errs.String(), "policy.not_granted") {
		return fmt.Errorf("the program of user %d: %s: %s, want policy.not_granted", strangerUser, ending(err), &errs)
	}
	d.say("program 3  user %d: %s", strangerUser, strings.TrimSpace(errs.String()))
	return nil
}

// counted checks that the datagrams left through AF_XDP, each completed from its ring.
func (d *demo) counted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	var s *admin.Status
	err := testenv.Poll(ctx, "the daemon to have counted", func() (done bool, err error) {
		if s, err = admin.NewClient(d.path("admin.sock")).Status(ctx); err != nil {
			return false, err
		}
		return len(s.Grants) == 2 && s.Grants[0].Sent == 2 && s.Grants[1].Sent == 2, nil
	})
	if err != nil {
		return err
	}
	q := s.Queues[0]
	if !s.Healthy || q.Completed < 4 || len(s.Slow) > 0 || s.Refusals["policy.not_granted"] != 1 {
		return fmt.Errorf("the daemon has counted otherwise: %+v", s)
	}
	d.say("counted    %d frames came back on the completion ring of queue %d of %s; none went through the kernel's stack",
		q.Completed, q.Queue, q.Interface)
	return nil
}

func (d *demo) stopDaemon(context.Context) error {
	if err := d.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := <-d.ended
	d.daemon = nil
	if err != nil {
		return fmt.Errorf("the daemon ends with %w\nits log:\n%s", err, d.log.String())
	}
	list, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	if len(list) != 2 {
		return fmt.Errorf("the daemon has left something in %s: %v", d.dir, list)
	}
	d.say("stopped    SIGTERM: exit code 0, no socket left")
	return nil
}

func (d *demo) close() (err error) {
	if d.daemon != nil {
		_ = d.daemon.Process.Kill() // it may have ended
		<-d.ended
	}
	if d.lab != nil {
		err = d.lab.Close()
	}
	if d.dir != "" {
		err = errors.Join(err, os.RemoveAll(d.dir))
	}
	if d.self != nil {
		err = errors.Join(err, d.self.Close())
	}
	return err
}
