// SPDX-License-Identifier: Apache-2.0

package wsk

import "testing"

// knowingTransport is a sink that receives, and that knows addresses although there are none.
type knowingTransport struct {
	sink
	attend func() // if set, what a caller does who waits for a datagram
}

func (t *knowingTransport) OpenEndpoint(uint16, EndpointEvents) (Endpoint, NTSTATUS) {
	return t, STATUS_SUCCESS
}
func (t *knowingTransport) Configure(ReceiveOptions)              {}
func (t *knowingTransport) Change(Membership) NTSTATUS            { return STATUS_NOT_FOUND }
func (t *knowingTransport) Addresses(uint16) []Address            { return nil }
func (t *knowingTransport) WatchAddresses(func()) func()          { return func() {} }
func (t *knowingTransport) SourceFor(Address) (Address, NTSTATUS) { return Address{}, STATUS_NOT_FOUND }

// Reading, Attend and Interrupt make it an AttendedEndpoint and what is read there.
func (t *knowingTransport) Reading() Reading {
	if t.attend == nil {
		return nil
	}
	return t
}
func (t *knowingTransport) Attend(Reading, Pending, bool) { t.attend() }
func (t *knowingTransport) Interrupt()                    {}

// datagram is one from a stranger.
func (t *knowingTransport) datagram() *Datagram {
	return &Datagram{Lender: t, Source: Address{Addr: [16]byte{10: 0xff, 11: 0xff}}}
}

// Release and Keep implement Lender.
func (t *knowingTransport) Release(*Datagram) {}
func (t *knowingTransport) Keep(*Datagram)    {}

// A canceller has taken an IRP and is on its way to the lock when the IRP's socket, or client, comes to an end. The end
// leaves the IRP to the canceller, which still completes it, once.
func TestEndLeavesIRPToItsCanceller(t *testing.T) {
	for name, f := range map[string]struct {
		post func(s *Socket, irp *IRP) NTSTATUS
		end  func(s *Socket)
	}{
		"receive": {
			func(s *Socket, irp *IRP) NTSTATUS { return s.ReceiveFrom(&Buf{}, 0, nil, nil, nil, nil, irp) },
			func(s *Socket) { s.endReceive(STATUS_FILE_CLOSED, STATUS_CANCELLED) },
		},
		"addresses": {
			func(s *Socket, irp *IRP) NTSTATUS {
				return s.ControlSocket(WskIoctl, SIO_ADDRESS_LIST_CHANGE, 0, nil, nil, nil, irp)
			},
			func(s *Socket) { s.provider.addresses.end(s, STATUS_CANCELLED) },
		},
		"transports": {
			func(s *Socket, irp *IRP) NTSTATUS {
				npi := ProviderNPI{Client: s.client, Dispatch: &ProviderDispatch{provider: s.provider}}
				return npi.ControlClient(WSK_TRANSPORT_LIST_CHANGE, nil, nil, nil, irp)
			},
			func(s *Socket) { s.client.subsystem.endWatches(s.client) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSocketOver(t, new(knowingTransport))
			defer s.Close(AllocateIRP())
			irp, completed := AllocateIRP(), 0
			irp.SetCompletionRoutine(func(*IRP, any) NTSTATUS {
				completed++
				return STATUS_MORE_PROCESSING_REQUIRED
			}, nil, true, true, true)
			if status := f.post(s, irp); status != STATUS_PENDING {
				t.Fatal(status)
			}
			irp.state.Or(irpCancel)
			if !irp.wait.cancel.CompareAndSwap(cancelArmed, cancelTaken) { // the first half of Cancel
				t.Fatal("not armed")
			}
			if f.end(s); completed != 0 {
				t.Fatal("the end completed it")
			}
			if irp.wait.canceller.cancelIRP(irp); completed != 1 || irp.IoStatus.Status != STATUS_CANCELLED {
				t.Errorf("completed %d times, with %v", completed, irp.IoStatus.Status)
			}
		})
	}
}

// A receive that was admitted before the close and gets to the queue after it is refused there, since nobody would
// complete it.
func TestReceiveQueuedAfterEnd(t *testing.T) {
	s := newSocketOver(t, new(knowingTransport))
	irp := AllocateIRP()
	irp.begin()
	s.enter()
	end := AllocateIRP()
	s.Close(end)
	if status := s.queueReceive(irp); status != STATUS_FILE_CLOSED || irp.pending() || end.pending() {
		t.Errorf("%v, receive pending %v, close pending %v", status, irp.pending(), end.pending())
		irp.Cancel()
	}
}
