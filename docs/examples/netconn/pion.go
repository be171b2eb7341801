// SPDX-License-Identifier: Apache-2.0

package examples

import (
	"context"
	"errors"
	"net"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"github.com/pion/ice/v4"
)

// Peer is one end of a connection that pion/ice finds and pion/dtls protects, as in WebRTC. There a program moves by
// SettingEngine.SetICEUDPMux with the same ice.UDPMux.
type Peer struct {
	Offer Offer
	agent *ice.Agent
	mux   *ice.UDPMuxDefault
}

// Offer is what the other end must be told.
type Offer struct {
	Ufrag, Pwd string
	Candidates []string
}

// NewPeer makes an end on a socket that is bound to one address. Closing the peer closes the socket.
func NewPeer(ctx context.Context, socket net.PacketConn) (*Peer, error) {
	p := &Peer{mux: ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: socket})}
	var err error
	p.agent, err = ice.NewAgentWithOptions(
		ice.WithUDPMux(p.mux), ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithIncludeLoopback(),
	)
	if err != nil {
		return nil, errors.Join(err, p.mux.Close())
	}
	if err := p.gather(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// gather collects the candidates and the rest of the offer.
func (p *Peer) gather(ctx context.Context) (err error) {
	if p.Offer.Ufrag, p.Offer.Pwd, err = p.agent.GetLocalUserCredentials(); err != nil {
		return err
	}
	all := make(chan struct{})
	err = p.agent.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			close(all)
			return
		}
		p.Offer.Candidates = append(p.Offer.Candidates, c.Marshal())
	})
	if err == nil {
		err = p.agent.GatherCandidates()
	}
	if err != nil {
		return err
	}
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Connect finds a way to the other end. One of the two is the one that controls.
func (p *Peer) Connect(ctx context.Context, other Offer, controls bool) (*ice.Conn, error) {
	for _, s := range other.Candidates {
		c, err := ice.UnmarshalCandidate(s)
		if err == nil {
			err = p.agent.AddRemoteCandidate(c)
		}
		if err != nil {
			return nil, err
		}
	}
	if controls {
		return p.agent.Dial(ctx, other.Ufrag, other.Pwd)
	}
	return p.agent.Accept(ctx, other.Ufrag, other.Pwd)
}

// Close ends the agent and closes its socket.
func (p *Peer) Close() error { return errors.Join(p.agent.Close(), p.mux.Close()) }

// Encrypt puts DTLS on a connection, as its client.
func Encrypt(ctx context.Context, c net.Conn, opts ...dtls.ClientOption) (*dtls.Conn, error) {
	return shaken(ctx)(dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(c), c.RemoteAddr(), opts...))
}

// Decrypt is the server to Encrypt.
func Decrypt(ctx context.Context, c net.Conn, opts ...dtls.ServerOption) (*dtls.Conn, error) {
	return shaken(ctx)(dtls.ServerWithOptions(dtlsnet.PacketConnFromConn(c), c.RemoteAddr(), opts...))
}

// shaken waits for the handshake.
func shaken(ctx context.Context) func(*dtls.Conn, error) (*dtls.Conn, error) {
	return func(c *dtls.Conn, err error) (*dtls.Conn, error) {
		if err != nil {
			return nil, err
		}
		return c, c.HandshakeContext(ctx)
	}
}
