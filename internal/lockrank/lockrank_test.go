// SPDX-License-Identifier: Apache-2.0

package lockrank

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const (
	waiting Act = 1 << iota
	counting
)

var outer = New("outer", waiting)

type outerRank struct{}

func (outerRank) Rank() *Rank { return outer }

// TestMutualExclusion holds both builds to be mutexes.
func TestMutualExclusion(t *testing.T) {
	var (
		mu      Mutex[outerRank]
		n       int
		workers sync.WaitGroup
	)
	for range 8 {
		workers.Go(func() {
			for range 1000 {
				mu.Lock()
				mu.AssertHeld()
				n++
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if n != 8000 {
		t.Errorf("counted %d of 8000", n)
	}
	if !mu.TryLock() || mu.TryLock() {
		t.Error("TryLock: want true of a lock that is free, then false")
	}
	mu.Unlock()
	AssertNoneHeld("the end of a test")
}

// TestCond shows that a ranked mutex serves a condition variable.
func TestCond(t *testing.T) {
	var mu Mutex[outerRank]
	changed := sync.NewCond(&mu)
	ready := false
	go func() {
		mu.Lock()
		defer mu.Unlock()
		ready = true
		changed.Signal()
	}()
	mu.Lock()
	defer mu.Unlock()
	for !ready {
		changed.Wait()
	}
	mu.AssertHeld()
}

// TestNothingWithoutRace compiles functions with a plain and with a ranked mutex, without the race detector, and
// compares the instructions.
func TestNothingWithoutRace(t *testing.T) {
	twin := filepath.Join(t.TempDir(), "twin")
	run(t, "go", "build", "-o", twin, "./testdata/twin")
	code := make(map[string]string)
	for function := range strings.SplitSeq(run(t, "go", "tool", "objdump", "-s", `^main\.(plain|ranked)`, twin), "TEXT ") {
		name, body, _ := strings.Cut(function, "(SB)")
		code[name] = instructions(body)
	}
	for _, what := range []string{"Lock", "Try"} {
		plain, ranked := code["main.plain"+what], code["main.ranked"+what]
		if strings.Count(plain, "\n") < 10 || plain != ranked {
			t.Errorf("%s with a ranked mutex:\n%s\nwith a plain one:\n%s", what, ranked, plain)
		}
	}
}

// places are the names of the two types, and addresses in the code.
var places = regexp.MustCompile(`plain|ranked|0x[0-9a-f]{5,}`)

// instructions are those of a disassembled function, without where they are and where they jump to.
func instructions(body string) string {
	var s strings.Builder
	for line := range strings.Lines(body) {
		// file and line, address, bytes, instruction, with tabs in between
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == '\t' || r == '\n' })
		if len(fields) == 4 {
			s.WriteString(places.ReplaceAllString(fields[3], "·") + "\n")
		}
	}
	return s.String()
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func BenchmarkLock(b *testing.B) {
	n := 0
	b.Run("plain", func(b *testing.B) {
		var mu sync.Mutex
		for b.Loop() {
			mu.Lock()
			n++
			mu.Unlock()
		}
	})
	b.Run("ranked", func(b *testing.B) {
		var mu Mutex[outerRank]
		for b.Loop() {
			mu.Lock()
			n++
			mu.Unlock()
		}
	})
}

func BenchmarkTryLock(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		var mu sync.Mutex
		for b.Loop() {
			if mu.TryLock() {
				mu.Unlock()
			}
		}
	})
	b.Run("ranked", func(b *testing.B) {
		var mu Mutex[outerRank]
		for b.Loop() {
			if mu.TryLock() {
				mu.Unlock()
			}
		}
	})
}
