module github.com/wsk-xdp/wsk-xdp/docs/examples/netconn

go 1.26.0

require (
	github.com/quic-go/quic-go v0.65.0
	github.com/wsk-xdp/wsk-xdp v0.0.0
)

require (
	github.com/asavie/xdp v0.3.3 // indirect
	github.com/cilium/ebpf v0.22.0 // indirect
	github.com/gaissmai/bart v0.30.0 // indirect
	github.com/gopacket/gopacket v1.7.7 // indirect
	github.com/safchain/ethtool v0.7.0 // indirect
	github.com/vishvananda/netlink v1.3.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/wsk-xdp/wsk-xdp => ../../..
