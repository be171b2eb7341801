// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/capture"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/preview"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// How many packets a dry run shows, and how many --pcap writes: unless it says, and at most.
const (
	shownPackets    = 3
	capturedPackets = 1000
	mostCaptured    = 1_000_000
)

// previewFlags are about the first packets of a run.
type previewFlags struct {
	dry  bool
	pcap string

	file    string
	packets uint64
}

func (p *previewFlags) add(fl *pflag.FlagSet) {
	fl.BoolVar(&p.dry, "dry-run", false, "say what would be sent, with the first packets, and send nothing")
	fl.StringVar(&p.pcap, "pcap", "", "`FILE[,N]`: write the first N packets (default 1000), as they are to leave, to a pcap file")
}

// check reads the flags.
func (p *previewFlags) check(f *formatFlags, via string) error {
	switch {
	case p.dry && via != "":
		return exit.Usagef("--dry-run and --via: what leaves is the daemon's to say")
	case p.dry && f.format != output.Human && f.format != output.Document:
		return exit.Usagef("--dry-run and --format %v: there are no seconds to tell about, give human or json", f.format)
	case p.pcap == "":
		return nil
	case via != "":
		return exit.Usagef("--pcap and --via: the daemon makes the frames")
	}
	p.file, p.packets = p.pcap, capturedPackets
	if i := strings.LastIndexByte(p.pcap, ','); i >= 0 {
		var n units.Count
		if err := n.Set(p.pcap[i+1:]); err != nil || n < 1 || n > mostCaptured {
			return exit.Usagef("--pcap %s: behind the comma stands how many packets, 1 to %s", p.pcap, units.Grouped(mostCaptured))
		}
		p.file, p.packets = p.pcap[:i], uint64(n)
	}
	if p.file == "" {
		return exit.Usagef("--pcap %s: in front of the comma stands the name of a file", p.pcap)
	}
	return tryFile("pcap", p.file, f.force)
}

// writingShows is how often it is shown how far the writing of a file is; tests have it more often.
var writingShows = time.Second

// write writes the file of --pcap, if there is to be one, with the times at which packets are due after the first, and
// returns how many packets that are. all is how many the run has, 0 where nothing says. It shows on live, if that is not nil, how far it is.
func (p *previewFlags) write(ctx context.Context, plan preview.Plan, after func(uint64) time.Duration, all uint64, first time.Time, live io.Writer) (n uint64, err error) {
	if p.file == "" {
		return 0, nil
	}
	n = p.packets
	if all > 0 {
		n = min(n, all)
	}
	file, err := os.Create(p.file)
	if err != nil {
		return 0, exit.Usagef("--pcap: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffered := bufio.NewWriter(file)
	to, err := capture.NewWriter(buffered)
	if err != nil {
		return 0, err
	}
	begin := time.Duration(0) // where there is no clock, the epoch
	if !first.IsZero() {
		begin = time.Duration(first.UnixNano())
	}
	line, last := output.NewLive(live), time.Now()
	defer line.End()
	err = plan.Each(n, after, first, func(number uint64, frame []byte, at time.Duration) error {
		if number%1024 == 0 {
			if ctx.Err() != nil {
				return fmt.Errorf("stopped while %s was written, before anything was sent", p.file)
			}
			if now := time.Now(); now.Sub(last) >= writingShows {
				line.Show(fmt.Sprintf("writing %s: %s of %s packets", p.file, units.Grouped(number), units.Grouped(n)))
				last = now
			}
		}
		return to.Write(frame, begin+at)
	})
	return n, errors.Join(err, buffered.Flush())
}
