// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"io"
	"testing"
)

// TestSink: what comes whole is taken, however it is cut, and nothing that is lost, doubled, changed or too much.
func TestSink(t *testing.T) {
	size := 2*len(block) + 1000
	all := make([]byte, size+1)
	if n, err := io.ReadFull(&source{size: size}, all[:size]); n != size || err != nil {
		t.Fatal(n, err)
	}
	for name, tc := range map[string]struct {
		pieces [][]byte
		want   bool
	}{
		"whole":    {[][]byte{all[:1], all[1:1441], all[1441:size]}, true},
		"short":    {[][]byte{all[:size-1]}, false},
		"lost":     {[][]byte{all[:1441], all[2882:size]}, false},
		"doubled":  {[][]byte{all[:1441], all[:1441], all[1441:size]}, false},
		"swapped":  {[][]byte{all[1441:2882], all[:1441], all[2882:size]}, false},
		"too much": {[][]byte{all[:size], all[size:]}, false},
	} {
		called := 0
		s := &sink{size: size, at: size / 8, f: func() { called++ }}
		var err error
		for _, p := range tc.pieces {
			if _, err = s.Write(p); err != nil {
				break
			}
		}
		if err == nil {
			err = s.whole()
		}
		if (err == nil) != tc.want || tc.want && called != 1 {
			t.Errorf("%s: %v, called %d times", name, err, called)
		}
	}
	s := &sink{size: size}
	if n, err := io.Copy(s, &source{size: size}); n != int64(size) || err != nil || s.whole() != nil {
		t.Errorf("copied %d: %v", n, err)
	}
}
