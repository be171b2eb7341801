// SPDX-License-Identifier: Apache-2.0

// Command frames makes a capture file of mixed frames, and records what arrives of them: for scripts/cli-checks.sh.
//
//	frames make N GAP NAME             NAME.pcap with N frames, GAP apart, and NAME.raw with the same bytes and nothing else
//	frames record NETNS IFACE N NAME   the first N of such frames that come to the interface as NAME.raw, after a line on standard output
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// patience is how long record waits for the frames.
const patience = time.Minute

// mark is the source of every frame.
var mark = []byte{0x02, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "frames:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "make":
		n, err := strconv.Atoi(args[1])
		gap, err2 := time.ParseDuration(args[2])
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		return write(args[3], n, gap)
	case len(args) == 5 && args[0] == "record":
		n, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		return record(args[1], args[2], n, args[4])
	}
	return errors.New("make N GAP NAME | record NETNS IFACE N NAME")
}

// write makes frames of every kind: IPv4, IPv6, tagged, of types that nobody knows, of 60 to 1514 bytes.
func write(name string, n int, gap time.Duration) error {
	random := rand.New(rand.NewPCG(1, 2))
	frames := make([]testenv.Frame, n)
	start := time.Unix(1_700_000_000, 0)
	for i := range frames {
		b := make([]byte, 60+random.IntN(1514-60+1))
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		copy(b, []byte{0x02, 0x77, 0, 0, 0, 0x0b})
		copy(b[6:], mark)
		at := 12
		if i%4 == 3 {
			binary.BigEndian.PutUint32(b[at:], 0x8100<<16|uint32(1+i%4094))
			at += 4
		}
		binary.BigEndian.PutUint16(b[at:], []uint16{0x0800, 0x86dd, 0x88b5, 0x0806}[i%4])
		frames[i] = testenv.Frame{Data: b, Time: start.Add(time.Duration(i) * gap)}
	}
	f, err := os.Create(name + ".pcap")
	if err != nil {
		return err
	}
	if err := errors.Join(testenv.WritePCAP(f, frames), f.Close()); err != nil {
		return err
	}
	return raw(name, frames)
}

func record(netns, iface string, n int, name string) error {
	ns, err := testenv.OpenNamespace(netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	i, err := testenv.FindIface(ns, iface)
	if err != nil {
		return err
	}
	c, err := testenv.NewCapture(i, testenv.CaptureOptions{IncomingOnly: true})
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("recording")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	frames, err := c.WaitN(ctx, n, func(f testenv.Frame) bool { return len(f.Data) > 12 && string(f.Data[6:12]) == string(mark) })
	return errors.Join(err, raw(name, frames))
}

// raw writes the bytes of frames one behind another.
func raw(name string, frames []testenv.Frame) error {
	var out []byte
	for _, f := range frames {
		out = append(out, f.Data...)
	}
	return os.WriteFile(name+".raw", out, 0o644)
}
