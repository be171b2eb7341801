// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sender is a process that sends, one of ours or another program.
type sender struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has been waited for
	err   error         // of the wait; valid once ended
	// sending is closed when it says that it begins; a program that says nothing has it closed from the start.
	sending chan struct{}
	stdin   io.Closer // nil for another program, which is sent a signal instead
	stopped bool

	out, errOut tail
	events      []event // valid once ended
}

// stopTime is how long a sender may take to end after it was asked to. Ours drain for up to three seconds.
const stopTime = 10 * time.Second

// lingerTime is how long what another program leaves behind may keep its output open, before it is killed.
const lingerTime = time.Second

// startChild starts this binary again with a job.
func startChild(p *place, argv []string, j *job) (*sender, error) {
	spec, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	s := &sender{cmd: exec.Command(argv[0], argv[1:]...), sending: make(chan struct{})}
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = stdin
	read := make(chan struct{})
	if err := s.start(p); err != nil {
		return nil, err
	}
	go func() {
		defer close(read)
		s.readEvents(stdout)
	}()
	s.await(read)
	if _, err := stdin.Write(append(spec, '\n')); err != nil {
		return nil, errors.Join(fmt.Errorf("pass job: %w", err), s.stop(stopTime))
	}
	return s, nil
}

func (s *sender) readEvents(stdout io.Reader) {
	in := json.NewDecoder(io.TeeReader(stdout, &s.out))
	for {
		var e event
		if err := in.Decode(&e); err != nil {
			_, _ = io.Copy(io.Discard, stdout)
			return
		}
		s.events = append(s.events, e)
		if e.Event == eventSending && len(s.events) == 1 {
			close(s.sending)
		}
	}
}

// startExternal starts another program.
func startExternal(p *place, command string) (*sender, error) {
	s := &sender{cmd: exec.Command("/bin/sh", "-c", command), sending: make(chan struct{})}
	close(s.sending)
	s.cmd.Stdout = &s.out
	s.cmd.WaitDelay = lingerTime
	if err := s.start(p); err != nil {
		return nil, err
	}
	s.await(nil)
	return s, nil
}

// start starts the process in the sending namespace, in a process group of its own. The kernel kills it when this
// process dies.
func (s *sender) start(p *place) error {
	s.cmd.Stderr = &s.errOut
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.do(s.cmd.Start); err != nil {
		return fmt.Errorf("start %s: %w", s.cmd.Path, err)
	}
	return nil
}

// await waits for the end in the background, once what reads its output is through.
func (s *sender) await(read <-chan struct{}) {
	s.ended = make(chan struct{})
	go func() {
		if read != nil {
			<-read
		}
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
}

// stop asks the process to end, waits for it, and kills it if it does not. Nothing of its group is left afterwards.
func (s *sender) stop(patience time.Duration) error {
	if !s.stopped {
		s.stopped = true
		group := -s.cmd.Process.Pid
		if s.stdin != nil {
			_ = s.stdin.Close()
		} else {
			_ = unix.Kill(group, unix.SIGTERM)
		}
		timer := time.NewTimer(patience)
		defer timer.Stop()
		defer reap(group)
		select {
		case <-s.ended:
		case <-timer.C:
			_ = unix.Kill(group, unix.SIGKILL)
			<-s.ended
			return fmt.Errorf("did not end within %v and was killed", patience)
		}
		_ = unix.Kill(group, unix.SIGKILL) // what the shell left behind
	}
	<-s.ended
	if s.stdin != nil && s.err != nil {
		return s.failure()
	}
	return nil
}

// adoptOrphans makes this process the parent of what the shells of other programs leave behind, until the end it
// returns, so that it can be waited for: not every init does that.
func adoptOrphans() (end func()) {
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

// failure is why a process ended, with what it said last. It has ended.
func (s *sender) failure() error {
	why := "exit status 0"
	if s.err != nil {
		why = s.err.Error()
	}
	if said := s.errOut.last(); said != "" {
		return fmt.Errorf("%s (%s)", said, why)
	}
	return fmt.Errorf("ended with %s", why)
}

// report is the last event of a child of ours.
func (s *sender) report() (event, bool) {
	if n := len(s.events); n > 0 && s.events[n-1].Event == eventDone {
		return s.events[n-1], true
	}
	return event{}, false
}

// expand fills in the placeholders of a command.
func expand(command string, c *Config, p *place, size int) string {
	cpu := -1
	if len(c.Pin) > 0 {
		cpu = c.Pin[0]
	}
	// Whole seconds that the sender has to go on for: start-up, warm-up and window, with room.
	seconds := int(math.Ceil((c.Warmup + c.Duration).Seconds())) + 2
	return strings.NewReplacer(
		"{if}", p.iface, "{duration}", strconv.Itoa(seconds), "{frame}", strconv.Itoa(size-fcsLen),
		"{queues}", strconv.Itoa(c.Queues), "{cpu}", strconv.Itoa(cpu),
	).Replace(command)
}

// fcsLen is the frame check sequence, which software does not write.
const fcsLen = 4

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf); n > 2*tailSize {
		t.buf = append(t.buf[:0], t.buf[n-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.buf)
}

// last is the last line.
func (t *tail) last() string {
	text := strings.TrimSpace(string(t.bytes()))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// declaredSyscalls is what another program says of itself in a JSON object on a line of its own, as the C yardstick does.
func (t *tail) declaredSyscalls() (float64, bool) {
	for line := range bytes.Lines(t.bytes()) {
		var said struct {
			PerPacket *float64 `json:"sys_per_pkt"`
		}
		if json.Unmarshal(line, &said) == nil && said.PerPacket != nil {
			return *said.PerPacket, true
		}
	}
	return 0, false
}
