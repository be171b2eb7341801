// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"io"
	"syscall"
)

// Piped is a writer to w that calls gone, from then on at each Write, when nobody reads w any more. What is written then goes nowhere and is
// no error: it was the reader's wish. gone is called from whatever goroutine writes.
func Piped(w io.Writer, gone func()) io.Writer { return piped{w, gone} }

// Lasting is w without Piped, for what goes on when nobody reads its log any more: a Write is then the error that it is.
func Lasting(w io.Writer) io.Writer {
	if p, ok := w.(piped); ok {
		return p.Writer
	}
	return w
}

type piped struct {
	io.Writer
	gone func()
}

func (p piped) Write(b []byte) (int, error) {
	n, err := p.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		p.gone()
		return len(b), nil
	}
	return n, err
}
