// SPDX-License-Identifier: Apache-2.0

package payload

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMake(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spec string
		size int
		want string
	}{
		{"text:hello", -1, "hello"},
		{"text:hello", 12, "hellohellohe"},
		{"text:hello", 2, "he"},
		{"text:hello", 0, ""},
		{"text:", 3, "\x00\x00\x00"},
		{"zero", -1, ""},
		{"zero", 2, "\x00\x00"},
		{"hex:0a0B", -1, "\x0a\x0b"},
		{"hex:0a 0b:0c-0d", 5, "\x0a\x0b\x0c\x0d\x0a"},
		{"@" + file, -1, "from a file"},
		{"@-", -1, "from stdin"},
	} {
		got, err := Make(c.spec, c.size, strings.NewReader("from stdin"))
		if err != nil || string(got) != c.want {
			t.Errorf("%s, size %d: %q, %v; want %q", c.spec, c.size, got, err, c.want)
		}
	}
}

func TestMakeRefuses(t *testing.T) {
	big := bytes.NewReader(make([]byte, Max+1))
	for spec, part := range map[string]string{
		"hello": "none of", "hex:0": "hex", "hex:zz": "hex", "@/nonexistent/file": "no such file", "@-": "larger than a UDP datagram",
	} {
		if _, err := Make(spec, -1, big); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %v, want one with %q", spec, err, part)
		}
	}
	for _, size := range []int{-2, Max + 1} {
		if _, err := Make("zero", size, nil); err == nil {
			t.Errorf("size %d is taken", size)
		}
	}
	if b, err := Make("@-", -1, bytes.NewReader(make([]byte, Max))); err != nil || len(b) != Max {
		t.Errorf("the largest payload: %d bytes, %v", len(b), err)
	}
}

// A size also cuts what is larger than a datagram. Without a size that is refused, with the reason and not with the
// number of bytes that were read.
func TestMakeCutsWhatIsTooLarge(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{"@" + file, "@-", "text:" + string(data)} {
		if b, err := Make(spec, 100, bytes.NewReader(data)); err != nil || !bytes.Equal(b, data[:100]) {
			t.Errorf("%.10s cut to 100: %d bytes, %v", spec, len(b), err)
		}
		if b, err := Make(spec, Max, bytes.NewReader(data)); err != nil || !bytes.Equal(b, data[:Max]) {
			t.Errorf("%.10s cut to %d: %d bytes, %v", spec, Max, len(b), err)
		}
		_, err := Make(spec, -1, bytes.NewReader(data))
		if err == nil || !strings.Contains(err.Error(), "more than 65527 bytes") {
			t.Errorf("%.10s: %v", spec, err)
		}
	}
}
