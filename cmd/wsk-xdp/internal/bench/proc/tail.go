// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"
	"strings"
	"sync"
)

// Tail keeps the end of what is written to it. Its methods may be called concurrently.
type Tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 16 << 10

// Write implements io.Writer.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf); n > 2*tailSize {
		t.buf = append(t.buf[:0], t.buf[n-tailSize:]...)
	}
	return len(p), nil
}

// Bytes is a copy of what is kept.
func (t *Tail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.buf)
}

// last is the last line.
func (t *Tail) last() string {
	text := strings.TrimSpace(string(t.Bytes()))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
