// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// qmp is a connection to QEMU's monitor, in the protocol of QEMU's docs/interop/qmp-spec.rst. Not for concurrent use.
type qmp struct {
	conn    net.Conn
	in      *json.Decoder
	greeted bool
}

// qmpTimeout is how long QEMU may take for a command. It may be stopped for a while.
const qmpTimeout = 60 * time.Second

func newQMP(conn net.Conn) *qmp { return &qmp{conn: conn, in: json.NewDecoder(conn)} }

// qmpMessage is whatever QEMU sends: its greeting, an answer, or an event, of which all else is unset.
type qmpMessage struct {
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Class string `json:"class"`
		Text  string `json:"desc"`
	} `json:"error"`
}

// do has QEMU execute a command. After an error that is not QEMU's the connection is of no use any more.
func (q *qmp) do(command string, arguments any) error {
	if err := q.conn.SetDeadline(time.Now().Add(qmpTimeout)); err != nil {
		return err
	}
	if !q.greeted {
		if err := q.await(func(m *qmpMessage) bool { return m.Greeting != nil }); err != nil {
			return fmt.Errorf("QEMU's greeting: %w", err)
		}
		if err := q.command("qmp_capabilities", nil); err != nil {
			return err
		}
		q.greeted = true
	}
	return q.command(command, arguments)
}

func (q *qmp) command(command string, arguments any) error {
	raw, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments})
	if err != nil {
		return err
	}
	if _, err := q.conn.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("QEMU, %s: %w", command, err)
	}
	if err := q.await(func(m *qmpMessage) bool { return m.Return != nil }); err != nil {
		return fmt.Errorf("QEMU, %s: %w", command, err)
	}
	return nil
}

// await passes over events.
func (q *qmp) await(is func(*qmpMessage) bool) error {
	for {
		var m qmpMessage
		if err := q.in.Decode(&m); err != nil {
			return err
		}
		if m.Error != nil {
			return fmt.Errorf("%s (%s)", m.Error.Text, m.Error.Class)
		}
		if is(&m) {
			return nil
		}
	}
}
