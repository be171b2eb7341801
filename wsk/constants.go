// SPDX-License-Identifier: Apache-2.0

package wsk

// Address families (ws2def.h). AF_INET6 is 23 on Windows, not the 10 of Linux.
const (
	AF_UNSPEC = 0
	AF_INET   = 2
	AF_INET6  = 23
)

// Socket types (winsock2.h).
const (
	SOCK_STREAM = 1
	SOCK_DGRAM  = 2
	SOCK_RAW    = 3
)

// Protocols, which are also the levels of options and control data (ws2def.h).
const (
	IPPROTO_IP     = 0
	IPPROTO_ICMP   = 1
	IPPROTO_IPV4   = 4
	IPPROTO_TCP    = 6
	IPPROTO_UDP    = 17
	IPPROTO_IPV6   = 41
	IPPROTO_ICMPV6 = 58
	IPPROTO_RAW    = 255
	SOL_SOCKET     = 0xFFFF
)

// Socket categories: the Flags of [ProviderNPI.Socket] (wsk.h).
const (
	WSK_FLAG_BASIC_SOCKET      = 0x0
	WSK_FLAG_LISTEN_SOCKET     = 0x1
	WSK_FLAG_CONNECTION_SOCKET = 0x2
	WSK_FLAG_DATAGRAM_SOCKET   = 0x4
	WSK_FLAG_STREAM_SOCKET     = 0x8
)

// Flags of indications (wsk.h, ws2def.h). MSG_TRUNC is 0x100 on Windows, not the 0x20 of Linux.
const (
	WSK_FLAG_AT_DISPATCH_LEVEL = 0x8
	MSG_TRUNC                  = 0x100
	MSG_CTRUNC                 = 0x200
	MSG_BCAST                  = 0x400
	MSG_MCAST                  = 0x800
)

// Waits of [CaptureProviderNPI] (wsk.h), in milliseconds.
const (
	WSK_NO_WAIT       uint32 = 0
	WSK_INFINITE_WAIT uint32 = 0xFFFFFFFF
)

// Control codes of [ProviderNPI.ControlClient] (wsk.h).
const (
	WSK_TRANSPORT_LIST_QUERY       = 2
	WSK_TRANSPORT_LIST_CHANGE      = 3
	WSK_CACHE_SD                   = 4
	WSK_RELEASE_SD                 = 5
	WSK_TDI_DEVICENAME_MAPPING     = 6
	WSK_SET_STATIC_EVENT_CALLBACKS = 7
	WSK_TDI_BEHAVIOR               = 8
	WSK_TDI_BEHAVIOR_BYPASS_TDI    = 1
)

// Events of SO_WSK_EVENT_CALLBACK (wsk.h).
const (
	WSK_EVENT_SEND_BACKLOG = 0x10
	WSK_EVENT_RECEIVE      = 0x40
	WSK_EVENT_DISCONNECT   = 0x80
	WSK_EVENT_RECEIVE_FROM = 0x100
	WSK_EVENT_ACCEPT       = 0x200
	WSK_EVENT_DISABLE      = 0x80000000
)

// ControlSocketType is WSK_CONTROL_SOCKET_TYPE (wsk.h), the kind of a [Socket.ControlSocket] request.
type ControlSocketType uint32

// Request kinds. WskControlMax is the end of the range, not a request.
const (
	WskSetOption ControlSocketType = iota
	WskGetOption
	WskIoctl
	WskControlMax
)

// I/O control codes of sockets (wsk.h, ws2def.h, mswsock.h, mstcpip.h).
const (
	IOC_VOID   = 0x20000000
	IOC_OUT    = 0x40000000
	IOC_IN     = 0x80000000
	IOC_WS2    = 0x08000000
	IOC_WSK    = IOC_WS2 | 0x07000000
	IOC_VENDOR = 0x18000000

	SIO_WSK_SET_REMOTE_ADDRESS       = IOC_IN | IOC_WSK | 1
	SIO_WSK_REGISTER_EXTENSION       = IOC_IN | IOC_OUT | IOC_WSK | 2
	SIO_WSK_QUERY_IDEAL_SEND_BACKLOG = IOC_OUT | IOC_WSK | 3
	SIO_WSK_QUERY_RECEIVE_BACKLOG    = IOC_OUT | IOC_WSK | 4
	SIO_WSK_QUERY_INSPECT_ID         = IOC_OUT | IOC_WSK | 5
	SIO_WSK_SET_SENDTO_ADDRESS       = IOC_IN | IOC_WSK | 6
	SIO_WSK_SET_TCP_SILENT_MODE      = IOC_VOID | IOC_WSK | 7
	SIO_ROUTING_INTERFACE_QUERY      = IOC_IN | IOC_OUT | IOC_WS2 | 20
	SIO_ADDRESS_LIST_QUERY           = IOC_OUT | IOC_WS2 | 22
	SIO_ADDRESS_LIST_CHANGE          = IOC_VOID | IOC_WS2 | 23
	SIO_ADDRESS_LIST_SORT            = IOC_IN | IOC_OUT | IOC_WS2 | 25
	SIO_QUERY_RSS_PROCESSOR_INFO     = IOC_OUT | IOC_WS2 | 37
	SIO_UDP_CONNRESET                = IOC_IN | IOC_VENDOR | 12
	SIO_UDP_NETRESET                 = IOC_IN | IOC_VENDOR | 15
	SIO_CPU_AFFINITY                 = IOC_IN | IOC_VENDOR | 21
	SIO_QUERY_RSS_SCALABILITY_INFO   = IOC_OUT | IOC_VENDOR | 210
	SIO_TIMESTAMPING                 = IOC_IN | IOC_VENDOR | 235
)
