// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// What is written is read again, by the reader here and by pcapgo.
func TestWriter(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	frames := [][]byte{{1, 2, 3}, bytes.Repeat([]byte{7}, 9000), {}}
	at := func(i int) time.Duration { return time.Duration(i) * 1_500_000_007 }
	for i, frame := range frames {
		if err := w.Write(frame, at(i)); err != nil {
			t.Fatal(err)
		}
	}
	ours, err := NewReader(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	judge, err := pcapgo.NewReader(bytes.NewReader(file.Bytes()))
	if err != nil || judge.LinkType() != layers.LinkTypeEthernet {
		t.Fatal(judge, err)
	}
	for i, frame := range frames {
		r, err := ours.Next()
		if err != nil || !bytes.Equal(r.Data, frame) || r.Link != LinkEthernet || r.At != at(i) {
			t.Errorf("frame %d: %+v, %v", i, r, err)
		}
		data, info, err := judge.ReadPacketData()
		if err != nil || !bytes.Equal(data, frame) || info.Timestamp.UnixNano() != at(i).Nanoseconds() || info.Length != len(frame) {
			t.Errorf("frame %d for pcapgo: %v, %v", i, info, err)
		}
	}
	if _, err := NewWriter(full{}); err == nil {
		t.Error("no error where nothing can be written")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }
