// SPDX-License-Identifier: Apache-2.0

package units

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// goish is what no sentence for people says.
var goish = regexp.MustCompile(`strconv|encoding/|time:|netip|\bfd [0-9]|invalid|%!`)

// checkSentence holds the error about a text to what people can read: one sentence, nothing of a library's.
func checkSentence(t *testing.T, text string, err error) {
	t.Helper()
	said := err.Error()
	if strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q is told as %q", text, said)
	}
	if goish.MatchString(said) && !goish.MatchString(text) {
		t.Errorf("%q: %v", text, err)
	}
}

func FuzzRate(f *testing.F) {
	for _, s := range []string{"250k", "1.5Mpps", "0.5", "10Gbit", "2.5Gbit/s", "5%", "max", "1m", "-1", "1e9", "0.0000001", "1000G"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var r Rate
		if err := r.Set(s); err != nil {
			checkSentence(t, s, err)
			return
		}
		var again Rate
		if err := again.Set(r.String()); err != nil || again != r {
			t.Errorf("%q becomes %q, which is %+v, %v", s, r.String(), again, err)
		}
		micro, err := r.Packets(Load{12, 36_656}, 25e9)
		if err == nil && (micro > MaxRate*MicroPerPacket || (micro == 0) != r.IsMax()) {
			t.Errorf("%q: %d millionths of a packet", s, micro)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"10", "0.5", "5s", "1h30m", "2d", "1d12h", "300ms", "7µs", "-1s", "1e3s", "292y", "0.1ns", "0\xfd 0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d Duration
		if err := d.Set(s); err != nil {
			checkSentence(t, s, err)
			return
		}
		var again Duration
		if err := again.Set(d.String()); err != nil || again != d || d < 0 {
			t.Errorf("%q becomes %q, which is %v, %v", s, d.String(), again, err)
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"64", "64,512,1518", "64-1518", "imix", "imix:64=7,594=4,1518=1", "64-", "imix:", "1-65573"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var z Sizes
		if err := z.Set(s); err != nil {
			checkSentence(t, s, err)
			return
		}
		cycle := z.Cycle()
		if len(cycle) == 0 || len(cycle) > maxCycle {
			t.Errorf("%q is a cycle of %d", s, len(cycle))
		}
		for _, n := range cycle {
			if n < 0 || n > maxSize {
				t.Fatalf("%q holds a frame of %d bytes", s, n)
			}
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"10.0.0.7", "10.0.0.0/24", "10.0.0.1-10.0.0.9", "fd00::/64", "::-ffff::", "9000", "9000-9099", "1-65535", "0.0.0.0/0"} {
		f.Add(s, uint64(3))
	}
	f.Fuzz(func(t *testing.T, s string, i uint64) {
		var a Addresses
		if err := a.Set(s); err != nil {
			checkSentence(t, s, err)
		} else {
			i := i % a.Len()
			if one := a.At(i); one.Is4() != a.Is4() || one.Less(a.At(0)) || a.At(a.Len()-1).Less(one) {
				t.Errorf("%q: number %d of %d is %v", s, i, a.Len(), one)
			}
		}
		var p Ports
		if err := p.Set(s); err != nil {
			checkSentence(t, s, err)
		} else if one := p.At(i % p.Len()); one < p.first || one > p.last {
			t.Errorf("%q: number %d of %d is %d", s, i, p.Len(), one)
		}
	})
}

func FuzzSchedule(f *testing.F) {
	for _, s := range []string{"100k:10s,1M:30s", "5%:1m", "1Gbit:0.5", "max:1s", "1k:0", "1k", ":", "", ",", "1k:1s,", "1k:1s:2s", "1:292y", "1:100000d,1:100000d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var l Schedule
		if err := l.Set(s); err != nil {
			checkSentence(t, s, err)
			return
		}
		var again Schedule
		if err := again.Set(l.String()); err != nil || again.String() != l.String() || len(again) != len(l) {
			t.Errorf("%q becomes %q, which is %v, %v", s, l.String(), again, err)
		}
		if l.Length() <= 0 || len(l) == 0 {
			t.Errorf("%q takes %v", s, l.Length())
		}
		for _, step := range l {
			if step.Rate.IsMax() || step.For <= 0 {
				t.Errorf("%q has the step %v", s, step)
			}
		}
	})
}
