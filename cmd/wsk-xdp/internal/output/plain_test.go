// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// Where the locale has no UTF-8, what is written is ASCII; the first of the variables that is set decides.
func TestPlain(t *testing.T) {
	const text = "p50 3.2µs · 10→11 ████▏ – 2³²\n"
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"LANG": "en_GB.UTF-8"}, text},
		{map[string]string{"LC_CTYPE": "C.utf8", "LANG": "C"}, text},
		{map[string]string{"LC_ALL": "C", "LANG": "C.UTF-8"}, "p50 3.2us - 10->11 ####- - 2^3^2\n"},
		{map[string]string{"LANG": "de_DE.ISO-8859-1"}, "p50 3.2us - 10->11 ####- - 2^3^2\n"},
		{nil, "p50 3.2us - 10->11 ####- - 2^3^2\n"},
	} {
		var b bytes.Buffer
		n, err := io.WriteString(Plain(&b, func(name string) string { return c.env[name] }), text)
		if err != nil || n != len(text) || b.String() != c.want {
			t.Errorf("%v: %q, %d, %v", c.env, b.String(), n, err)
		}
	}
	if f := fileOf(Piped(Plain(os.Stdout, func(string) string { return "" }), func() {})); f != os.Stdout {
		t.Errorf("%v", f)
	}
}

// A line that is too long loses fields, and no digits.
func TestFitting(t *testing.T) {
	const line = "[  1.0s] tx 77.903 kpps  compl p50 3.2µs p99 2.1ms  done 77,916"
	for _, c := range []struct {
		room int
		want string
	}{{100, line}, {63, line}, {62, "[  1.0s] tx 77.903 kpps  compl p50 3.2µs p99 2.1ms"}, {30, "[  1.0s] tx 77.903 kpps"}, {5, "[  1."}} {
		if got := fitting(line, c.room); got != c.want {
			t.Errorf("%d: %q", c.room, got)
		}
	}
}
