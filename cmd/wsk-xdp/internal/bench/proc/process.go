// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a party of a measurement, a child of ours or another program.
type Process struct {
	// Out is what it wrote last.
	Out Tail

	cmd       *exec.Cmd
	ownMounts bool
	ended     chan struct{} // closed when it has been waited for
	err       error         // of the wait; valid once ended
	stdin     io.Closer     // nil for another program, which is sent a signal instead
	stopped   bool
	errOut    Tail

	mu     sync.Mutex
	events []json.RawMessage
	more   chan struct{} // closed at the next event, and replaced
	read   int           // events that Next has returned
}

// StopTime is how long a child may take to end after it was asked to. Ours drain for up to three seconds, and a machine
// may be busy.
const StopTime = 30 * time.Second

// lingerTime is how long what another program leaves behind may keep its output open, before it is killed.
const lingerTime = time.Second

// In runs a function on a thread of the namespace where a process shall be.
type In func(func() error) error

// StartChild starts this binary again, in a namespace, with a task. Files become descriptors 3 and so on of the child;
// they stay the caller's.
func StartChild(in In, argv []string, task any, files ...*os.File) (*Process, error) {
	spec, err := json.Marshal(task)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(argv[0], argv[1:]...), more: make(chan struct{})}
	p.cmd.ExtraFiles = files
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	read := make(chan struct{})
	if err := p.start(in); err != nil {
		return nil, err
	}
	go func() {
		defer close(read)
		p.readEvents(stdout)
	}()
	p.await(read)
	if _, err := stdin.Write(append(spec, '\n')); err != nil {
		return nil, errors.Join(fmt.Errorf("pass task: %w", err), p.Stop(StopTime))
	}
	return p, nil
}

// Part is the command line of a child that is started as a party of that name.
func Part(child []string, name string) []string { return slices.Concat(child, []string{name}) }

func (p *Process) readEvents(stdout io.Reader) {
	in := json.NewDecoder(io.TeeReader(stdout, &p.Out))
	for {
		var e json.RawMessage
		if err := in.Decode(&e); err != nil {
			_, _ = io.Copy(io.Discard, stdout)
			return
		}
		p.mu.Lock()
		p.events = append(p.events, e)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// ownSys is what a program runs behind in another network namespace: /sys shows the namespace that it was mounted in,
// and programs that look there for queues or counters would find those of other interfaces, or none.
const ownSys = "mount -t sysfs sysfs /sys || echo 'bench: /sys is that of another network namespace' >&2\n"

// StartShell starts another program. elsewhere is whether in leads to another network namespace than that of this
// process: the program then gets mounts of its own, and a /sys that shows the namespace.
func StartShell(in In, command string, elsewhere bool) (*Process, error) {
	if elsewhere {
		command = ownSys + command
	}
	p := &Process{cmd: exec.Command("/bin/sh", "-c", command), ownMounts: elsewhere}
	p.cmd.Stdout = &p.Out
	p.cmd.WaitDelay = lingerTime
	if err := p.start(in); err != nil {
		return nil, err
	}
	p.await(nil)
	return p, nil
}

// start starts the process in its namespace, in a process group of its own. The kernel kills it when this process dies.
func (p *Process) start(in In) error {
	p.cmd.Stderr = &p.errOut
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.ownMounts {
		p.cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	if err := in(p.cmd.Start); err != nil {
		return fmt.Errorf("start %s: %w", p.cmd.Path, err)
	}
	return nil
}

// await waits for the end in the background, once what reads its output is through.
func (p *Process) await(read <-chan struct{}) {
	p.ended = make(chan struct{})
	go func() {
		if read != nil {
			<-read
		}
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Ours reports whether it is a child of ours, and not another program.
func (p *Process) Ours() bool { return p.stdin != nil }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Events are the objects that a child has written so far.
func (p *Process) Events() []json.RawMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events[:len(p.events):len(p.events)]
}

// Next waits for the next object of a child and decodes it. It fails when the child ends first.
func (p *Process) Next(ctx context.Context, into any) error {
	for {
		p.mu.Lock()
		more, events := p.more, p.events
		p.mu.Unlock()
		if p.read < len(events) {
			p.read++
			if err := json.Unmarshal(events[p.read-1], into); err != nil {
				return fmt.Errorf("understand child: %w", err)
			}
			return nil
		}
		select {
		case <-more:
		case <-p.ended:
			// A process counts as ended only when all that it wrote has been read.
			if p.mu.Lock(); len(p.events) > p.read {
				p.mu.Unlock()
				continue
			}
			p.mu.Unlock()
			return p.Failure()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// NextWithin is Next with a bound on the wait.
func (p *Process) NextWithin(ctx context.Context, patience time.Duration, into any) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := p.Next(waiting, into)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("no answer within %v", patience)
	}
	return err
}

// Pause waits, and fails if the process does not live that long.
func (p *Process) Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ended:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ErrEnded says that a process ended too early.
var ErrEnded = errors.New("the process ended before the measurement was over")

// Stop asks the process to end, waits for it, and kills it if it does not. Nothing of its group is left afterwards. It
// returns how a child of ours failed.
func (p *Process) Stop(patience time.Duration) error {
	if !p.stopped {
		p.stopped = true
		group := -p.Pid()
		if p.stdin != nil {
			_ = p.stdin.Close()
		} else {
			_ = unix.Kill(group, unix.SIGTERM)
		}
		timer := time.NewTimer(patience)
		defer timer.Stop()
		defer reap(group)
		select {
		case <-p.ended:
		case <-timer.C:
			_ = unix.Kill(group, unix.SIGKILL)
			<-p.ended
			return fmt.Errorf("did not end within %v and was killed", patience)
		}
		_ = unix.Kill(group, unix.SIGKILL) // what the shell left behind
	}
	<-p.ended
	if p.stdin != nil && p.err != nil {
		return p.Failure()
	}
	return nil
}

// Failure is why a process that has ended did so, with the last line that it wrote.
func (p *Process) Failure() error {
	why := "exit status 0"
	if p.err != nil {
		why = p.err.Error()
	}
	if said := p.errOut.last(); said != "" {
		return fmt.Errorf("%s (%s)", said, why)
	}
	return fmt.Errorf("ended with %s", why)
}

// AdoptOrphans makes this process the parent of what the shells of other programs leave behind, until end is called, so
// that it can be waited for: not every init does that.
func AdoptOrphans() (end func()) {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	return func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }
}

// reap waits for the orphans of a process group, which have been killed.
func reap(group int) {
	for {
		if _, err := unix.Wait4(group, nil, 0, nil); err != nil && err != unix.EINTR {
			return // nobody left
		}
	}
}
