// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// TrialFacts are what this kernel does with a veth pair that was made to ask it. A release number does not say:
// distributions bring features back to older kernels, and leave some out.
type TrialFacts struct {
	// Where is "here", or "user namespace" where a pair could be made only there.
	Where string `json:"where"`
	// Error is why nothing more was tried; what was not tried is unknown.
	Error string `json:"error,omitempty"`

	Copy        Answer `json:"copy_mode"`
	ZeroCopy    Answer `json:"zero_copy_on_veth"`
	MultiBuffer Answer `json:"multi_buffer"`
	Remap       Answer `json:"ring_remap"`
	Statistics  Answer `json:"ring_statistics"`
	// Program is to load the program that receives, and Frags whether it takes frames of several buffers. Native and
	// Generic are to attach it by bpf_link in that mode.
	Program Answer `json:"xdp_program"`
	Frags   Answer `json:"xdp_frags"`
	Native  Answer `json:"xdp_native_on_veth"`
	Generic Answer `json:"xdp_generic"`
	// Features and Queues are what netdev-genl reports: what a driver announces, and which queues are in use. Taken is
	// whether it reports which of those an AF_XDP socket holds.
	Features Answer `json:"netdev_features"`
	Queues   Answer `json:"netdev_queues"`
	Taken    Answer `json:"netdev_queue_taken"`
	// Diag is whether sock_diag reports which AF_XDP socket holds a queue, which leads to the process.
	Diag Answer `json:"afxdp_sock_diag"`
}

// Places where a trial was made.
const (
	trialHere   = "here"
	trialUserNS = "user namespace"
)

// trialQueues is one queue for each bind: the kernel holds a queue back for some time after its socket was closed.
const trialQueues = 4

// RunTrial makes a veth pair and tries everything on it.
func RunTrial() *TrialFacts {
	f := &TrialFacts{Where: trialHere}
	for _, a := range []*Answer{&f.Copy, &f.ZeroCopy, &f.MultiBuffer, &f.Remap, &f.Statistics, &f.Program, &f.Frags, &f.Native, &f.Generic,
		&f.Features, &f.Queues, &f.Taken, &f.Diag} {
		*a = Answer{Answer: xdp.AnswerUnknown.String(), Reason: "not tried"}
	}
	if err := f.run(); err != nil {
		f.Error = err.Error()
	}
	return f
}

func (f *TrialFacts) run() (err error) {
	end := testenv.End{TX: trialQueues, RX: trialQueues}
	lab, err := testenv.NewLab(testenv.Topology{A: end, B: end})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	return lab.A.NS.Do(func() error {
		name := lab.A.If.Name()
		if err := f.sockets(name); err != nil {
			return err
		}
		return f.program(lab.A.If.Index())
	})
}

func (f *TrialFacts) sockets(name string) error {
	s, err := xdp.Open(xdp.Options{Ifname: name, Mode: xdp.ModeCopy, TxChunks: 2})
	f.Copy = answer(err)
	if err != nil {
		return nil // and so are all others
	}
	st, err := s.Statistics()
	if err == nil && st.Version < 2 {
		err = &xdp.FeatureError{Name: "counters of full and empty rings", MinKernel: "5.10"}
	}
	f.Statistics = answer(err)
	i, err := nic.Inspect(name)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	f.Features, f.Queues, f.Taken = answer(i.DeviceErr), answer(i.QueuesErr), answer(takenTold(i))
	f.Diag = answer(nic.FindHolders(i.Index).Err)
	f.MultiBuffer = answer(xdp.ProbeMultiBuffer(name, 1))
	f.ZeroCopy = answer(xdp.ProbeZeroCopy(name, 2))
	f.Remap = answer(xdp.ProbeRemap(name, 3))
	return s.Close()
}

// takenTold looks for the socket on queue 0.
func takenTold(i nic.Interface) error {
	if i.QueuesErr != nil {
		return i.QueuesErr
	}
	for _, q := range i.Queues {
		if q.ID == 0 && q.TX && q.Taken {
			return nil
		}
	}
	return &xdp.FeatureError{Name: "telling which queues AF_XDP sockets hold", MinKernel: "6.18"}
}

// program loads the program that receives and attaches it in either mode.
func (f *TrialFacts) program(ifindex int) error {
	p, err := bpf.Load(bpf.Options{Queues: trialQueues})
	f.Program = answer(err)
	if err != nil {
		return nil // mostly for want of privilege, and the reason says so
	}
	frags, why := p.Frags()
	f.Frags = Answer{Answer: xdp.AnswerYes.String()}
	if !frags {
		f.Frags = answer(&xdp.FeatureError{Name: "XDP programs for frames of several buffers", MinKernel: "6.1", Detail: why.Error()})
	}
	attach := func(mode bpf.Mode) (Answer, error) {
		a, err := p.Attach(ifindex, mode)
		if err != nil {
			return Answer{Answer: xdp.AnswerNo.String(), Reason: err.Error()}, nil
		}
		return Answer{Answer: xdp.AnswerYes.String()}, a.Close()
	}
	var nativeErr, genericErr error
	f.Native, nativeErr = attach(bpf.Native)
	f.Generic, genericErr = attach(bpf.Generic)
	return errors.Join(nativeErr, genericErr, p.Close())
}
