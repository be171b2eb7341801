// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/send"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// maxSendCount keeps the report of send readable; for more there is blast.
const maxSendCount = 100_000

type sendFlags struct {
	way     wayFlags
	count   int
	payload string
	size    int
	segment int
	timeout time.Duration
	json    bool
}

func (f *sendFlags) check(ctx context.Context, destination string) (header, error) {
	h, err := f.way.parse(ctx, destination)
	switch {
	case err != nil:
		return h, err
	case f.count < 1 || f.count > maxSendCount:
		return h, exit.Usagef("--count %d is outside 1..%d: for more there is wsk-xdp blast", f.count, maxSendCount)
	case f.way.flags.Changed("size") && (f.size < 0 || f.size > payload.Max):
		return h, exit.Usagef("--size %d is outside 0..%d", f.size, payload.Max)
	case f.segment < 0 || f.segment > payload.Max:
		return h, exit.Usagef("--segment %d is outside 0..%d", f.segment, payload.Max)
	case f.timeout <= 0:
		return h, exit.Usagef("--timeout %v is not above 0", f.timeout)
	}
	return h, nil
}

// largest is the payload of the largest datagram that so many bytes leave in.
func (f *sendFlags) largest(bytes int) int {
	if f.segment > 0 {
		return min(bytes, f.segment)
	}
	return bytes
}

// sendReport is the JSON document of send.
type sendReport struct {
	Schema      string            `json:"schema"`
	Version     string            `json:"version"`
	StartedAt   time.Time         `json:"started_at"`
	Host        host.Info         `json:"host"`
	Destination string            `json:"destination"`
	Source      string            `json:"source"`
	Payload     int               `json:"payload_bytes"`
	Path        session.Path      `json:"path"`
	Granted     []session.Granted `json:"granted"`
	Results     []send.Result     `json:"results"`
	Totals      sendTotals        `json:"totals"`
	// ICMPErrors is what hosts and routers sent back.
	ICMPErrors  []icmp.Error `json:"icmp_errors"`
	Warnings    []string     `json:"warnings"`
	Interrupted bool         `json:"interrupted"`
}

type sendTotals struct {
	Sent      int    `json:"sent"`
	Completed int    `json:"completed"`
	Failed    int    `json:"failed"`
	Bytes     uint64 `json:"bytes"`
	// SlowPath counts sends that went through the kernel's stack.
	SlowPath uint64 `json:"slow_path_sends"`
}

func (a *app) send(ctx context.Context, f *sendFlags, h header, body []byte, ns *netns.NS) (err error) {
	o := f.way.session(h)
	o.NetNS, o.Logger = ns.FD(), a.logger()
	s, err := session.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	if err := f.way.checkFragments(h, s, f.largest(len(body))); err != nil {
		return err
	}
	a.note(s.Header("send", h.to)...)
	a.noteIf(h.named())
	warnings := s.Warnings()
	a.warn(warnings...)

	r := sendReport{
		Schema: "wsk-xdp.send/1", Version: host.ReadBuild().Version, StartedAt: time.Now(), Host: host.Describe(),
		Destination: h.to.String(), Source: s.Sources()[0].String(), Payload: len(body), Path: s.Path(),
		Granted: session.GrantedQueues(s.Info()), Results: []send.Result{},
	}
	config := send.Config{
		Socket: s.Sockets[0], Remote: s.Remote(h.to.Port(), h.to.Addr()), Control: f.way.control(h, s, f.segment),
		Payload: body, Count: f.count, Timeout: f.timeout,
	}
	send.Run(ctx, config, r.add)
	info := s.Info()
	session.UpdateProofs(r.Granted, info)
	r.Totals.SlowPath = info.SlowSent + info.SlowFailed
	if late := s.SlowWarning(info); late != "" {
		a.warn(late)
		warnings = append(warnings, late)
		if f.way.require != session.RequireNothing {
			err = &exit.Error{Code: exit.NotPossible, Err: fmt.Errorf("--require %v: %s", f.way.require, late)}
		}
	}
	r.ICMPErrors = s.ICMPErrors(ctx)
	for _, e := range r.ICMPErrors {
		a.warn(e.Sentence())
		warnings = append(warnings, e.Sentence())
	}
	full := s.NeighbourTableFull()
	r.Interrupted = ctx.Err() != nil
	r.Warnings = append([]string{}, warnings...)
	if f.json {
		return errors.Join(output.JSON(a.stdout, r), err, r.failure(h, full))
	}
	return errors.Join(r.table().Write(a.stdout), err, r.failure(h, full))
}

// add adds one that has ended.
func (r *sendReport) add(one send.Result) {
	r.Results = append(r.Results, one)
	r.Totals.Sent++
	r.Totals.Bytes += one.Bytes
	if one.NTSTATUS() == wsk.STATUS_SUCCESS {
		r.Totals.Completed++
	} else {
		r.Totals.Failed++
	}
}

func (r *sendReport) table() *output.Table {
	var t output.Table
	t.Row("#", "status", "bytes", "completion")
	for _, one := range r.Results {
		remark := ""
		switch {
		case one.Unfinished:
			remark = "still pending when waiting ended"
		case one.TimedOut:
			remark = "cancelled after --timeout"
		}
		t.Row(strconv.Itoa(one.Index+1), one.Status, strconv.FormatUint(one.Bytes, 10), units.Nanoseconds(one.Nanoseconds), remark)
	}
	return &t
}

// failure is the error of a run in which an IRP failed. An interrupted IRP is none. full is about a neighbour table that
// is full.
func (r *sendReport) failure(h header, full string) error {
	for _, one := range r.Results {
		status := one.NTSTATUS()
		if status == wsk.STATUS_SUCCESS || status == wsk.STATUS_CANCELLED && r.Interrupted {
			continue
		}
		err := fmt.Errorf("%d of %d failed, the first with %w", r.Totals.Failed, r.Totals.Sent, status)
		if r.Path.Interface != "" {
			err = fmt.Errorf("%w on %s", err, r.Path.Interface)
		}
		if advice := send.Advice(status, h.to.Addr(), full); advice != "" {
			err = fmt.Errorf("%w: %s", err, advice)
		}
		return err
	}
	return nil
}
