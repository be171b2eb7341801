// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// notAList is where the Next of a kept indication points to: the client uses that field for something else.
var notAList wsk.DatagramIndication

// wgReceive cuts the list into single indications. It gives back those that it does not want, hands the rest to the
// worker, and answers that it keeps them all.
func wgReceive(context any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
	socket, _ := context.(*wgSocket)
	if socket == nil || socket.sock.Load() == nil || list == nil {
		return wsk.STATUS_SUCCESS
	}
	wg := socket.device
	for data := list; data != nil; {
		next := data.Next
		data.Next = nil
		if !wg.up.Load() || !socket.inFlight.acquire() {
			wg.discards.Add(1)
			wg.release(socket, data)
		} else {
			data.Next = &notAList
			p := &wgPacket{data: data, socket: socket}
			if !p.prepare() {
				wg.discards.Add(1)
				wg.giveBack(p)
			} else {
				wg.kept.Add(1)
				wg.work <- p
			}
		}
		data = next
	}
	return wsk.STATUS_PENDING
}

// prepare copies the message header, which must lie in the first MDL.
func (p *wgPacket) prepare() bool {
	b := &p.data.Buffer
	if b.Length < wgHeaderSize || b.Mdl.ByteCount()-int(b.Offset) < wgHeaderSize {
		return false
	}
	p.header = binary.LittleEndian.Uint32(b.Mdl.Bytes()[b.Offset:])
	return p.header == wgHandshake || p.header == wgData
}

func (wg *wgDevice) release(socket *wgSocket, data *wsk.DatagramIndication) {
	if status := socket.sock.Load().Release(data); status != wsk.STATUS_SUCCESS {
		wg.t.Errorf("WskRelease: %v", status)
	}
}

// giveBack releases the indication of a packet, by itself, with its Next restored.
func (wg *wgDevice) giveBack(p *wgPacket) {
	p.data.Next = nil
	wg.release(p.socket, p.data)
	p.socket.inFlight.release()
}

// decrypt is the worker. It gives back a few packets late and out of order.
func (wg *wgDevice) decrypt() {
	var late []*wgPacket
	for {
		var p *wgPacket
		select {
		case p = <-wg.work:
		default: // nothing to do: it gives the rest back before it sleeps
			for _, old := range late {
				wg.giveBack(old)
			}
			late = late[:0]
			p = <-wg.work
		}
		if p == nil {
			return
		}
		wg.consumed(p)
		if late = append(late, p); len(late) == 3 {
			wg.giveBack(late[2])
			wg.giveBack(late[0])
			late[0] = late[1]
			late = late[:1]
		}
	}
}

// bytes are a packet's data, made contiguous.
func (p *wgPacket) bytes() []byte { return contiguous(&p.data.Buffer) }

// contiguous copies the bytes that a WSK_BUF describes, MDL by MDL.
func contiguous(b *wsk.Buf) (out []byte) {
	offset, left := int(b.Offset), int(b.Length)
	for m := b.Mdl; left > 0 && m != nil; m = m.Next {
		piece := m.Bytes()[offset:]
		piece = piece[:min(len(piece), left)]
		out = append(out, piece...)
		left -= len(piece)
		offset = 0
	}
	return out
}
