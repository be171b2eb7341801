// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
)

const signalGrace = 500 * time.Millisecond

func main() {
	var stdout io.Writer = os.Stdout
	if !asksForJSON(os.Args[1:]) { // documents are UTF-8
		stdout = output.Plain(stdout, os.Getenv)
	}
	os.Exit(run(interruptible(), os.Args[1:], os.Stdin, stdout, output.Plain(os.Stderr, os.Getenv)))
}

// interruptible is a context that ends when the program shall: from the keyboard, by the system, or because the
// terminal is gone. A program that was started to outlive its terminal (nohup) has the last ignored already, and it
// stays so.
func interruptible() context.Context {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	// Some time after the first signal the default action is back, so that another one ends a program that hangs. Not
	// at once: a demo in a user namespace gets the signal of the terminal twice, from it and from its parent.
	context.AfterFunc(ctx, func() { time.AfterFunc(signalGrace, stop) })
	return ctx
}
