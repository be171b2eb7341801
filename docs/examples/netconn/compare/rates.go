// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/docs/examples/netconn/trial"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// rate is a trial that moves an amount of something. It begins to count when what it needs is there.
type rate struct {
	name, what, unit string
	amount           float64 // in the unit of the rate
	f                func(ctx context.Context, a, b *trial.End, begin func()) error
	judged           bool // A has the sockets of package net in every round
}

var allRates = []rate{
	{name: "quic", what: "quic-go, 100 MB there and back at once", unit: "MB/s each way", amount: 100,
		f: func(ctx context.Context, a, b *trial.End, begin func()) error {
			begin()
			return trial.QUIC(ctx, a, b, 100_000_000, nil)
		}},
	{name: "dns", what: "miekg/dns, 32 clients", unit: "thousand queries/s", amount: 48,
		f: func(ctx context.Context, a, b *trial.End, begin func()) error {
			return trial.DNS(ctx, a, b, []netip.Addr{b.Host.IPv4()}, 32, 1500, begin)
		}},
	{name: "dns-server", what: "miekg/dns, the server alone, asked by 32 clients of `net`", unit: "thousand queries/s", amount: 48,
		judged: true, f: func(ctx context.Context, a, b *trial.End, begin func()) error {
			return trial.ServeDNS(ctx, b, func(port uint16) error {
				begin()
				return askFrom(ctx, a, netip.AddrPortFrom(b.Host.IPv4(), port))
			})
		}},
	{name: "wireguard", what: "wireguard-go, TCP through the tunnel, 100 MB there and back at once", unit: "MB/s each way", amount: 100,
		f: func(ctx context.Context, a, b *trial.End, begin func()) error {
			tunnel, err := trial.NewTunnel(a, b)
			if err != nil {
				return err
			}
			defer tunnel.Close()
			if err := tunnel.TCP(ctx, 1<<16); err != nil { // the handshake
				return err
			}
			begin()
			return tunnel.TCP(ctx, 100_000_000)
		}},
}

// figures are those of one trial: how long it took, how much processor time of its process, and of the machine: what the
// kernel does with a packet may count for nobody.
type figures struct{ wall, cpu, machine time.Duration }

// rates prints what each side moves, the sides in turn and the one that begins, too. Each trial is a process of its own,
// so that none finds the memory or the heap of another.
func rates(ctx context.Context, rounds int, row string) error {
	fmt.Printf("\n%s; load %s; medians, the sides in turn\n\n", processor(), load())
	fmt.Println("| | `net` | `wsknet` | ratio | CPU ratio, process · machine | receiving through AF_XDP | ratio | CPU ratio, process · machine |\n|---|---|---|---|---|---|---|---|")
	sides := []string{"net", "wsknet", "xdp"}
	deadline := time.Now().Add(130 * time.Second)
	for i, r := range allRates {
		if !strings.Contains(r.what, row) {
			continue
		}
		// What the trials before have left is shared by those that are to come.
		end := time.Now().Add(time.Until(deadline) / time.Duration(len(allRates)-i))
		perSide := map[string][]figures{}
		done := 0
		for begun := time.Now(); done < rounds; done++ {
			if done > 0 && time.Now().Add(time.Since(begun)/time.Duration(done)).After(end) {
				break
			}
			for j := range sides {
				side := sides[(done+j)%len(sides)]
				f, err := r.once(ctx, side)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", r.name, side, err)
				}
				perSide[side] = append(perSide[side], f)
			}
		}
		r.row(perSide, sides)
	}
	fmt.Printf("\nload at the end %s\n", load())
	return nil
}

// row prints medians. Ratios are medians of those of the rounds, since a round's trials meet the same machine.
func (r rate) row(perSide map[string][]figures, sides []string) {
	fmt.Printf("| %s (rounds: %d) |", r.what, len(perSide[sides[0]]))
	base := perSide[sides[0]]
	for i, side := range sides {
		var rate, faster, cpu, machine []float64
		for j, f := range perSide[side] {
			rate = append(rate, r.amount/f.wall.Seconds())
			faster = append(faster, base[j].wall.Seconds()/f.wall.Seconds())
			cpu = append(cpu, f.cpu.Seconds()/base[j].cpu.Seconds())
			machine = append(machine, f.machine.Seconds()/base[j].machine.Seconds())
		}
		fmt.Printf(" %.1f %s |", median(rate), r.unit)
		if i > 0 {
			fmt.Printf(" %.2f | %.2f · %.2f |", median(faster), median(cpu), median(machine))
		}
	}
	fmt.Println()
}

// once runs a trial as a process.
func (r rate) once(ctx context.Context, side string) (f figures, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return f, err
	}
	var said strings.Builder
	cmd := exec.CommandContext(ctx, self, "-one", r.name+","+side)
	cmd.Stdout, cmd.Stderr = &said, os.Stderr
	if err := cmd.Run(); err != nil {
		return f, err
	}
	_, err = fmt.Sscan(said.String(), &f.wall, &f.cpu, &f.machine)
	return f, err
}

// child is that process.
func child(ctx context.Context, one string) error {
	name, side, _ := strings.Cut(one, ",")
	kind, ok := kindOf[side]
	for _, r := range allRates {
		if r.name == name && ok {
			return r.run(ctx, kind)
		}
	}
	return fmt.Errorf("there is no trial %q", one)
}

func (r rate) run(ctx context.Context, kind trial.Kind) error {
	near := kind
	if r.judged {
		near = trial.Net
	}
	return lab(testenv.Topology{Offloads: true}, near, kind, func(_ *testenv.Lab, a, b *trial.End) error {
		var begun time.Time
		var own, all time.Duration
		err := r.f(ctx, a, b, func() { begun, own, all = time.Now(), used(), busy() })
		if err != nil {
			return err
		}
		if begun.IsZero() {
			return errors.New("the trial has not begun")
		}
		fmt.Println(int64(time.Since(begun)), int64(used()-own), int64(busy()-all))
		return nil
	})
}

// askFrom has a process of its own on a host ask a DNS server, whose processor time is that of nobody here.
func askFrom(ctx context.Context, a *trial.End, server netip.AddrPort) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-ask", server.String())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := a.Host.NS.Do(cmd.Start); err != nil { // it is born into the namespace of the thread
		return err
	}
	return cmd.Wait()
}

// asking is that process.
func asking(ctx context.Context, server string) error {
	at, err := netip.ParseAddrPort(server)
	if err != nil {
		return err
	}
	return trial.AskDNS(ctx, at, 32, 1500)
}

// used is the processor time of this process.
func used() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// busy is the time that all processors have spent on something: the ticks of the first line of /proc/stat but idle and
// iowait, and guest, which is in user.
func busy() time.Duration {
	text, _ := os.ReadFile("/proc/stat")
	var user, nice, system, idle, iowait, irq, softirq int64
	_, _ = fmt.Sscanf(string(text), "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq)
	const tick = 10 * time.Millisecond // USER_HZ is 100
	return time.Duration(user+nice+system+irq+softirq) * tick
}
