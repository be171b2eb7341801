// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"encoding/binary"
	"io"
	"time"
)

// Writer writes a pcap file of Ethernet frames (2.4, nanoseconds, little-endian).
type Writer struct {
	w      io.Writer
	record []byte
}

// NewWriter writes the header of the file.
func NewWriter(w io.Writer) (*Writer, error) {
	const nanoseconds = 0xa1b23c4d
	b := make([]byte, 0, oldHeader)
	b = binary.LittleEndian.AppendUint32(b, nanoseconds)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = binary.LittleEndian.AppendUint64(b, 0) // times are UTC
	b = binary.LittleEndian.AppendUint32(b, MaxRecord)
	b = binary.LittleEndian.AppendUint32(b, uint32(LinkEthernet))
	_, err := w.Write(b)
	return &Writer{w: w}, err
}

// Write adds a frame, without FCS, with a time since 1970.
func (w *Writer) Write(frame []byte, at time.Duration) error {
	b := w.record[:0]
	b = binary.LittleEndian.AppendUint32(b, uint32(at/time.Second))
	b = binary.LittleEndian.AppendUint32(b, uint32(at%time.Second))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	w.record = append(b, frame...)
	_, err := w.w.Write(w.record)
	return err
}
