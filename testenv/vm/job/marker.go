// SPDX-License-Identifier: Apache-2.0

package job

import (
	"fmt"
	"strings"
)

// Kind is what a marker says.
type Kind string

// Kinds, in the order in which they come. Begin and End come once per command, and between them its output.
const (
	// Ready: the guest is up, with its modules, interfaces and shares. From here on what goes wrong is a failure.
	Ready Kind = "READY"
	// Begin: command Index starts.
	Begin Kind = "BEGIN"
	// End: command Index ended with Code.
	End Kind = "END"
	// Broken: the guest cannot do the job at all; Text says why.
	Broken Kind = "BROKEN"
	// Done: all is done, and the guest switches itself off.
	Done Kind = "DONE"
)

// Marker is a line from the agent.
type Marker struct {
	Kind  Kind
	Index int    // of the command, for Begin and End
	Code  int    // exit code for End; CodeTimeout when time ran out, 128 and the signal's number when one ended it
	Text  string // one line, for Broken and Ready
}

// CodeTimeout is the code of a command whose time ran out, as timeout(1) has it.
const CodeTimeout = 124

const prefix = "@@wskvm "

// Format returns the line without its end.
func (m Marker) Format(nonce string) string {
	return strings.TrimRight(fmt.Sprintf("%s%s %s %d %d %s", prefix, nonce, m.Kind, m.Index, m.Code,
		strings.ReplaceAll(m.Text, "\n", "; ")), " ")
}

// Parse reads a line. It is not one of this nonce's if ok is false; then it is output. before is what stands on the
// line in front of the marker: output whose last line had no end.
func Parse(line, nonce string) (m Marker, before string, ok bool) {
	before, rest, found := strings.Cut(strings.TrimRight(line, "\r\n"), prefix+nonce+" ")
	if !found {
		return Marker{}, "", false
	}
	var kind string
	n, _ := fmt.Sscanf(rest, "%s %d %d", &kind, &m.Index, &m.Code)
	if n != 3 {
		return Marker{}, "", false
	}
	m.Kind = Kind(kind)
	if fields := strings.SplitN(rest, " ", 4); len(fields) == 4 {
		m.Text = fields[3]
	}
	return m, before, true
}
