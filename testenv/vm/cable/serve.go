// SPDX-License-Identifier: Apache-2.0

package cable

import (
	"bufio"
	"errors"
	"io"
)

// maxLine is more than any request takes.
const maxLine = 128

// Serve is the host: it answers the requests that come through port, one after another, until port ends, and returns
// why it did, nil for its end. set pulls or plugs the cable of an end, an index in Ends. A line that is not a request
// is answered as far as it can be, and does no harm.
func Serve(port io.ReadWriter, set func(end int, up bool) error) error {
	lines := bufio.NewReaderSize(port, maxLine)
	for {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r, err := parseRequest(line)
		if r.id == "" {
			continue
		}
		if err == nil {
			err = set(r.end, r.up)
		}
		if _, err := io.WriteString(port, answer(r.id, err)); err != nil {
			return err
		}
	}
}

// readLine returns the next line; one that is too long is as good as an empty one.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return string(line), err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return "", err
}
