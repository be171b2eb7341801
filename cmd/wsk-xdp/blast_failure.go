// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/send"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// blastFailure is the error of a run that achieved nothing, as far as is known here or at the peer, or lost its socket. Packets that fail at a high rate are a
// result, not an error. full is about a neighbour table that is full.
func blastFailure(r *blast.Report, res blast.Result, h header, full string) error {
	status := wsk.STATUS_PENDING
	switch {
	case res.Dead:
		status = wsk.STATUS_FILE_FORCED_CLOSED
	case r.NothingReceived() && !res.Interrupted:
		return errors.New(r.Verdict.Text)
	case res.Completed > 0 || res.Interrupted:
		return beyond(r)
	case len(r.Totals.ByStatus) > 0:
		status = wsk.NTSTATUS(r.Totals.ByStatus[0].Code)
	}
	what := "completed on"
	if r.Config.Engine == blast.EngineXDP {
		what = "were taken by the driver of"
	}
	err := fmt.Errorf("%s of %s packets %s %s: %w", units.Grouped(res.Completed), units.Grouped(res.Submitted), what, r.Path.Interface, status)
	if advice := send.Advice(status, h.to.Addr(), full); advice != "" {
		err = fmt.Errorf("%w: %s", err, advice)
	}
	return err
}

// beyond is the error of the conditions of --fail-if that hold.
func beyond(r *blast.Report) error {
	var words []string
	for _, c := range r.FailIf {
		if c.Holds {
			words = append(words, fmt.Sprintf("%s: %s", c.Condition, c.Figure))
		}
	}
	if len(words) == 0 {
		return nil
	}
	return exit.Beyondf("--fail-if %s", strings.Join(words, "; "))
}
