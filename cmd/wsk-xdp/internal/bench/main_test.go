// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// The test binary is also the child of a run, and a rival's program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		var err error
		switch os.Args[1] {
		case "child":
			err = Child(context.Background(), os.Stdin, os.Stdout)
		case "rival":
			err = rival(os.Args[2])
		default:
			testenv.Main(m)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testenv.Main(m)
}

// rival sends 18 bytes to where the laboratory counts until it is told to end, and reports what it did in the form that
// the C yardstick uses.
func rival(to string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	conn, err := net.Dial("udp4", to)
	if err != nil {
		return err
	}
	defer conn.Close()
	payload := make([]byte, 18)
	for {
		select {
		case <-stop:
			_, err := fmt.Println(`{"name":"rival","sys_per_pkt":1.5}`)
			return err
		default:
		}
		if _, err := conn.Write(payload); err != nil && !later(err) {
			return err
		}
	}
}
