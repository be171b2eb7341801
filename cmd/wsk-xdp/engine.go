// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
)

// engine is what sends. It implements pflag.Value.
type engine uint8

const (
	engineWSK engine = iota
	engineFrames
	engineXDP
	engineUDP
	engineSendmmsg
	engineGSO
	enginePacket
)

var engineNames = [...]string{
	engineWSK: blast.EngineWSK, engineFrames: blast.EngineFrames, engineXDP: blast.EngineXDP, engineUDP: blast.EngineUDP,
	engineSendmmsg: blast.EngineSendmmsg, engineGSO: blast.EngineGSO, enginePacket: blast.EnginePacket,
}

// engineSummary is what a shell shows behind the word.
func engineSummary(name string) string {
	return map[string]string{
		blast.EngineWSK: "WSK sockets over AF_XDP", blast.EngineFrames: "prepared frames over AF_XDP", blast.EngineXDP: "live frames of a program in the kernel",
		blast.EngineUDP: "kernel sockets, a call for each datagram", blast.EngineSendmmsg: "kernel sockets, a vector of datagrams a call",
		blast.EngineGSO: "kernel sockets, a buffer that is cut (UDP_SEGMENT)", blast.EnginePacket: "prepared frames through a packet socket's ring",
	}[name]
}

// String is the word on the command line.
func (e engine) String() string { return engineNames[e] }

// Type names the form in help texts.
func (e *engine) Type() string { return strings.Join(engineNames[:], "|") }

// prepared is whether it sends frames that are written here, headers and all, and not datagrams of sockets.
func (e engine) prepared() bool { return e == engineFrames || e == engineXDP || e == enginePacket }

// sockets is whether it sends datagrams by the kernel's own UDP sockets.
func (e engine) sockets() bool { return e == engineUDP || e == engineSendmmsg || e == engineGSO }

// Set parses the word.
func (e *engine) Set(s string) error {
	for i, name := range engineNames {
		if s == name {
			*e = engine(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", s, strings.Join(engineNames[:], ", "))
}

// deaf is an engine that has no socket to which ICMP errors come.
type deaf struct{}

func (deaf) sources() []netip.AddrPort { return nil }

func (deaf) icmpErrors(context.Context) (run, before []icmp.Error) {
	return []icmp.Error{}, []icmp.Error{}
}
