// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

// Machine is what guests are made of. It may run many, one after another.
type Machine struct {
	Tools    Toolbox
	Kernel   Kernel
	Agent    string    // path of the agent, a static binary
	Programs []Program // what commands call
	Source   string    // the checkout, for the guest to read
	Out      string    // a directory of the host that the guest writes to
	Env      []string  // for every command
	Memory   int       // MiB; 0 is 1536
	// Live gets the output of commands as it comes, unless nil.
	Live io.Writer
	// Log gets a line about each thing that happens to the guest itself, unless nil.
	Log io.Writer
}

// readyTimeout is how long a guest may take to come up. It takes five seconds on a machine that is free.
const readyTimeout = 150 * time.Second

// grace is what a guest may take on top of the time-outs of its commands.
const grace = 60 * time.Second

// patience tells tests how much slower a guest is, see testenv.Patience.
const patience = "WSKXDP_PATIENCE=10"

// Result is what became of a guest.
type Result struct {
	State State
	// Reason is what went wrong, if State is not Done.
	Reason   string
	Commands []CommandResult
	// KernelLog is all that the guest's kernel said.
	KernelLog string
	// Attempts is 2 if the first guest was never ready.
	Attempts int
	Took     time.Duration
}

// Run runs the commands in one guest with the cards of setup. A guest that was never ready is tried once more; one that
// was ready and then hangs or dies has failed. The error is about the host, a *CannotError if it lacks something;
// everything about the guest is in the result.
func (m *Machine) Run(s Setup, commands []job.Command) (*Result, error) {
	image, err := m.Kernel.Image(m.Tools)
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "wsk-xdp-vm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	return m.attempts(func() (*Result, error) {
		j := &job.Job{Nonce: rand.Text(), Env: append([]string{patience}, m.Env...), NICs: s.NICs, Cable: s.cables(), Commands: commands}
		g := &guest{machine: m, setup: s, job: j, work: work, image: image}
		return g.run()
	})
}

// attempts calls boot again, once, if there was never a guest. What happened to one that was ready stands.
func (m *Machine) attempts(boot func() (*Result, error)) (*Result, error) {
	for attempt := 1; ; attempt++ {
		r, err := boot()
		if err != nil {
			return nil, err
		}
		r.Attempts = attempt
		if r.State != NeverReady || attempt == 2 {
			return r, nil
		}
		m.logf("guest was never ready: %s; trying once more", r.Reason)
	}
}

func (m *Machine) logf(format string, args ...any) {
	if m.Log != nil {
		fmt.Fprintf(m.Log, format+"\n", args...)
	}
}

// guest is one attempt.
type guest struct {
	machine *Machine
	setup   Setup
	job     *job.Job
	work    string
	image   string
}

func (g *guest) path(name string) string { return filepath.Join(g.work, name) }

func (g *guest) run() (*Result, error) {
	f, err := os.Create(g.path("initramfs"))
	if err != nil {
		return nil, err
	}
	err = g.machine.writeInitramfs(f, g.setup, g.job)
	f.Close()
	if err != nil {
		return nil, err
	}
	return g.boot()
}

func (g *guest) arguments() []string {
	memory := g.machine.Memory
	if memory == 0 {
		memory = 1536
	}
	args := []string{
		"-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", fmt.Sprint(memory), "-smp", fmt.Sprint(g.setup.Queues),
		"-display", "none", "-monitor", "none", "-nodefaults", "-no-reboot",
		"-serial", "file:" + g.path("kernel.log"), "-serial", "stdio",
		"-kernel", g.image, "-initrd", g.path("initramfs"),
		// A kernel that oopses or hangs is to end, and be seen.
		"-append", "console=ttyS0 panic=-1 oops=panic loglevel=6 tsc=reliable",
		"-virtfs", "local,path=" + g.machine.Source + ",mount_tag=src,security_model=none,readonly=on,multidevs=remap",
		"-virtfs", "local,path=" + g.machine.Out + ",mount_tag=out,security_model=none,multidevs=remap",
	}
	for _, dir := range g.machine.Tools.Firmware() {
		args = append(args, "-L", dir)
	}
	return append(args, g.setup.args()...)
}

// boot runs QEMU from its start to its end.
func (g *guest) boot() (*Result, error) {
	cmd, err := g.machine.Tools.Command("qemu-system-x86_64", g.arguments()...)
	if err != nil {
		return nil, err
	}
	// If this process dies, so does the guest. The signal comes when the thread ends, so this goroutine keeps it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if g.setup.taps {
		if err := behindTaps(cmd, len(g.setup.NICs)); err != nil {
			return nil, err
		}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start, end, err := g.start(cmd)
	if err != nil {
		return nil, err
	}
	defer end()
	late := newWatchdog(cmd)
	t := newTranscript(g.job, g.machine.Live, func() {
		g.machine.logf("guest is ready after %.1fs", time.Since(start).Seconds())
		late.extend(g.timeout())
	})
	late.extend(readyTimeout)
	readErr := t.read(stdout)
	waitErr := cmd.Wait()
	timedOut := late.stop()
	if cmd.ProcessState.ExitCode() == ExitCannot {
		return nil, Cannotf("%s", strings.TrimSpace(stderr.String()))
	}
	log, _ := os.ReadFile(g.path("kernel.log"))
	r := &Result{State: t.state, Commands: t.commands, KernelLog: string(log), Took: time.Since(start)}
	switch {
	case r.State == Done:
	case timedOut:
		r.Reason = fmt.Sprintf("time ran out after %.0fs", r.Took.Seconds())
	case t.state == Broken:
		r.Reason = t.text
	case waitErr != nil || readErr != nil:
		r.Reason = strings.TrimSpace(fmt.Sprintf("QEMU: %v %v %s", waitErr, readErr, &stderr))
	default:
		r.Reason = "the guest switched itself off" + lastWords(r)
	}
	return r, nil
}

// start starts QEMU, and what serves the guest while it runs, which end ends.
func (g *guest) start(cmd *exec.Cmd) (at time.Time, end func(), err error) {
	end = func() {}
	var c *cables
	if g.setup.cables() {
		if c, err = newCables(cmd); err != nil {
			return at, nil, err
		}
		end = c.close
	}
	at = time.Now()
	if err := cmd.Start(); err != nil {
		if c != nil {
			c.forget()
		}
		return at, nil, Cannotf("start QEMU: %w", err)
	}
	if c != nil {
		c.serve(g.machine.logf)
	}
	return at, end, nil
}

func (g *guest) timeout() time.Duration {
	total := grace
	for _, c := range g.job.Commands {
		total += c.Timeout + 2*10*time.Second
	}
	return total
}

// watchdog ends a process whose time has run out.
type watchdog struct {
	cmd   *exec.Cmd
	timer *time.Timer
	fired chan struct{}
}

func newWatchdog(cmd *exec.Cmd) *watchdog {
	w := &watchdog{cmd: cmd, fired: make(chan struct{})}
	w.timer = time.AfterFunc(time.Hour, func() {
		close(w.fired)
		_ = w.cmd.Process.Kill()
	})
	return w
}

// extend sets the time from now. Once it ran out, nothing brings it back.
func (w *watchdog) extend(d time.Duration) {
	if w.timer.Stop() {
		w.timer.Reset(d)
	}
}

// stop tells whether time had run out.
func (w *watchdog) stop() bool {
	w.timer.Stop()
	select {
	case <-w.fired:
		return true
	default:
		return false
	}
}
