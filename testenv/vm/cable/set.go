// SPDX-License-Identifier: Apache-2.0

package cable

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Timeout is how long to wait for the host, which may be busy with much else, and stopped for a while.
const Timeout = 100 * time.Second

// Set pulls the cable of an end, an index in Ends, or plugs it, through the channel that Variable names. When it
// returns nil the host has done it; the guest's driver hears of it in its own time. Several processes may call it at
// once: they take turns.
func Set(ctx context.Context, path string, end int, up bool) error {
	r := request{id: rand.Text(), end: end, up: up}
	if err := ask(ctx, path, r); err != nil {
		return fmt.Errorf("set the cable of %s %s: %w", Ends[end], verbs[up], err)
	}
	return nil
}

func ask(ctx context.Context, path string, r request) error {
	f, err := openPort(ctx, path)
	if err != nil {
		return err
	}
	defer f.Close()
	return exchange(ctx, f, r)
}

// exchange asks and waits for the answer; others' answers are passed over.
func exchange(ctx context.Context, port *os.File, r request) error {
	if err := port.SetDeadline(time.Time{}); err != nil {
		return err // without a deadline there would be no end to the wait
	}
	stop := context.AfterFunc(ctx, func() { _ = port.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(port, r.format()); err != nil {
		return err
	}
	lines := bufio.NewReader(port)
	for {
		line, err := lines.ReadString('\n')
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("no answer: %w", context.Cause(ctx))
		case errors.Is(err, io.EOF):
			return errors.New("the host is not there")
		case err != nil:
			return err
		}
		if mine, err := parseAnswer(line, r.id); mine {
			return err
		}
	}
}

// openPort waits for its turn: the kernel lets one at a time have the port.
func openPort(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if !errors.Is(err, syscall.EBUSY) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Main is the command cable of a guest and returns its exit code.
func Main(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: cable A|B up|down")
		return 2
	}
	end, err := ParseEnd(args[0])
	up := false
	if err == nil {
		up, err = ParseVerb(args[1])
	}
	path := os.Getenv(Variable)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "cable:", err)
		return 2
	case path == "":
		fmt.Fprintln(os.Stderr, "cable: this guest has no cables:", Variable, "is not set")
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	if err := Set(ctx, path, end, up); err != nil {
		fmt.Fprintln(os.Stderr, "cable:", err)
		return 1
	}
	return 0
}
