// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/capture"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
)

func (a *app) replayCommand() *cobra.Command {
	f := replayFlags{loop: 1}
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Send the frames of a capture file",
		Long:  lines("Sends the frames of a pcap or pcapng file as they were captured, over AF_XDP, at their own times unless told otherwise. See docs/cli.md."),
		Example: lines("  wsk-xdp replay mixed.pcap -i eth1", "  wsk-xdp replay mixed.pcap -i eth1 --topspeed --loop 100 --json > run.json",
			"  wsk-xdp replay day.pcapng -i eth1 -r 2.5Gbit --limit 10M --dst-mac 02:00:00:00:00:01 --skip"),
		Args:              oneFile,
		ValidArgsFunction: completeFile,
		RunE: func(c *cobra.Command, args []string) error {
			f.name, f.given = args[0], c.Flags().Changed
			if err := f.check(); err != nil {
				return err
			}
			file, err := openCapture(f.name)
			if err != nil {
				return err
			}
			err = a.withNetNS(func(ns *netns.NS) error { return a.replay(c.Context(), &f, file, ns) })
			return errors.Join(err, file.Close())
		},
	}
	f.add(a, c.Flags())
	return c
}

// oneFile is the rule for arguments of replay.
func oneFile(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return exit.Usagef("give a capture file, as in wsk-xdp replay mixed.pcap")
	case len(args) > 1:
		return exit.Usagef("give one capture file, not %d (mergecap -w ALL.pcapng A B makes one)", len(args))
	}
	return nil
}

// openCapture opens a file and reads its beginning, before anything else is done.
func openCapture(name string) (*os.File, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, exit.Usagef("%w", err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("is no regular file, and it is read more than once: write it to one first")
	default:
		_, err = capture.NewReader(file)
	}
	if err != nil {
		return nil, exit.Usagef("%s %w", name, errors.Join(err, file.Close()))
	}
	return file, nil
}
