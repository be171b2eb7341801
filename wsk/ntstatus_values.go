// SPDX-License-Identifier: Apache-2.0

package wsk

// The NTSTATUS values that WSK functions return or that WSK clients hand in, with the values of ntstatus.h.
// ntstatus_windows_test.go proves them against golang.org/x/sys/windows at compile time.
const (
	STATUS_SUCCESS                    NTSTATUS = 0x00000000
	STATUS_TIMEOUT                    NTSTATUS = 0x00000102
	STATUS_PENDING                    NTSTATUS = 0x00000103
	STATUS_EVENT_PENDING              NTSTATUS = 0x40000013
	STATUS_DATATYPE_MISALIGNMENT      NTSTATUS = 0x80000002
	STATUS_BUFFER_OVERFLOW            NTSTATUS = 0x80000005
	STATUS_UNSUCCESSFUL               NTSTATUS = 0xC0000001
	STATUS_NOT_IMPLEMENTED            NTSTATUS = 0xC0000002
	STATUS_INFO_LENGTH_MISMATCH       NTSTATUS = 0xC0000004
	STATUS_ACCESS_VIOLATION           NTSTATUS = 0xC0000005
	STATUS_INVALID_HANDLE             NTSTATUS = 0xC0000008
	STATUS_INVALID_PARAMETER          NTSTATUS = 0xC000000D
	STATUS_NO_SUCH_DEVICE             NTSTATUS = 0xC000000E
	STATUS_INVALID_DEVICE_REQUEST     NTSTATUS = 0xC0000010
	STATUS_MORE_PROCESSING_REQUIRED   NTSTATUS = 0xC0000016
	STATUS_NO_MEMORY                  NTSTATUS = 0xC0000017
	STATUS_CONFLICTING_ADDRESSES      NTSTATUS = 0xC0000018
	STATUS_ACCESS_DENIED              NTSTATUS = 0xC0000022
	STATUS_BUFFER_TOO_SMALL           NTSTATUS = 0xC0000023
	STATUS_OBJECT_TYPE_MISMATCH       NTSTATUS = 0xC0000024
	STATUS_INVALID_PARAMETER_MIX      NTSTATUS = 0xC0000030
	STATUS_SHARING_VIOLATION          NTSTATUS = 0xC0000043
	STATUS_PRIVILEGE_NOT_HELD         NTSTATUS = 0xC0000061
	STATUS_INSUFFICIENT_RESOURCES     NTSTATUS = 0xC000009A
	STATUS_DEVICE_NOT_READY           NTSTATUS = 0xC00000A3
	STATUS_IO_TIMEOUT                 NTSTATUS = 0xC00000B5
	STATUS_FILE_FORCED_CLOSED         NTSTATUS = 0xC00000B6
	STATUS_NOT_SUPPORTED              NTSTATUS = 0xC00000BB
	STATUS_BAD_NETWORK_PATH           NTSTATUS = 0xC00000BE
	STATUS_NETWORK_BUSY               NTSTATUS = 0xC00000BF
	STATUS_REQUEST_NOT_ACCEPTED       NTSTATUS = 0xC00000D0
	STATUS_CANCELLED                  NTSTATUS = 0xC0000120
	STATUS_INTERNAL_ERROR             NTSTATUS = 0xC00000E5
	STATUS_FILE_CLOSED                NTSTATUS = 0xC0000128
	STATUS_INVALID_CONNECTION         NTSTATUS = 0xC0000140
	STATUS_INVALID_ADDRESS            NTSTATUS = 0xC0000141
	STATUS_INVALID_DEVICE_STATE       NTSTATUS = 0xC0000184
	STATUS_INVALID_BUFFER_SIZE        NTSTATUS = 0xC0000206
	STATUS_INVALID_ADDRESS_COMPONENT  NTSTATUS = 0xC0000207
	STATUS_INVALID_ADDRESS_WILDCARD   NTSTATUS = 0xC0000208
	STATUS_TOO_MANY_ADDRESSES         NTSTATUS = 0xC0000209
	STATUS_ADDRESS_ALREADY_EXISTS     NTSTATUS = 0xC000020A
	STATUS_ADDRESS_CLOSED             NTSTATUS = 0xC000020B
	STATUS_CONNECTION_DISCONNECTED    NTSTATUS = 0xC000020C
	STATUS_CONNECTION_RESET           NTSTATUS = 0xC000020D
	STATUS_DATA_NOT_ACCEPTED          NTSTATUS = 0xC000021B
	STATUS_NOT_FOUND                  NTSTATUS = 0xC0000225
	STATUS_CONNECTION_REFUSED         NTSTATUS = 0xC0000236
	STATUS_ADDRESS_ALREADY_ASSOCIATED NTSTATUS = 0xC0000238
	STATUS_ADDRESS_NOT_ASSOCIATED     NTSTATUS = 0xC0000239
	STATUS_NETWORK_UNREACHABLE        NTSTATUS = 0xC000023C
	STATUS_HOST_UNREACHABLE           NTSTATUS = 0xC000023D
	STATUS_PROTOCOL_UNREACHABLE       NTSTATUS = 0xC000023E
	STATUS_PORT_UNREACHABLE           NTSTATUS = 0xC000023F
	STATUS_REQUEST_ABORTED            NTSTATUS = 0xC0000240
	STATUS_CONNECTION_ABORTED         NTSTATUS = 0xC0000241
	STATUS_NO_MATCH                   NTSTATUS = 0xC0000272
	STATUS_NOINTERFACE                NTSTATUS = 0xC00002B9
	STATUS_HOST_DOWN                  NTSTATUS = 0xC0000350
	STATUS_ALREADY_REGISTERED         NTSTATUS = 0xC0000718
	STATUS_HOPLIMIT_EXCEEDED          NTSTATUS = 0xC000A012
	STATUS_PROTOCOL_NOT_SUPPORTED     NTSTATUS = 0xC000A013
)

// statusTexts names every constant above. The text says what the status means to a WSK client here, not what the
// message table of Windows says.
var statusTexts = map[NTSTATUS]struct{ name, text string }{
	STATUS_SUCCESS:                    {"STATUS_SUCCESS", "done"},
	STATUS_TIMEOUT:                    {"STATUS_TIMEOUT", "the wait ended without the event"},
	STATUS_PENDING:                    {"STATUS_PENDING", "the operation is pending"},
	STATUS_EVENT_PENDING:              {"STATUS_EVENT_PENDING", "the event callback is running and is disabled when it returns"},
	STATUS_DATATYPE_MISALIGNMENT:      {"STATUS_DATATYPE_MISALIGNMENT", "a buffer is not aligned for its data"},
	STATUS_BUFFER_OVERFLOW:            {"STATUS_BUFFER_OVERFLOW", "the data did not fit; what fits was stored"},
	STATUS_UNSUCCESSFUL:               {"STATUS_UNSUCCESSFUL", "the operation failed"},
	STATUS_NOT_IMPLEMENTED:            {"STATUS_NOT_IMPLEMENTED", "the operation is not implemented for this object"},
	STATUS_INFO_LENGTH_MISMATCH:       {"STATUS_INFO_LENGTH_MISMATCH", "a length does not fit its structure"},
	STATUS_ACCESS_VIOLATION:           {"STATUS_ACCESS_VIOLATION", "a buffer is not accessible"},
	STATUS_INVALID_HANDLE:             {"STATUS_INVALID_HANDLE", "the client handle is not that of a captured provider"},
	STATUS_INVALID_PARAMETER:          {"STATUS_INVALID_PARAMETER", "a parameter is not valid"},
	STATUS_NO_SUCH_DEVICE:             {"STATUS_NO_SUCH_DEVICE", "there is no such device"},
	STATUS_INVALID_DEVICE_REQUEST:     {"STATUS_INVALID_DEVICE_REQUEST", "the request is not valid for a socket of this category"},
	STATUS_MORE_PROCESSING_REQUIRED:   {"STATUS_MORE_PROCESSING_REQUIRED", "the completion routine keeps the IRP"},
	STATUS_NO_MEMORY:                  {"STATUS_NO_MEMORY", "no memory"},
	STATUS_CONFLICTING_ADDRESSES:      {"STATUS_CONFLICTING_ADDRESSES", "the addresses conflict"},
	STATUS_ACCESS_DENIED:              {"STATUS_ACCESS_DENIED", "access denied"},
	STATUS_BUFFER_TOO_SMALL:           {"STATUS_BUFFER_TOO_SMALL", "the output buffer is too small"},
	STATUS_OBJECT_TYPE_MISMATCH:       {"STATUS_OBJECT_TYPE_MISMATCH", "the object is of another type"},
	STATUS_INVALID_PARAMETER_MIX:      {"STATUS_INVALID_PARAMETER_MIX", "the parameters do not go together"},
	STATUS_SHARING_VIOLATION:          {"STATUS_SHARING_VIOLATION", "the address is in use and not shared"},
	STATUS_PRIVILEGE_NOT_HELD:         {"STATUS_PRIVILEGE_NOT_HELD", "the process does not have the privilege"},
	STATUS_INSUFFICIENT_RESOURCES:     {"STATUS_INSUFFICIENT_RESOURCES", "out of frames, memory or queue space"},
	STATUS_DEVICE_NOT_READY:           {"STATUS_DEVICE_NOT_READY", "no provider is attached, or the client is deregistering"},
	STATUS_IO_TIMEOUT:                 {"STATUS_IO_TIMEOUT", "the operation timed out"},
	STATUS_FILE_FORCED_CLOSED:         {"STATUS_FILE_FORCED_CLOSED", "the socket is no longer functional; close it"},
	STATUS_NOT_SUPPORTED:              {"STATUS_NOT_SUPPORTED", "not supported"},
	STATUS_BAD_NETWORK_PATH:           {"STATUS_BAD_NETWORK_PATH", "the network path was not found"},
	STATUS_NETWORK_BUSY:               {"STATUS_NETWORK_BUSY", "the network is busy"},
	STATUS_REQUEST_NOT_ACCEPTED:       {"STATUS_REQUEST_NOT_ACCEPTED", "the request can't complete inline and has no IRP"},
	STATUS_CANCELLED:                  {"STATUS_CANCELLED", "cancelled"},
	STATUS_INTERNAL_ERROR:             {"STATUS_INTERNAL_ERROR", "the kernel refused a frame that this datapath built"},
	STATUS_FILE_CLOSED:                {"STATUS_FILE_CLOSED", "the socket has been closed"},
	STATUS_INVALID_CONNECTION:         {"STATUS_INVALID_CONNECTION", "the connection is not valid"},
	STATUS_INVALID_ADDRESS:            {"STATUS_INVALID_ADDRESS", "the address is not valid"},
	STATUS_INVALID_DEVICE_STATE:       {"STATUS_INVALID_DEVICE_STATE", "the socket is not in a state for this call (bound or not bound)"},
	STATUS_INVALID_BUFFER_SIZE:        {"STATUS_INVALID_BUFFER_SIZE", "the datagram is too long for the protocol or, with DF, for the path"},
	STATUS_INVALID_ADDRESS_COMPONENT:  {"STATUS_INVALID_ADDRESS_COMPONENT", "an address is not local, a wildcard, of the wrong kind, or has port 0"},
	STATUS_INVALID_ADDRESS_WILDCARD:   {"STATUS_INVALID_ADDRESS_WILDCARD", "a wildcard address is not valid here"},
	STATUS_TOO_MANY_ADDRESSES:         {"STATUS_TOO_MANY_ADDRESSES", "no free port in the dynamic range"},
	STATUS_ADDRESS_ALREADY_EXISTS:     {"STATUS_ADDRESS_ALREADY_EXISTS", "the address and port are in use"},
	STATUS_ADDRESS_CLOSED:             {"STATUS_ADDRESS_CLOSED", "the address is closed"},
	STATUS_CONNECTION_DISCONNECTED:    {"STATUS_CONNECTION_DISCONNECTED", "disconnected"},
	STATUS_CONNECTION_RESET:           {"STATUS_CONNECTION_RESET", "reset by the peer"},
	STATUS_DATA_NOT_ACCEPTED:          {"STATUS_DATA_NOT_ACCEPTED", "the callback does not take the data"},
	STATUS_NOT_FOUND:                  {"STATUS_NOT_FOUND", "not found"},
	STATUS_CONNECTION_REFUSED:         {"STATUS_CONNECTION_REFUSED", "refused"},
	STATUS_ADDRESS_ALREADY_ASSOCIATED: {"STATUS_ADDRESS_ALREADY_ASSOCIATED", "the address is already associated"},
	STATUS_ADDRESS_NOT_ASSOCIATED:     {"STATUS_ADDRESS_NOT_ASSOCIATED", "the address is not associated"},
	STATUS_NETWORK_UNREACHABLE:        {"STATUS_NETWORK_UNREACHABLE", "no route to the destination"},
	STATUS_HOST_UNREACHABLE:           {"STATUS_HOST_UNREACHABLE", "the neighbour on the way does not answer"},
	STATUS_PROTOCOL_UNREACHABLE:       {"STATUS_PROTOCOL_UNREACHABLE", "the peer does not speak the protocol"},
	STATUS_PORT_UNREACHABLE:           {"STATUS_PORT_UNREACHABLE", "nothing listens on the peer's port"},
	STATUS_REQUEST_ABORTED:            {"STATUS_REQUEST_ABORTED", "the request was aborted"},
	STATUS_CONNECTION_ABORTED:         {"STATUS_CONNECTION_ABORTED", "the connection was aborted"},
	STATUS_NO_MATCH:                   {"STATUS_NO_MATCH", "the name has no match"},
	STATUS_NOINTERFACE:                {"STATUS_NOINTERFACE", "the provider does not have the requested WSK version"},
	STATUS_HOST_DOWN:                  {"STATUS_HOST_DOWN", "the host is down"},
	STATUS_ALREADY_REGISTERED:         {"STATUS_ALREADY_REGISTERED", "already registered"},
	STATUS_HOPLIMIT_EXCEEDED:          {"STATUS_HOPLIMIT_EXCEEDED", "the hop limit ran out on the way"},
	STATUS_PROTOCOL_NOT_SUPPORTED:     {"STATUS_PROTOCOL_NOT_SUPPORTED", "no transport for this family, type and protocol"},
}
