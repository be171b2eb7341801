// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/latency"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/receive"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/echo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/replay"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Read reads a file that --json has written.
func Read(path string) (*Document, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var says struct {
		Schema  string `json:"schema"`
		Message string `json:"message"`
		Note    string `json:"note"`
	}
	if err := json.Unmarshal(text, &says); err != nil {
		return nil, fmt.Errorf("%s is no JSON document", path)
	}
	var d *Document
	switch says.Schema {
	case blast.Schema:
		d, err = of(text, ofBlast)
	case recv.Schema:
		d, err = of(text, ofRecv)
	case bench.Schema:
		d, err = of(text, ofBench)
	case receive.Schema:
		d, err = of(text, ofBenchReceive)
	case latency.Schema:
		d, err = of(text, ofBenchLatency)
	case ping.Schema:
		d, err = of(text, ofPing)
	case echo.Schema:
		d, err = of(text, ofEcho)
	case replay.Schema:
		d, err = of(text, ofReplay)
	case "wsk-xdp.error/1":
		return nil, fmt.Errorf("%s is what a command wrote that failed: %s", path, says.Message)
	case "":
		return nil, fmt.Errorf("%s is no report of wsk-xdp: it has no schema", path)
	default:
		return nil, fmt.Errorf("%s is %s: there are figures to show in the reports of blast, recv, replay, ping, echo, bench, bench receive and bench latency", path, says.Schema)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no %s: a value in it is of another kind", path, says.Schema)
	}
	d.File, d.Schema, d.Note = path, says.Schema, says.Note
	return d, nil
}

func of[R any](text []byte, make func(*R) *Document) (*Document, error) {
	r := new(R)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, err
	}
	return make(r), nil
}

// ofRecv is a receiver, with its runs in their order.
func ofRecv(r *recv.Report) *Document {
	d := &Document{
		Title: "recv " + r.Config.Listen, Verdict: r.Verdict.Text, OK: r.Verdict.OK,
		Conditions: []Fact{
			{"engine", r.Config.Engine}, {"window", strconv.Itoa(r.Config.Window)}, {"kernel", r.Host.Kernel}, {"CPUs", strconv.Itoa(r.Host.CPUs)},
			{"version", r.Version},
		},
		Facts: []Fact{{"started", r.StartedAt.Format(time.RFC3339)}, {"came", units.Plural(int(r.Totals.Packets), "packet")}},
	}
	came, received, dropped := Line{Name: "came"}, Line{Name: "received"}, Line{Name: "dropped here"}
	lost := Line{Name: "lost"}
	for _, i := range r.Intervals {
		length, at := time.Duration(i.End-i.Start).Seconds(), time.Duration(i.End).Seconds()
		if length <= 0 {
			continue
		}
		came.add(at, float64(i.Packets)/length)
		received.add(at, float64(i.Received)/length)
		lost.add(at, float64(i.Lost))
		dropped.add(at, float64(i.Drops))
	}
	d.chart(Chart{"Rate over time", PacketsPerSecond, []Line{came, received}})
	d.chart(Chart{"Lost, second by second", Packets, []Line{lost, dropped}})
	for i := range r.Runs {
		name := "received"
		if len(r.Runs) > 1 {
			name = fmt.Sprintf("received, run %d", i+1)
		}
		d.ofPeer(name, &r.Runs[i].Report)
	}
	return d
}

// ofBench is a comparison of ways to send.
func ofBench(r *bench.Report) *Document {
	d := &Document{Title: "bench on " + r.Granted.Interface, OK: true, Conditions: conditions(&r.Host)}
	for _, one := range r.Results {
		name := fmt.Sprintf("%s, %d bytes", one.Engine, one.FrameBytes)
		if one.Queues > 1 {
			name += fmt.Sprintf(", %d queues", one.Queues)
		}
		d.Rates = append(d.Rates, Rate{Name: name, PPS: float64(one.PPSMedian), Least: float64(one.PPSMin), Most: float64(one.PPSMax)})
	}
	return d
}

// ofBenchReceive is a comparison of ways to receive.
func ofBenchReceive(r *receive.Report) *Document {
	d := &Document{Title: "bench receive, sender " + r.Granted.Sender, OK: true, Conditions: conditions(&r.Host)}
	for _, one := range r.Receive {
		name := fmt.Sprintf("%s, %d bytes", one.Engine, one.FrameBytes)
		if one.RateLimit > 0 {
			name += ", " + units.PacketRate(float64(one.RateLimit)) + " offered"
		}
		d.Rates = append(d.Rates, Rate{Name: name, PPS: float64(one.PPSMedian), Least: float64(one.PPSMin), Most: float64(one.PPSMax)})
	}
	return d
}
