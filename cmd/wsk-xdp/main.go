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
	os.Exit(program(output.Plain(os.Stdout, os.Getenv), output.Plain(os.Stderr, os.Getenv)))
}

// program runs the command line of this process. When nobody reads what it writes any more (`| head`, or a tee that Ctrl-C has ended
// first), it ends as by Ctrl-C: a SIGPIPE would leave the file of -o unwritten.
func program(stdout, stderr io.Writer) int {
	// Caught, so that a write returns, and not ignored: what is ignored is so in the programs that are started here, too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, end := context.WithCancel(interruptible())
	defer end()
	return run(ctx, os.Args[1:], os.Stdin, output.Piped(stdout, end), output.Piped(stderr, end))
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
