// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// maxPayload is that of the largest datagram.
const maxPayload = 65527

// Parse reads a message and checks everything in it: what comes is from anybody who can reach the port.
func Parse(line []byte) (m Message, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if err := d.Decode(&m); err != nil {
		return Message{}, errors.New("the peer says what is no message of wsk-xdp")
	}
	if d.More() {
		return Message{}, errors.New("the peer says more than one message in a line")
	}
	if h := m.Hello; h != nil {
		if err := h.check(); err != nil {
			return Message{}, fmt.Errorf("the peer's hello: %w", err)
		}
	}
	if w := m.Welcome; w != nil && !plain(w.Version, w.Engine) || m.Report != nil && !m.Report.plain() {
		return Message{}, errors.New("the peer's names are none")
	}
	m.Refused = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, m.Refused)
	if e := m.End; e != nil {
		if len(e.Sent) > stamp.Streams {
			return Message{}, fmt.Errorf("the peer's end has %d streams, at most %d are known", len(e.Sent), stamp.Streams)
		}
		for _, n := range e.Sent {
			if n > maxNumber {
				return Message{}, fmt.Errorf("the peer's end: %d datagrams can't be numbered", n)
			}
		}
	}
	return m, nil
}

// maxNumber is more than anybody sends. A stamp has fewer bits, and begins with 0 again.
const maxNumber = 1 << 62

// plain is whether names are fit for a terminal.
func plain(names ...string) bool {
	for _, name := range names {
		if len(name) > 128 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
			return false
		}
	}
	return true
}

// maxHDR bounds a histogram: that of a run takes a few kilobytes.
const maxHDR = 128 << 10

// maxCauses bounds the causes of drops that a report may have.
const maxCauses = 32

func (r *Report) plain() bool {
	for cause := range r.Drops {
		if !plain(cause) {
			return false
		}
	}
	if h := r.HDR; h != nil && (len(h.OneWay) > maxHDR || strings.ContainsFunc(h.OneWay, func(r rune) bool { return r <= ' ' || r > '~' })) {
		return false
	}
	return plain(r.Version, r.Engine) && len(r.Drops) <= maxCauses
}

func (h *Hello) check() error {
	switch {
	case h.Protocol != Protocol:
		return fmt.Errorf("protocol %d, and this is %d: use the same version of wsk-xdp", h.Protocol, Protocol)
	case len(h.Payload) > maxPayload || len(h.Version) > 128 || len(h.Clock) > 128:
		return errors.New("something in it is too long")
	case h.Smallest < stamp.Size || h.Largest < h.Smallest || h.Largest > maxPayload:
		return fmt.Errorf("payloads of %d to %d bytes", h.Smallest, h.Largest)
	case len(h.Payload) != h.Largest-stamp.Size:
		return fmt.Errorf("%d bytes of payload for datagrams of up to %d", len(h.Payload), h.Largest)
	}
	return nil
}
