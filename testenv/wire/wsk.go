// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

const readBuffer = 16 << 20

// wskSide is the host with WSK sockets.
type wskSide struct {
	*side
	dp        *datapath.Datapath
	subsystem wsk.Subsystem
}

func newWSKSide(c Config) (_ *wskSide, err error) {
	base, err := newSide("WSK")
	if err != nil {
		return nil, err
	}
	s := &wskSide{side: base}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.dp, err = datapath.Open(datapath.Options{
		NetNS: s.lab.A.NS.FD(), Receive: []string{s.lab.A.If.Name()}, ReceiveMode: c.Mode, ReceiveTagsUnseen: c.Mode == bpf.Generic, Logger: c.Log,
	})
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.dp.Close)
	if status := s.subsystem.Attach(s.dp, wsk.ProviderOptions{}); status != wsk.STATUS_SUCCESS {
		return nil, fmt.Errorf("attach: %w", status)
	}
	npi, release, err := netconn.Capture(&s.subsystem)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { release(); s.subsystem.Detach(); return nil })
	for _, b := range bindings {
		if err := s.open(npi, b); err != nil {
			return nil, fmt.Errorf("open WSK socket %s: %w", b.name, err)
		}
	}
	return s, nil
}

func (s *wskSide) open(npi *wsk.ProviderNPI, b binding) error {
	c, err := netconn.Listen(npi, b.network, b.local, netconn.Options{
		Strict:     true,
		ReadBuffer: readBuffer, Control: netconn.ControlPacketInfo | netconn.ControlTTL | netconn.ControlTOS,
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, c.Close)
	if b.group.IsValid() {
		if err := join(c.Socket(), b.group, s.lab.A.If, s.lab.A.IPv4()); err != nil {
			return err
		}
	}
	s.readers.Go(func() {
		buf, oob := make([]byte, 65536), make([]byte, 512)
		for {
			n, oobn, _, from, err := c.ReadMsgUDPAddrPort(buf, oob)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			r := Record{Socket: b.name, Payload: string(buf[:n]), Source: netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())}
			if r.controlOf(oob[:oobn]) == nil {
				s.take(r)
			}
		}
	})
	return nil
}

// join is IP_ADD_MEMBERSHIP with struct ip_mreq, or IPV6_ADD_MEMBERSHIP with struct ipv6_mreq.
func join(s *wsk.Socket, group netip.Addr, i *testenv.Iface, own netip.Addr) error {
	level, code := uint32(wsk.IPPROTO_IP), uint32(wsk.IP_ADD_MEMBERSHIP)
	input := append(group.AsSlice(), own.AsSlice()...)
	if group.Is6() {
		level, code = wsk.IPPROTO_IPV6, wsk.IPV6_ADD_MEMBERSHIP
		input = binary.LittleEndian.AppendUint32(group.AsSlice(), uint32(i.Index()))
	}
	if status := s.ControlSocket(wsk.WskSetOption, code, level, input, nil, nil, nil); status != wsk.STATUS_SUCCESS {
		return fmt.Errorf("join %v: %w", group, status)
	}
	return nil
}
