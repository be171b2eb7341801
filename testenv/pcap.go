// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// WritePCAPNG writes frames in the pcapng format, which tshark and Wireshark read, with nanosecond time stamps.
func WritePCAPNG(w io.Writer, frames []Frame) error {
	out, err := pcapgo.NewNgWriter(w, layers.LinkTypeEthernet)
	if err != nil {
		return fmt.Errorf("write pcapng: %w", err)
	}
	for _, f := range frames {
		if err := out.WritePacket(captureInfo(f), f.Data); err != nil {
			return fmt.Errorf("write pcapng: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write pcapng: %w", err)
	}
	return nil
}

// WritePCAP writes frames in the older pcap format, nanosecond variant.
func WritePCAP(w io.Writer, frames []Frame) error {
	out := pcapgo.NewWriterNanos(w)
	if err := out.WriteFileHeader(maxFrame, layers.LinkTypeEthernet); err != nil {
		return fmt.Errorf("write pcap: %w", err)
	}
	for _, f := range frames {
		if err := out.WritePacket(captureInfo(f), f.Data); err != nil {
			return fmt.Errorf("write pcap: %w", err)
		}
	}
	return nil
}

func captureInfo(f Frame) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: f.Time, CaptureLength: len(f.Data), Length: len(f.Data)}
}

// WritePCAPNG writes what was captured so far.
func (c *Capture) WritePCAPNG(w io.Writer) error { return WritePCAPNG(w, c.Frames()) }

// WritePCAP writes what was captured so far.
func (c *Capture) WritePCAP(w io.Writer) error { return WritePCAP(w, c.Frames()) }
