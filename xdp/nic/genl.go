// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// genlHeader is struct genlmsghdr: command, version and two reserved bytes, which newer families want to be zero.
// nl.Genlmsg leaves whatever lies behind it there.
type genlHeader [nl.SizeofGenlmsg]byte

func (h genlHeader) Len() int          { return len(h) }
func (h genlHeader) Serialize() []byte { return h[:] }

// genlRequest sends one request to a generic-netlink family of the calling thread's network namespace and returns the
// messages of the answer, each without its netlink header. A family that does not exist is unix.ENOENT.
func genlRequest(family string, cmd uint8, dump bool, attrs ...*nl.RtAttr) ([][]byte, error) {
	id, version, err := genlFamily(family)
	if err != nil {
		return nil, fmt.Errorf("%s: find family: %w", family, err)
	}
	return genlExchange(family, id, genlHeader{cmd, version}, dump, attrs...)
}

// genlFamily asks the controller for the number and version of a family. The library's own function reads beyond its
// header, which is too short, and sends what it finds there: the race detector sees it.
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
		err := walkAttrs(family, m[nl.SizeofGenlmsg:], func(kind uint16, value []byte) {
			switch {
			case kind == nl.GENL_CTRL_ATTR_FAMILY_ID && len(value) >= 2:
				id = binary.NativeEndian.Uint16(value)
			case kind == nl.GENL_CTRL_ATTR_VERSION && len(value) >= 4:
				version = uint8(binary.NativeEndian.Uint32(value))
			}
		})
		if err != nil {
			return 0, 0, err
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
	return netlinkExchange(fmt.Sprintf("%s: request %d", family, cmd), unix.NETLINK_GENERIC, req)
}
