// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const genlTimeout = 10 * time.Second

// genlHeader is struct genlmsghdr: command, version and two reserved bytes, which newer families want to be zero.
// nl.Genlmsg leaves whatever lies behind it there.
type genlHeader [nl.SizeofGenlmsg]byte

func (h genlHeader) Len() int          { return len(h) }
func (h genlHeader) Serialize() []byte { return h[:] }

// genlRequest sends one request to a generic-netlink family of the calling thread's network namespace and returns the
// messages of the answer, each without its netlink header. A family that does not exist is unix.ENOENT.
//
// It has its own loop because that of the library ends at the first message that is not marked as one of many, and some
// families do not mark the messages of a dump.
func genlRequest(family string, cmd uint8, dump bool, attrs ...*nl.RtAttr) ([][]byte, error) {
	id, version, err := genlFamily(family)
	if err != nil {
		return nil, fmt.Errorf("%s: find family: %w", family, err)
	}
	return genlExchange(family, id, genlHeader{cmd, version}, dump, attrs...)
}

// genlFamily asks the controller for the number and version of a family. The library's own function sends what lies
// behind its too short header, a read beyond its memory that the race detector sees.
func genlFamily(family string) (id uint16, version uint8, err error) {
	msgs, err := genlExchange(family, nl.GENL_ID_CTRL, genlHeader{nl.GENL_CTRL_CMD_GETFAMILY, nl.GENL_CTRL_VERSION}, false,
		nl.NewRtAttr(nl.GENL_CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated(family)))
	if err != nil {
		return 0, 0, err
	}
	for _, m := range msgs {
		if len(m) < nl.SizeofGenlmsg {
			continue
		}
		attrs, err := nl.ParseRouteAttr(m[nl.SizeofGenlmsg:])
		if err != nil {
			return 0, 0, err
		}
		for _, a := range attrs {
			switch {
			case a.Attr.Type == nl.GENL_CTRL_ATTR_FAMILY_ID && len(a.Value) >= 2:
				id = binary.NativeEndian.Uint16(a.Value)
			case a.Attr.Type == nl.GENL_CTRL_ATTR_VERSION && len(a.Value) >= 4:
				version = uint8(binary.NativeEndian.Uint32(a.Value))
			}
		}
	}
	if id == 0 {
		return 0, 0, unix.ENOENT
	}
	return id, version, nil
}

// genlExchange sends a request to a family of that number and collects the answer.
func genlExchange(family string, id uint16, header genlHeader, dump bool, attrs ...*nl.RtAttr) ([][]byte, error) {
	flags := unix.NLM_F_ACK
	if dump {
		flags = unix.NLM_F_DUMP
	}
	cmd := header[0]
	req := nl.NewNetlinkRequest(int(id), flags)
	req.AddData(header)
	for _, a := range attrs {
		req.AddData(a)
	}
	s, err := nl.Subscribe(unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("%s: open netlink: %w", family, err)
	}
	defer s.Close()
	timeout := unix.NsecToTimeval(genlTimeout.Nanoseconds())
	if err := errors.Join(s.SetSendTimeout(&timeout), s.SetReceiveTimeout(&timeout)); err != nil {
		return nil, fmt.Errorf("%s: %w", family, err)
	}
	if err := s.Send(req); err != nil {
		return nil, fmt.Errorf("%s: send request %d: %w", family, cmd, err)
	}
	var out [][]byte
	for {
		msgs, from, err := s.Receive()
		if err != nil {
			return nil, fmt.Errorf("%s: receive answer %d: %w", family, cmd, err)
		}
		if from.Pid != nl.PidKernel {
			continue
		}
		var done bool
		if out, done, err = genlCollect(out, msgs, req.Seq); err != nil {
			return nil, fmt.Errorf("%s: request %d: %w", family, cmd, err)
		}
		if done {
			return out, nil
		}
	}
}

// genlCollect adds the messages of one datagram and reports whether the answer is complete: a dump ends with
// NLMSG_DONE, anything else with an acknowledgement, an NLMSG_ERROR of 0.
func genlCollect(out [][]byte, msgs []syscall.NetlinkMessage, seq uint32) ([][]byte, bool, error) {
	for _, m := range msgs {
		if m.Header.Seq != seq {
			continue
		}
		switch m.Header.Type {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(m.Data) >= 4 {
				if code := int32(binary.NativeEndian.Uint32(m.Data)); code < 0 {
					return nil, true, syscall.Errno(-code)
				}
			}
			return out, true, nil
		}
		out = append(out, m.Data)
	}
	return out, false, nil
}
