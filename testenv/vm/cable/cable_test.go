// SPDX-License-Identifier: Apache-2.0

package cable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// channel returns both ends of what plays the serial port.
func channel(t *testing.T) (guest, host *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	guest, host = os.NewFile(uintptr(fds[0]), "guest"), os.NewFile(uintptr(fds[1]), "host")
	t.Cleanup(func() { guest.Close(); host.Close() })
	return guest, host
}

func TestAskAndServe(t *testing.T) {
	guest, host := channel(t)
	var heard []string
	served := make(chan error, 1)
	go func() {
		served <- Serve(host, func(end int, up bool) error {
			heard = append(heard, fmt.Sprint(Ends[end], up))
			if end == 1 && !up {
				return errors.New("no such\ncard")
			}
			return nil
		})
	}()
	ctx := testenv.Context(t, time.Minute)
	for _, c := range []struct {
		r    request
		want string
	}{
		{request{"one", 0, false}, ""}, {request{"two", 0, true}, ""}, {request{"three", 1, false}, "no such; card"}, {request{"four", 1, true}, ""},
	} {
		// What an earlier process left behind: half a request, and an answer that no one waited for.
		if _, err := io.WriteString(guest, "left A dow"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(host, "before ok\n"); err != nil {
			t.Fatal(err)
		}
		err := exchange(ctx, guest, c.r)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.r, err, c.want)
		}
	}
	guest.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if want := []string{"Afalse", "Atrue", "Bfalse", "Btrue"}; !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

// TestNobodyAnswers: a process that asks is not kept waiting for longer than it wants.
func TestNobodyAnswers(t *testing.T) {
	guest, host := channel(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := exchange(ctx, guest, request{"one", 0, false}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent host: %v", err)
	}
	host.Close()
	if err := exchange(testenv.Context(t, time.Minute), guest, request{"two", 0, false}); err == nil {
		t.Error("no host: no error")
	}
	if err := Set(testenv.Context(t, time.Minute), t.TempDir()+"/none", 0, true); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no port: %v", err)
	}
}

// script is a port from which comes what a guest wrote.
type script struct {
	io.Reader
	strings.Builder
}

func (s *script) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.Builder.Write(p) }

func TestNothingElseIsServed(t *testing.T) {
	s := &script{Reader: strings.NewReader("\n\x00\nquit\n" + strings.Repeat("x", 5000) + " A down\n" + "a C down\nb A off\nc A down now\n" +
		"d; A down\ne A up\n" + strings.Repeat("f", maxID+1) + " A up\ng A down")}
	calls := 0
	if err := Serve(s, func(end int, up bool) error {
		if calls++; end != 0 || !up {
			t.Errorf("end %d up %t", end, up)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := `quit no 1 words, want an ID, an end and up or down
a no no end "C": there are A and B
b no neither up nor down: "off"
c no 4 words, want an ID, an end and up or down
e ok
`
	if got := s.String(); got != want || calls != 1 {
		t.Errorf("%d calls; said\n%s", calls, got)
	}
}

// FuzzServe: whatever a guest says, there is at most one answer per line, each to an ID, and nothing but the ends there
// are is touched.
func FuzzServe(f *testing.F) {
	f.Add("\na A down\n")
	f.Add("\nb B up\nc B up\n")
	f.Add(strings.Repeat("a", 2*maxLine) + "\na A up\n")
	f.Fuzz(func(t *testing.T, said string) {
		s := &script{Reader: strings.NewReader(said)}
		if err := Serve(s, func(end int, _ bool) error {
			if end < 0 || end >= len(Ends) {
				t.Errorf("end %d", end)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		answers := strings.SplitAfter(s.String(), "\n")
		if len(answers)-1 > strings.Count(said, "\n") {
			t.Errorf("%d answers to %q", len(answers)-1, said)
		}
		for _, a := range answers[:len(answers)-1] {
			id, _, _ := strings.Cut(a, " ")
			if mine, _ := parseAnswer(a, id); !mine || !strings.Contains(said, id) || len(a) > 200 {
				t.Errorf("answer %q to %q", a, said)
			}
		}
	})
}
