// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Report is what came of a run.
type Report struct {
	Frames, Cases, Delivered int
	// Redirected and Companion are how the WSK side got its datagrams: frames through XDP, and datagrams through the kernel.
	Redirected, Companion uint64
	Allowed               map[string]int
	Found                 []Found
}

// frames of a batch: what a ring of the smallest kind holds, together with the barriers.
const batchFrames = 180

type runner struct {
	config  Config
	wsk     *wskSide
	kernel  *side
	gen     *generator
	barrier uint64
	report  Report
}

// newRunner makes the two hosts.
func newRunner(ctx context.Context, c Config) (r *runner, err error) {
	r = &runner{config: c, report: Report{Allowed: make(map[string]int)}}
	if r.wsk, err = newWSKSide(c); err != nil {
		return nil, err
	}
	if r.kernel, err = newKernelSide(); err != nil {
		return nil, errors.Join(err, r.wsk.close())
	}
	lab := r.wsk.lab
	r.gen = &generator{r: rand.New(rand.NewPCG(c.Seed, 1)), w: &setting{
		macA: lab.A.If.MAC(), macB: lab.B.If.MAC(), a4: lab.A.IPv4(), b4: lab.B.IPv4(), a6: lab.A.IPv6(), b6: lab.B.IPv6(),
	}}
	if err := errors.Join(r.wsk.set(c.Sysctls), r.kernel.set(c.Sysctls), r.awaitPorts(ctx)); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *runner) close() error { return errors.Join(r.kernel.close(), r.wsk.close()) }

// Run sends frames to both hosts and compares.
func Run(ctx context.Context, c Config) (report Report, err error) {
	r, err := newRunner(ctx, c)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for r.report.Frames < c.Frames && len(r.report.Found) < max(c.Most, 1) && ctx.Err() == nil {
		if err := r.batch(ctx); err != nil {
			return r.report, err
		}
		if c.Progress != nil {
			c.Progress(r.report.Frames)
		}
	}
	info := r.wsk.dp.Info()
	r.report.Redirected, r.report.Companion = info.Programs[0].Counters[bpf.ReasonRedirected], info.CompanionReceived
	return r.report, ctx.Err()
}

// awaitPorts waits until the program has every port, so that what it can take it takes.
func (r *runner) awaitPorts(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, testenv.Patience(10*time.Second))
	defer cancel()
	return testenv.Poll(ctx, "the ports in the program", func() (bool, error) {
		return r.wsk.dp.Info().Programs[0].Ports >= len(bindings), nil
	})
}

// batch makes cases, sends and compares them.
func (r *runner) batch(ctx context.Context) error {
	var cases []*Case
	for frames := 0; frames < batchFrames && r.report.Frames < r.config.Frames; {
		c := r.gen.next()
		if slices.ContainsFunc(r.config.Ignore, func(part string) bool { return strings.Contains(strings.Join(c.What, ", "), part) }) {
			continue
		}
		for i, f := range c.Frames {
			c.Frames[i] = f[:min(len(f), longestFrame)]
		}
		cases = append(cases, c)
		frames += len(c.Frames)
		r.report.Frames += len(c.Frames)
	}
	r.report.Cases += len(cases)
	onlyWSK, onlyKernel, err := r.compare(ctx, cases)
	if err != nil || len(onlyWSK)+len(onlyKernel) == 0 {
		return err
	}
	return r.find(ctx, cases, Found{WSK: onlyWSK, Kernel: onlyKernel})
}

// compare sends cases to both and returns what only one delivered.
func (r *runner) compare(ctx context.Context, cases []*Case) (onlyWSK, onlyKernel []Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, testenv.Patience(20*time.Second))
	defer cancel()
	excused := make(map[string]string)
	for _, s := range []*side{r.wsk.side, r.kernel} {
		for _, c := range cases {
			if c.Excuse != "" && !r.config.strict {
				excused[string(number(c.Number, 8))] = c.Excuse
			}
			for _, f := range c.Frames {
				if err := s.inject(f, c.Beside); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	if err := r.fence(ctx); err != nil {
		return nil, nil, err
	}
	w, k := r.wsk.drain(), r.kernel.drain()
	for rec, n := range w {
		r.report.Delivered += n
		onlyWSK = r.more(onlyWSK, rec, n-k[rec], excused)
	}
	for rec, n := range k {
		onlyKernel = r.more(onlyKernel, rec, n-w[rec], excused)
	}
	return onlyWSK, onlyKernel, nil
}

// more adds a record that is n times more on one side, unless that is excused.
func (r *runner) more(list []Record, rec Record, n int, excused map[string]string) []Record {
	for range n {
		if len(rec.Payload) >= 8 && excused[rec.Payload[:8]] != "" {
			r.report.Allowed[excused[rec.Payload[:8]]]++
			continue
		}
		list = append(list, rec)
	}
	return list
}

// fence sends barriers by both ways to every socket of both hosts, and waits for them. A cut one can meet a mutated fragment of the same
// number that is left over; so it goes again, with another.
func (r *runner) fence(ctx context.Context) (err error) {
	r.barrier++
	for range fenceTries {
		if err := r.sendBarriers(); err != nil {
			return err
		}
		patience, cancel := context.WithTimeout(ctx, testenv.Patience(fenceLimit))
		err = errors.Join(r.wsk.await(patience, r.barrier), r.kernel.await(patience, r.barrier))
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

const (
	fenceTries = 4
	fenceLimit = 4 * time.Second
)

func (r *runner) sendBarriers() error {
	for _, b := range bindings {
		p := r.gen.address(b)
		for _, way := range []byte{throughXDP, throughKernel} {
			p.payload = barrierPayload(way, r.barrier)
			p.fragments = nil
			if way == throughKernel {
				r.gen.id++
				p.id, p.fragments = r.gen.id, []int{16}
			}
			for _, f := range p.frames() {
				if err := errors.Join(r.wsk.inject(f, 0), r.kernel.inject(f, 0)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Barriers come from addresses of their own.
var barrier4, barrier6 = netip.MustParseAddr("10.77.0.4"), netip.MustParseAddr("fd77::4")

// address is a plain packet to a socket.
func (g *generator) address(b binding) packet {
	src := barrier4
	if b.at.Is6() {
		src = barrier6
	}
	return packet{dstMAC: g.w.macA, srcMAC: g.w.macB, ttl: 64, src: netip.AddrPortFrom(src, 999), dst: netip.AddrPortFrom(b.at, b.local.Port())}
}

// find looks for the case that differs, one by one, and then for the frames of it that do.
func (r *runner) find(ctx context.Context, cases []*Case, whole Found) error {
	for _, c := range cases {
		found, err := r.differs(ctx, c)
		if err != nil {
			return err
		}
		if found == nil {
			continue
		}
		for i := 0; i < len(found.Case.Frames) && len(found.Case.Frames) > 1; i++ {
			less := *found.Case
			less.Frames = slices.Delete(slices.Clone(less.Frames), i, i+1)
			again, err := r.differs(ctx, &less)
			if err != nil {
				return err
			}
			if again != nil {
				found, i = again, -1
			}
		}
		r.report.Found = append(r.report.Found, *found)
		if len(r.report.Found) >= r.config.Most {
			return nil
		}
		whole.Case = c
	}
	if whole.Case == nil { // only together, or only once
		all := &Case{Number: cases[0].Number, What: []string{fmt.Sprintf("%d cases together", len(cases))}}
		for _, c := range cases {
			all.Frames = append(all.Frames, c.Frames...)
		}
		whole.Case = all
		r.report.Found = append(r.report.Found, whole)
	}
	return nil
}

func (r *runner) differs(ctx context.Context, c *Case) (*Found, error) {
	w, k, err := r.compare(ctx, []*Case{c})
	if err != nil || len(w)+len(k) == 0 {
		return nil, err
	}
	return &Found{Case: c, WSK: w, Kernel: k}, nil
}
