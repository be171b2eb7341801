// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//go:build ignore

/*
 * wskxdp hands the frames that bound WSK sockets own to AF_XDP sockets and leaves every other frame to the kernel, which is
 * always XDP_PASS: the program never drops, never changes a byte, and so can only take what it is sure about. A frame is taken
 * when all of this holds:
 *
 *   - untagged, or one 802.1Q tag whose VLAN is 0 (priority only) or in wskxdp_vlans, and no tag beside the frame, as far as the
 *     program can see such (wskxdp_tags);
 *   - IPv4 without options and not a fragment, or IPv6 with UDP as its first next header;
 *   - the lengths of IP and UDP agree with each other and with the frame, which may be padded at its end;
 *   - wskxdp_ports has {family, destination, port}, or {family, any, port} and the destination is the host's own;
 *   - addresses are not such as the kernel refuses from the wire;
 *   - the frame fits what the sockets can hold, and the queue has a socket;
 *   - it can't be several datagrams that a sender of this machine left to its device to cut, see wskxdp_merged.
 *
 * The reasons are counted, so that "why did it not come through AF_XDP" has an answer. What doc.go promises and what program_test.go
 * proves is this list.
 */
#include "headers/kernel.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* One reason for each frame, in the order of the Go constants (reason.go, compared by a test). */
enum wskxdp_reason {
	WSKXDP_REDIRECTED, /* went to the AF_XDP socket of its queue */
	WSKXDP_NO_SOCKET, /* owned, but its queue has no AF_XDP socket */
	WSKXDP_NO_PORT, /* UDP for a port that nobody bound */
	WSKXDP_NOT_LOCAL, /* bound to any address, but the destination is not the host's */
	WSKXDP_GROUP, /* multicast or broadcast, and the entry for any address does not ask for it */
	WSKXDP_MARTIAN, /* an address that the kernel refuses from the wire */
	WSKXDP_NOT_IP, /* ARP and every other Ethernet type */
	WSKXDP_NOT_UDP, /* TCP, ICMP, ... */
	WSKXDP_VLAN, /* a VLAN that is not ours, a second tag, a service tag, a tag beside the frame */
	WSKXDP_TRUNCATED, /* ends inside a header */
	WSKXDP_IP_HEADER, /* wrong version, or an IPv4 header shorter than 20 bytes */
	WSKXDP_IP_OPTIONS,
	WSKXDP_IP_FRAGMENT,
	WSKXDP_IP_EXTENSION, /* IPv6 extension header other than fragment */
	WSKXDP_IP_LENGTH, /* IP length too small, or beyond the end of the frame */
	WSKXDP_UDP_LENGTH, /* UDP length other than what IP carries */
	WSKXDP_UDP_CHECKSUM, /* no checksum over IPv6 */
	WSKXDP_TOO_LONG, /* does not fit the chunk of an AF_XDP socket */
	WSKXDP_UDP_PARTIAL, /* checksum left to the device, where that may mean several datagrams in one buffer */
	WSKXDP_REASONS,
};

/* Flags of an entry for any address: what it matches besides the host's own unicast addresses. */
enum wskxdp_flag {
	WSKXDP_MULTICAST = 1,
	WSKXDP_BROADCAST = 2,
};

/* What an address in wskxdp_local is. */
enum wskxdp_kind {
	WSKXDP_UNICAST = 1,
	WSKXDP_DIRECTED_BROADCAST = 2,
};

/* The key of wskxdp_ports and, with port 0, of wskxdp_local. No padding: every byte is part of the key. */
struct wskxdp_key {
	__be32 addr[4]; /* as in the packet; IPv4 in the first, all zero is any address */
	__be16 port; /* as in the packet */
	__u8 family; /* 4 or 6 */
	__u8 zero;
};

struct wskxdp_counts {
	__u64 n[WSKXDP_REASONS];
};

/* Set by the loader before the program is loaded. */
const volatile __u32 wskxdp_max_frame = 1792; /* longest frame that an AF_XDP socket can take */
const volatile __u8 wskxdp_multi_buffer = 0; /* 1: the sockets take frames of several buffers */
/* Not used: it puts the enum into the type information, where the Go constants are generated from. */
const volatile enum wskxdp_reason wskxdp_unused_reason = 0;

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1); /* the loader: number of receive queues */
	__type(key, __u32);
	__type(value, __u32);
} wskxdp_xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* the loader */
	__type(key, struct wskxdp_key);
	__type(value, enum wskxdp_flag); /* several, combined */
} wskxdp_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* the loader */
	__type(key, struct wskxdp_key);
	__type(value, enum wskxdp_kind);
} wskxdp_local SEC(".maps");

/* A bit for each VLAN. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096 / 64);
	__type(key, __u32);
	__type(value, __u64);
} wskxdp_vlans SEC(".maps");

/*
 * Not 0: the program sees socket buffers, so that a frame may be several datagrams that nobody has cut yet (UDP_SEGMENT on the same
 * machine, rx-udp-gro-forwarding). Nothing in it says so. But such a buffer always leaves its checksum open, with the bare sum of the
 * pseudo-header in it: all of that kind are the kernel's then, which cuts them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} wskxdp_merged SEC(".maps");

/* One entry with all counters, so that one system call reads them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wskxdp_counts);
} wskxdp_counters SEC(".maps");

/*
 * What run is compiled to. STRICT is for a loader without CAP_PERFMON, to whom the verifier allows less: no difference of two packet
 * pointers, and to a pointer into a packet or a map value nothing is added but constants. Such a program does without knowing
 * where the first buffer of a frame ends: it is loaded for frames of one buffer, or for sockets that take several.
 */
enum {
	SEES_TAGS = 1, /* the driver can be asked for a tag beside the frame */
	STRICT = 2,
};

/* apart keeps the compiler from joining what is done with two pointers, which would leave one pointer and a variable offset. */
#define apart(pointer, name) asm volatile("# " name : "+r"(pointer))

/* What was read of a frame on the way to its owner. */
struct datagram {
	struct wskxdp_key key; /* destination */
	__be32 src[4];
	__be16 length, checksum; /* of UDP */
};

static __always_inline int vlan_is_ours(__be16 tci)
{
	__u32 id = ntohs(tci) & 0xfff;
	__u32 word = id >> 6;
	__u64 *bits;

	if (!id)
		return 1;
	bits = bpf_map_lookup_elem(&wskxdp_vlans, &word);
	return bits && *bits >> (id & 63) & 1;
}

/* parse_udp reads what follows the IP header; room is what the IP header says that it carries. */
static __always_inline enum wskxdp_reason parse_udp(const void *udp_header, const void *end, __u32 room,
						    struct datagram *d)
{
	const struct udphdr *udp = udp_header;

	if ((const void *)(udp + 1) > end)
		return WSKXDP_TRUNCATED;
	if (ntohs(udp->length) != room)
		return WSKXDP_UDP_LENGTH;
	/* RFC 8200 section 8.1: the kernel takes it only where a socket option says so. */
	if (d->key.family == 6 && !udp->checksum)
		return WSKXDP_UDP_CHECKSUM;
	d->key.port = udp->dst_port;
	d->length = udp->length;
	d->checksum = udp->checksum;
	return WSKXDP_REDIRECTED;
}

/* length is that of the frame from the IP header on. */
static __always_inline enum wskxdp_reason parse_ipv4(const void *header, const void *end, __u64 length, struct datagram *d, int what)
{
	const struct iphdr *ip = header;
	const void *udp = ip + 1;
	__u32 total;

	if ((const void *)(ip + 1) > end)
		return WSKXDP_TRUNCATED;
	if (ip->version_ihl >> 4 != 4 || (ip->version_ihl & 15) < 5)
		return WSKXDP_IP_HEADER;
	if (ip->protocol != IPPROTO_UDP)
		return WSKXDP_NOT_UDP;
	if ((ip->version_ihl & 15) > 5)
		return WSKXDP_IP_OPTIONS;
	if (ip->fragment & htons_const(0x3fff)) /* more fragments, or an offset */
		return WSKXDP_IP_FRAGMENT;
	total = ntohs(ip->total_length);
	if (total < sizeof(*ip) + sizeof(struct udphdr) || total > length)
		return WSKXDP_IP_LENGTH;
	d->key.family = 4;
	d->key.addr[0] = ip->dst;
	d->src[0] = ip->src;
	if (what & STRICT)
		apart(udp, "IPv4");
	return parse_udp(udp, end, total - sizeof(*ip), d);
}

static __always_inline enum wskxdp_reason parse_ipv6(const void *header, const void *end, __u64 length, struct datagram *d, int what)
{
	const struct ip6hdr *ip = header;
	const void *udp = ip + 1;
	__u32 payload;

	if ((const void *)(ip + 1) > end)
		return WSKXDP_TRUNCATED;
	if (ip->version_class >> 4 != 6)
		return WSKXDP_IP_HEADER;
	switch (ip->next_header) {
	case IPPROTO_UDP:
		break;
	case IPPROTO_FRAGMENT:
		return WSKXDP_IP_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case IPPROTO_HIP:
	case IPPROTO_SHIM6:
		return WSKXDP_IP_EXTENSION;
	default:
		return WSKXDP_NOT_UDP;
	}
	payload = ntohs(ip->payload_length);
	if (payload < sizeof(struct udphdr) || payload + sizeof(*ip) > length)
		return WSKXDP_IP_LENGTH;
	d->key.family = 6;
	d->key.addr[0] = ip->dst[0];
	d->key.addr[1] = ip->dst[1];
	d->key.addr[2] = ip->dst[2];
	d->key.addr[3] = ip->dst[3];
	d->src[0] = ip->src[0];
	d->src[1] = ip->src[1];
	d->src[2] = ip->src[2];
	d->src[3] = ip->src[3];
	if (what & STRICT)
		apart(udp, "IPv6");
	return parse_udp(udp, end, payload, d);
}

/* parse reads a frame of the given length whose first bytes lie between start and end. */
static __always_inline enum wskxdp_reason parse(const void *start, const void *end, __u64 length, struct datagram *d, int what)
{
	const struct ethhdr *eth = start;
	const struct vlanhdr *tag = (const void *)(eth + 1);
	const void *ip = eth + 1;
	__be16 proto;

	if (ip > end)
		return WSKXDP_TRUNCATED;
	proto = eth->proto;
	length -= sizeof(*eth);
	if (proto == htons_const(ETH_P_8021Q)) {
		ip = tag + 1;
		if (ip > end)
			return WSKXDP_TRUNCATED;
		if (!vlan_is_ours(tag->tci))
			return WSKXDP_VLAN;
		proto = tag->proto;
		length -= sizeof(*tag);
		if (what & STRICT)
			apart(ip, "tagged");
	}
	switch (proto) {
	case htons_const(ETH_P_IP):
		return parse_ipv4(ip, end, length, d, what);
	case htons_const(ETH_P_IPV6):
		return parse_ipv6(ip, end, length, d, what);
	case htons_const(ETH_P_8021Q):
	case htons_const(ETH_P_8021AD):
		return WSKXDP_VLAN;
	}
	return WSKXDP_NOT_IP;
}

/* martian tells of addresses that the kernel refuses from the wire, or takes in cases that it has to judge. */
static __always_inline int martian4(__u32 src, __u32 dst)
{
	return src >> 24 == 0 || src >> 24 == 127 || src >> 28 == 0xe || src == 0xffffffff || dst >> 24 == 0 ||
	       dst >> 24 == 127;
}

/* 0::/96 holds the unspecified, the loopback and the deprecated compatible addresses, ::ffff:0:0/96 the mapped ones. */
static __always_inline int embedded6(const __be32 *addr)
{
	return !addr[0] && !addr[1] && (!addr[2] || ntohl(addr[2]) == 0xffff);
}

static __always_inline int martian(const struct datagram *d)
{
	const __be32 *dst = d->key.addr;

	if (d->key.family == 4)
		return martian4(ntohl(d->src[0]), ntohl(dst[0]));
	if (ntohl(d->src[0]) >> 24 == 0xff || embedded6(d->src) || embedded6(dst))
		return 1;
	/* Multicast of scope 0 (reserved) and 1 (interface-local) never crosses a link. */
	return (ntohl(dst[0]) & 0xff0e0000) == 0xff000000;
}

/* own_source: IPv4 refuses a frame from the host's own address (fib_validate_source), unless accept_local is set. IPv6 does not. */
static __always_inline int own_source(const struct datagram *d)
{
	struct wskxdp_key key = { .addr = { d->src[0] }, .family = 4 };
	enum wskxdp_kind *kind;

	if (d->key.family != 4)
		return 0;
	kind = bpf_map_lookup_elem(&wskxdp_local, &key);
	return kind && *kind == WSKXDP_UNICAST;
}

/* any_matches decides for an entry for any address whether this destination is among them. */
static __always_inline enum wskxdp_reason any_matches(struct wskxdp_key *local, __u32 flags)
{
	__u32 first = ntohl(local->addr[0]);
	enum wskxdp_kind *kind;

	if (local->family == 4 ? first >> 28 == 0xe : first >> 24 == 0xff)
		return flags & WSKXDP_MULTICAST ? WSKXDP_REDIRECTED : WSKXDP_GROUP;
	if (local->family == 4 && first == 0xffffffff)
		return flags & WSKXDP_BROADCAST ? WSKXDP_REDIRECTED : WSKXDP_GROUP;
	local->port = 0;
	kind = bpf_map_lookup_elem(&wskxdp_local, local);
	if (!kind)
		return WSKXDP_NOT_LOCAL;
	if (*kind != WSKXDP_UNICAST && !(flags & WSKXDP_BROADCAST))
		return WSKXDP_GROUP;
	return WSKXDP_REDIRECTED;
}

/* find_owner looks for the most specific entry first. */
static __always_inline enum wskxdp_reason find_owner(struct datagram *d)
{
	struct wskxdp_key any = { .port = d->key.port, .family = d->key.family };
	enum wskxdp_flag *flags;

	if (bpf_map_lookup_elem(&wskxdp_ports, &d->key))
		return martian(d) || own_source(d) ? WSKXDP_MARTIAN : WSKXDP_REDIRECTED;
	flags = bpf_map_lookup_elem(&wskxdp_ports, &any);
	if (!flags)
		return WSKXDP_NO_PORT;
	if (martian(d) || own_source(d))
		return WSKXDP_MARTIAN;
	return any_matches(&d->key, *flags);
}

/* may_be_merged: see wskxdp_merged. A one's complement sum is the same in either byte order, and what IPv4 lacks in addresses is 0. */
static __always_inline int may_be_merged(const struct datagram *d)
{
	__u64 sum = (__u64)htons_const(IPPROTO_UDP) + d->length;
	__u32 zero = 0;
	__u32 *merged = bpf_map_lookup_elem(&wskxdp_merged, &zero);

	if (!merged || !*merged)
		return 0;
	sum += (__u64)d->src[0] + d->src[1] + d->src[2] + d->src[3];
	sum += (__u64)d->key.addr[0] + d->key.addr[1] + d->key.addr[2] + d->key.addr[3];
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16); /* 17 bits and a carry or two */
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == d->checksum;
}

#define COUNT(reason) case reason: counts->n[reason]++; break

static __always_inline void count(enum wskxdp_reason reason, int what)
{
	__u32 zero = 0;
	struct wskxdp_counts *counts = bpf_map_lookup_elem(&wskxdp_counters, &zero);

	if (!counts || reason >= WSKXDP_REASONS)
		return;
	if (!(what & STRICT)) {
		counts->n[reason]++; /* per CPU, and a program is not interrupted by itself */
		return;
	}
	switch (reason) {
	COUNT(WSKXDP_REDIRECTED);
	COUNT(WSKXDP_NO_SOCKET);
	COUNT(WSKXDP_NO_PORT);
	COUNT(WSKXDP_NOT_LOCAL);
	COUNT(WSKXDP_GROUP);
	COUNT(WSKXDP_MARTIAN);
	COUNT(WSKXDP_NOT_IP);
	COUNT(WSKXDP_NOT_UDP);
	COUNT(WSKXDP_VLAN);
	COUNT(WSKXDP_TRUNCATED);
	COUNT(WSKXDP_IP_HEADER);
	COUNT(WSKXDP_IP_OPTIONS);
	COUNT(WSKXDP_IP_FRAGMENT);
	COUNT(WSKXDP_IP_EXTENSION);
	COUNT(WSKXDP_IP_LENGTH);
	COUNT(WSKXDP_UDP_LENGTH);
	COUNT(WSKXDP_UDP_CHECKSUM);
	COUNT(WSKXDP_TOO_LONG);
	COUNT(WSKXDP_UDP_PARTIAL);
	case WSKXDP_REASONS:
		break;
	}
}

/* Linux 6.8, in drivers that say so and only to a program that is bound to their device. */
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *proto, __u16 *tci) __ksym;

/* tag_beside: the driver has the frame's tag beside the frame. */
static __always_inline int tag_beside(const struct xdp_md *ctx)
{
	__be16 proto;
	__u16 tci;

	return !bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci);
}

/*
 * run is the program; length is that of the whole frame, of which the first buffer may hold only a part.
 */
static __always_inline int run(struct xdp_md *ctx, __u64 length, int what)
{
	const void *start = (const void *)(long)ctx->data;
	const void *end = (const void *)(long)ctx->data_end;
	struct datagram d = {};
	enum wskxdp_reason reason = parse(start, end, length, &d, what);
	int action = XDP_PASS;

	if (reason == WSKXDP_REDIRECTED)
		reason = find_owner(&d);
	/* A socket drops what does not fit a chunk, and several buffers unless it was bound for them: the kernel must have these. */
	if (reason == WSKXDP_REDIRECTED &&
	    (length > wskxdp_max_frame || (!(what & STRICT) && length > (__u64)(end - start) && !wskxdp_multi_buffer)))
		reason = WSKXDP_TOO_LONG;
	if (reason == WSKXDP_REDIRECTED && may_be_merged(&d))
		reason = WSKXDP_UDP_PARTIAL;
	if (reason == WSKXDP_REDIRECTED && (what & SEES_TAGS) && tag_beside(ctx))
		reason = WSKXDP_VLAN;
	if (reason == WSKXDP_REDIRECTED) {
		/* The flags are what the helper returns when the queue has no socket, or is beyond the map. */
		action = bpf_redirect_map(&wskxdp_xsks, ctx->rx_queue_index, XDP_PASS);
		if (action != XDP_REDIRECT) {
			action = XDP_PASS;
			reason = WSKXDP_NO_SOCKET;
		}
	}
	count(reason, what);
	return action;
}

SEC("xdp")
int wskxdp(struct xdp_md *ctx)
{
	return run(ctx, ctx->data_end - ctx->data, 0);
}

/* For kernels from 5.18 on: without it a driver refuses a large MTU, with it a frame may come in several buffers. */
SEC("xdp.frags")
int wskxdp_frags(struct xdp_md *ctx)
{
	return run(ctx, bpf_xdp_get_buff_len(ctx), 0);
}

/* For drivers that can be asked for a tag beside the frame. It must be bound to its device, and runs in native mode only. */
SEC("xdp.frags")
int wskxdp_tags(struct xdp_md *ctx)
{
	return run(ctx, bpf_xdp_get_buff_len(ctx), SEES_TAGS);
}

/* For loaders without CAP_PERFMON; Linux 6.12 takes it, 6.1 does not. The loader says whether it takes frames of several buffers. */
SEC("xdp")
int wskxdp_strict(struct xdp_md *ctx)
{
	return run(ctx, bpf_xdp_get_buff_len(ctx), STRICT);
}

/* The same for drivers that can be asked for a tag. A longer name would be cut. */
SEC("xdp")
int wskxdp_s_tags(struct xdp_md *ctx)
{
	return run(ctx, bpf_xdp_get_buff_len(ctx), STRICT | SEES_TAGS);
}
