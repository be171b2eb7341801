// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

// State is how far a guest came.
type State int

// States.
const (
	// NeverReady: it did not come up. QEMU or the kernel is to blame, not what was to be tested; worth another attempt.
	NeverReady State = iota
	// Broken: it came up and could not make itself fit for the job.
	Broken
	// Ready: it was ready and did not get to its end: a hang, a crash, a time-out.
	Ready
	// Done: all commands ended, whatever their codes.
	Done
)

// String is a word for it.
func (s State) String() string {
	switch s {
	case NeverReady:
		return "never ready"
	case Broken:
		return "broken"
	case Ready:
		return "did not end"
	case Done:
		return "done"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// CommandResult is what became of a command.
type CommandResult struct {
	Line   string
	Output string // both streams
	// Ended says whether Code is set: the exit code, job.CodeTimeout, or 128 and a signal.
	Ended bool
	Code  int
}

// OK reports whether the command ended with 0.
func (r CommandResult) OK() bool { return r.Ended && r.Code == 0 }

// transcript is what came over a guest's serial port so far.
type transcript struct {
	nonce    string
	live     io.Writer
	onReady  func()
	state    State
	text     string // of Ready and Broken
	commands []CommandResult
	current  int // index of the command that runs, -1 for none
	output   strings.Builder
}

func newTranscript(j *job.Job, live io.Writer, onReady func()) *transcript {
	t := &transcript{nonce: j.Nonce, live: live, onReady: onReady, current: -1}
	for _, c := range j.Commands {
		t.commands = append(t.commands, CommandResult{Line: c.Line})
	}
	return t
}

// read takes in all that comes until the end of r.
func (t *transcript) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			t.line(line)
		}
		if err != nil {
			t.close()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func (t *transcript) line(line string) {
	m, before, ok := job.Parse(line, t.nonce)
	if !ok {
		t.print(line)
		return
	}
	if before != "" {
		t.print(before)
	}
	switch m.Kind {
	case job.Ready:
		if t.state == NeverReady {
			t.state, t.text = Ready, m.Text
			t.onReady()
		}
	case job.Broken:
		t.state, t.text = Broken, m.Text
	case job.Begin:
		if m.Index >= 0 && m.Index < len(t.commands) {
			t.close()
			t.current = m.Index
		}
	case job.End:
		if t.current >= 0 && m.Index == t.current {
			t.commands[m.Index].Ended, t.commands[m.Index].Code = true, m.Code
			t.close()
		}
	case job.Done:
		if t.state == Ready {
			t.state = Done
		}
	}
}

func (t *transcript) print(s string) {
	if t.current < 0 {
		return
	}
	t.output.WriteString(s)
	if t.live != nil {
		_, _ = io.WriteString(t.live, s)
	}
}

// close gives the output so far to the command that runs. A marker stands on a line of its own, for which the agent
// wrote one more line end than the command.
func (t *transcript) close() {
	if t.current >= 0 {
		t.commands[t.current].Output = strings.TrimSuffix(t.output.String(), "\n")
	}
	t.output.Reset()
	t.current = -1
}
