// SPDX-License-Identifier: Apache-2.0

package locks

import "github.com/wsk-xdp/wsk-xdp/internal/lockrank"

const (
	// Kick is the system call that makes the kernel transmit.
	Kick lockrank.Act = 1 << iota
	// Ask is any other system call: it opens, closes, binds, joins, asks the kernel or writes a map of a program.
	Ask
	// Routine is the code of a client: a completion routine, or a receiver's.
	Routine
)

// Each lock after those under which it is taken: its name, what it may be held over, what it may be taken after, and
// above it what it guards.
var (
	// One proof at a time on a device; held as long as it takes, by a goroutine that does nothing else.
	proof = lockrank.New("device.proof", Ask)
	// One queue of a device is opened at a time, or its program attached.
	opening = lockrank.New("device.opening", Ask)
	// The program of a device that only sends; held while the driver works.
	passProgramMu = lockrank.New("passProgram.mu", Ask, opening)
	// The openings of queues that are under way.
	attemptsMu = lockrank.New("attempts.mu", lockrank.Nothing, opening)
	// What became of zero-copy on the queues of a device.
	zeroCopyMu = lockrank.New("zeroCopy.mu", lockrank.Nothing, opening)
	// What a driver says that it can.
	factsMu = lockrank.New("facts.mu", Ask, opening)
	// The sockets in the kernel of an endpoint: its companion while Bind runs, its groups and options.
	socketsMu = lockrank.New("sockets.mu", Ask)
	// The change of an endpoint between not receiving, receiving and ended.
	rxMu = lockrank.New("endpoint.rxMu", Ask)
	// Ports and who shares them; makes each bind one step for all others.
	portTableMu = lockrank.New("portTable.mu", Ask, socketsMu)
	// What is accepted on an interface is made anew by one at a time.
	refreshing = lockrank.New("intake.refreshing", Ask, opening)
	// Who gets what arrives, and what the XDP programs are told of it.
	portsMu = lockrank.New("hub.portsMu", Ask, socketsMu, rxMu, opening, refreshing)
	// Whether an interface's program is attached and closed, and how the NIC spread flows before.
	lifeMu = lockrank.New("program.lifeMu", Ask, portsMu)
	// The devices by index.
	devicesMu = lockrank.New("deviceSet.mu", lockrank.Nothing, portsMu)
	// The endpoints that are open.
	endpointsMu = lockrank.New("endpointSet.mu", lockrank.Nothing, portsMu)
	// The mark that the companion socket of an endpoint has.
	markMu = lockrank.New("mark.mu", Ask)
	// What waits for the slow path of an endpoint.
	senderMu = lockrank.New("sender.mu", lockrank.Nothing, markMu)
	// The consumer's side of a queue: kick, completion ring, link, and with mu the socket; on the way of a
	// send it is only tried.
	kickMu = lockrank.New("queue.kickMu", Kick|Ask, opening)
	// The queues of a device, and whether it is gone.
	deviceMu = lockrank.New("device.mu", lockrank.Nothing, kickMu)
	// Whether there is a carrier, for a moment.
	carrierMu = lockrank.New("carrierCache.mu", Ask, kickMu)
	// What was waited for carrier on a device.
	waitsMu = lockrank.New("linkWaits.mu", lockrank.Nothing, kickMu)
	// The queues that are watched for a burst that does not fill.
	tailMu = lockrank.New("tailWatcher.mu", lockrank.Nothing, kickMu)
	// The chunks, the producer's side and the waiting list of a queue.
	queueMu = lockrank.New("queue.mu", lockrank.Nothing, tailMu, proof, sharedMu)
	// The path of a flow, and the operations that wait for it.
	flowMu = lockrank.New("flow.mu", lockrank.Nothing, queueMu, flowsMu)
	// Jobs that wait for a goroutine.
	workersMu = lockrank.New("workers.mu", lockrank.Nothing, flowMu, sharedMu)
	// The searches for ways that are parked.
	searchesMu = lockrank.New("searches.mu", lockrank.Nothing, opening)
	// The verdicts on a queue's socket.
	proverMu = lockrank.New("prover.mu", lockrank.Nothing, queueMu)
	// Operations whose completion routines are to run.
	completionsMu = lockrank.New("completions.mu", lockrank.Nothing, queueMu)
	// The newest receiving socket of a queue.
	receiverMu = lockrank.New("receiveQueue.mu", Ask, kickMu)
	// Who reads a source of datagrams.
	dutyMu = lockrank.New("duty.mu", lockrank.Nothing)
	// The RX ring of the current socket, and what is counted.
	ringMu = lockrank.New("receiveQueue.ringMu", Ask, receiverMu)
	// The fill ring and the chunks that are lent.
	fillMu = lockrank.New("receiver.fillMu", lockrank.Nothing, ringMu)
	// The flows of an endpoint by destination.
	flowsMu = lockrank.New("flowTable.mu", lockrank.Nothing, queueMu)
	// The flows of an endpoint that many destinations share, and the queues that all lead through.
	sharedMu = lockrank.New("sharedFlows.mu", lockrank.Nothing)
	// Those to be told of changes of addresses.
	watchersMu = lockrank.New("watchers.mu", lockrank.Nothing)
)

type (
	Proof         struct{}
	Opening       struct{}
	PassProgramMu struct{}
	AttemptsMu    struct{}
	ZeroCopyMu    struct{}
	FactsMu       struct{}
	SocketsMu     struct{}
	RxMu          struct{}
	PortTableMu   struct{}
	PortsMu       struct{}
	LifeMu        struct{}
	Refreshing    struct{}
	DevicesMu     struct{}
	EndpointsMu   struct{}
	MarkMu        struct{}
	SenderMu      struct{}
	KickMu        struct{}
	DeviceMu      struct{}
	CarrierMu     struct{}
	WaitsMu       struct{}
	TailMu        struct{}
	QueueMu       struct{}
	FlowMu        struct{}
	WorkersMu     struct{}
	SearchesMu    struct{}
	ProverMu      struct{}
	CompletionsMu struct{}
	ReceiverMu    struct{}
	DutyMu        struct{}
	RingMu        struct{}
	FillMu        struct{}
	FlowsMu       struct{}
	SharedMu      struct{}
	WatchersMu    struct{}
)

func (Proof) Rank() *lockrank.Rank         { return proof }
func (Opening) Rank() *lockrank.Rank       { return opening }
func (PassProgramMu) Rank() *lockrank.Rank { return passProgramMu }
func (AttemptsMu) Rank() *lockrank.Rank    { return attemptsMu }
func (ZeroCopyMu) Rank() *lockrank.Rank    { return zeroCopyMu }
func (FactsMu) Rank() *lockrank.Rank       { return factsMu }
func (SocketsMu) Rank() *lockrank.Rank     { return socketsMu }
func (RxMu) Rank() *lockrank.Rank          { return rxMu }
func (PortTableMu) Rank() *lockrank.Rank   { return portTableMu }
func (PortsMu) Rank() *lockrank.Rank       { return portsMu }
func (LifeMu) Rank() *lockrank.Rank        { return lifeMu }
func (Refreshing) Rank() *lockrank.Rank    { return refreshing }
func (DevicesMu) Rank() *lockrank.Rank     { return devicesMu }
func (EndpointsMu) Rank() *lockrank.Rank   { return endpointsMu }
func (MarkMu) Rank() *lockrank.Rank        { return markMu }
func (SenderMu) Rank() *lockrank.Rank      { return senderMu }
func (KickMu) Rank() *lockrank.Rank        { return kickMu }
func (DeviceMu) Rank() *lockrank.Rank      { return deviceMu }
func (CarrierMu) Rank() *lockrank.Rank     { return carrierMu }
func (WaitsMu) Rank() *lockrank.Rank       { return waitsMu }
func (TailMu) Rank() *lockrank.Rank        { return tailMu }
func (QueueMu) Rank() *lockrank.Rank       { return queueMu }
func (FlowMu) Rank() *lockrank.Rank        { return flowMu }
func (WorkersMu) Rank() *lockrank.Rank     { return workersMu }
func (SearchesMu) Rank() *lockrank.Rank    { return searchesMu }
func (ProverMu) Rank() *lockrank.Rank      { return proverMu }
func (CompletionsMu) Rank() *lockrank.Rank { return completionsMu }
func (ReceiverMu) Rank() *lockrank.Rank    { return receiverMu }
func (DutyMu) Rank() *lockrank.Rank        { return dutyMu }
func (RingMu) Rank() *lockrank.Rank        { return ringMu }
func (FillMu) Rank() *lockrank.Rank        { return fillMu }
func (FlowsMu) Rank() *lockrank.Rank       { return flowsMu }
func (SharedMu) Rank() *lockrank.Rank      { return sharedMu }
func (WatchersMu) Rank() *lockrank.Rank    { return watchersMu }
