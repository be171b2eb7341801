// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// collector makes metrics of what the server and the datapath count, when somebody asks. Labels are grants, reasons and
// queues, never users or destinations: their number is bounded by the policy.
type collector struct{ d *daemon }

// metric is one family.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

var (
	mSessions     = gauge("wsk_daemon_sessions", "Clients that are connected.")
	mSockets      = gauge("wsk_daemon_sockets", "Sockets of clients.", "grant")
	mMemberships  = gauge("wsk_daemon_memberships", "Groups that sockets have joined.", "grant")
	mMemory       = gauge("wsk_daemon_memory_bytes", "Memory that counts against the grant.", "grant")
	mInflight     = gauge("wsk_daemon_inflight", "Datagrams under way.", "grant")
	mDestinations = gauge("wsk_daemon_destinations", "Destinations in use.", "grant")
	mDatagrams    = counter("wsk_daemon_datagrams_total", "Datagrams that have left or were delivered.", "grant", "direction")
	mBytes        = counter("wsk_daemon_bytes_total", "Their payload bytes.", "grant", "direction")
	mDenied       = counter("wsk_daemon_denied_total", "What was refused to clients, by reason.", "grant", "reason")
	mRefused      = counter("wsk_daemon_refused_sessions_total", "Clients that were sent away, by reason.", "reason")
	mViolations   = counter("wsk_daemon_violations_total", "Rules of the protocol that clients have broken.", "reason", "rule")
	mUnread       = counter("wsk_daemon_unread_sessions_total", "Clients that were disconnected because they did not read.")
	mThrottled    = counter("wsk_daemon_throttled_seconds_total", "Time that datagrams have waited for a rate.", "grant")
	mRounds       = counter("wsk_daemon_pump_rounds_total", "Rounds of turns.", "pump")
	mReloadOK     = gauge("wsk_daemon_reload_success", "Whether the last reload of the policy has succeeded.")
	mReloadTime   = gauge("wsk_daemon_reload_timestamp_seconds", "When the policy in force was loaded.")
	mHealthy      = gauge("wsk_daemon_healthy", "Whether parts answer and queues move.")
	mBuild        = gauge("wsk_daemon_build_info", "1, with the version.", "version")

	mSubmitted = counter("wsk_tx_submitted_frames_total", "Frames put into the TX ring.", "interface", "queue")
	mCompleted = counter("wsk_tx_completed_frames_total", "Frames that have come back.", "interface", "queue")
	mDropped   = counter("wsk_tx_dropped_frames_total", "Of these, frames that the device has dropped.", "interface", "queue")
	mRebuilds  = counter("wsk_tx_rebuilds_total", "Sockets replaced.", "interface", "queue")
	mFrames    = gauge("wsk_tx_inflight_frames", "Frames with the kernel.", "interface", "queue")
	mWaiting   = gauge("wsk_tx_waiting_operations", "Operations that wait for a chunk or a link.", "interface", "queue")
	mUp        = gauge("wsk_tx_queue_up", "Whether the queue is up.", "interface", "queue")
	mReceived  = counter("wsk_rx_delivered_datagrams_total", "Datagrams handed to sockets.", "interface", "queue")
	mSlow      = counter("wsk_slow_sends_total", "Datagrams that left through the kernel's stack.")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range []metric{
		mSessions, mSockets, mMemberships, mMemory, mInflight, mDestinations, mDatagrams, mBytes, mDenied, mRefused, mViolations, mUnread,
		mThrottled, mRounds, mReloadOK, mReloadTime, mHealthy, mBuild, mSubmitted, mCompleted, mDropped, mRebuilds, mFrames,
		mWaiting, mUp, mReceived, mSlow,
	} {
		to <- m.desc
	}
}

// collected is where metrics go.
type collected chan<- prometheus.Metric

func (c collected) add(m metric, value float64, labels ...string) {
	c <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	out := collected(to)
	seen, status := c.d.status()
	if seen.answered {
		out.service(&seen.statistics)
		out.datapath(&seen.info)
	}
	out.add(mHealthy, oneIf(status.Healthy))
	out.add(mReloadOK, oneIf(status.Policy.Error == ""))
	out.add(mReloadTime, float64(status.Policy.LoadedAt.Unix()))
	out.add(mBuild, 1, status.Version)
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func (c collected) service(s *service.Statistics) {
	c.add(mSessions, float64(s.Sessions))
	c.add(mUnread, float64(s.Unread))
	for i := range s.Grants {
		g := &s.Grants[i]
		c.add(mSockets, float64(g.Sockets), g.Name)
		c.add(mMemberships, float64(g.Memberships), g.Name)
		c.add(mMemory, float64(g.Memory), g.Name)
		c.add(mInflight, float64(g.Inflight), g.Name)
		c.add(mDestinations, float64(g.Destinations), g.Name)
		c.add(mDatagrams, float64(g.Sent), g.Name, "sent")
		c.add(mDatagrams, float64(g.Received), g.Name, "received")
		c.add(mBytes, float64(g.SentBytes), g.Name, "sent")
		c.add(mBytes, float64(g.ReceivedBytes), g.Name, "received")
		c.add(mThrottled, g.Throttled.Seconds(), g.Name)
	}
	for denial, n := range s.Denials {
		c.add(mDenied, float64(n), denial.Grant, denial.Reason.String())
	}
	for reason, n := range s.Refusals {
		c.add(mRefused, float64(n), reason.String())
	}
	for rule, n := range s.Violations {
		c.add(mViolations, float64(n), rule.Reason.String(), rule.Text)
	}
	for i, n := range s.Rounds {
		c.add(mRounds, float64(n), strconv.Itoa(i))
	}
}

func (c collected) datapath(info *datapath.Info) {
	for i := range info.Queues {
		q := &info.Queues[i]
		labels := []string{q.Interface, strconv.Itoa(q.Queue)}
		c.add(mSubmitted, float64(q.Submitted), labels...)
		c.add(mCompleted, float64(q.Completed), labels...)
		c.add(mDropped, float64(q.Dropped), labels...)
		c.add(mRebuilds, float64(q.Rebuilds), labels...)
		c.add(mFrames, float64(q.InFlight), labels...)
		c.add(mWaiting, float64(q.Waiting), labels...)
		c.add(mUp, oneIf(q.State == "up"), labels...)
		if q.Receive != nil {
			c.add(mReceived, float64(q.Receive.Delivered), labels...)
		}
	}
	c.add(mSlow, float64(info.SlowSent))
}
