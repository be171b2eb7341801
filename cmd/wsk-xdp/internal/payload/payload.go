// SPDX-License-Identifier: Apache-2.0

package payload

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// Max is the largest UDP payload there is, that of IPv6.
const Max = 65527

// maxIPv4 is what an IPv4 packet of 65535 bytes holds behind its own header and that of UDP.
const maxIPv4 = 65535 - 20 - 8

// MaxOf is the largest UDP payload over IPv4 or IPv6, in fragments if need be.
func MaxOf(is4 bool) int {
	if is4 {
		return maxIPv4
	}
	return Max
}

// Forms is the list of forms for help texts.
const Forms = "text:WORDS, hex:0A0B…, @FILE, @- (standard input) or zero"

// Make returns the payload that spec describes. size -1 leaves its length as it is; otherwise the payload is repeated
// or cut to size bytes. stdin is read for @-.
func Make(spec string, size int, stdin io.Reader) ([]byte, error) {
	if size < -1 || size > Max {
		return nil, fmt.Errorf("payload size %d is outside 0..%d", size, Max)
	}
	base, err := parse(spec, stdin)
	if err != nil {
		return nil, err
	}
	if size < 0 {
		if len(base) > Max {
			return nil, fmt.Errorf("payload of more than %d bytes is larger than a UDP datagram can be", Max)
		}
		return base, nil
	}
	out := make([]byte, size)
	for n := 0; len(base) > 0 && n < size; {
		n += copy(out[n:], base)
	}
	return out, nil
}

func parse(spec string, stdin io.Reader) ([]byte, error) {
	switch {
	case spec == "zero":
		return nil, nil
	case strings.HasPrefix(spec, "text:"):
		return []byte(spec[len("text:"):]), nil
	case strings.HasPrefix(spec, "hex:"):
		return parseHex(spec[len("hex:"):])
	case spec == "@-":
		return read("standard input", stdin)
	case strings.HasPrefix(spec, "@"):
		f, err := os.Open(spec[1:])
		if err != nil {
			return nil, fmt.Errorf("read payload: %w", err)
		}
		defer f.Close()
		return read(spec[1:], f)
	}
	return nil, fmt.Errorf("payload %q is none of %s", spec, Forms)
}

// parseHex takes digits with blanks, colons and dashes between them, as people paste them.
func parseHex(digits string) ([]byte, error) {
	digits = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == ':' || r == '-' {
			return -1
		}
		return r
	}, digits)
	out, err := hex.DecodeString(digits)
	switch {
	case errors.Is(err, hex.ErrLength):
		return nil, fmt.Errorf("payload hex:%s has an odd number of digits: a byte is two", digits)
	case err != nil:
		return nil, fmt.Errorf("payload hex:%s has other characters than 0-9 and a-f", digits)
	}
	return out, nil
}

// read reads one byte more than a datagram can have, so that the caller sees that there is too much.
func read(name string, r io.Reader) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, Max+1))
	if err != nil {
		return nil, fmt.Errorf("read payload from %s: %w", name, err)
	}
	return out, nil
}
